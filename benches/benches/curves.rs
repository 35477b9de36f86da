//! What a request costs fcgi-smol as more are active on a connection, and as there are more connections, each with a
//! request in flight: processor time, which should not grow with either.

mod support;

use std::time::Duration;

use benches::load::{Shape, run};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::is_test;
use support::results::{Results, median};
use support::server::{EPOLL, Program};

/// Connections, and requests in flight on each.
const SHAPES: [(usize, u16); 12] = [
    (1, 1),
    (1, 2),
    (1, 4),
    (1, 8),
    (1, 16),
    (1, 32),
    (1, 64),
    (4, 1),
    (16, 1),
    (100, 1),
    (1000, 1),
    (10_000, 1),
];

fn main() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("up to the maximum");
    let (rounds, time) = if is_test() { (1, 0.01) } else { (7, 0.3) };
    let servers = [
        Program::example(EPOLL, "benches", "floor_epoll"),
        Program::example("fcgi-smol", "fcgi-smol", "plain"),
    ];
    let mut results =
        Results::new("curves", "connections,in flight,server,requests a second,µs of processor a request");
    let built = servers.map(|program| program.build().expect("it is an example"));
    for (connections, in_flight) in
        SHAPES.into_iter().filter(|(connections, _)| !is_test() || *connections < 1000)
    {
        let mut seen: [Vec<(f64, f64)>; 2] = Default::default();
        for _ in 0..rounds {
            for (built, seen) in built.iter().zip(&mut seen) {
                let server = built.start_unix();
                let shape = Shape { connections, in_flight };
                let time = Duration::from_secs_f64(time);
                let figures = run(&server.endpoint, shape, time, || server.processor());
                let figures = figures.unwrap_or_else(|error| panic!("{}, {shape:?}: {error}", server.name));
                let processor = figures.processor.as_secs_f64() * 1e6 / figures.requests.max(1) as f64;
                seen.push((figures.rate(), processor));
            }
        }
        for (built, seen) in built.iter().zip(seen) {
            let rate = median(seen.iter().map(|(rate, _)| *rate).collect());
            let processor = median(seen.iter().map(|(_, processor)| *processor).collect());
            results.add(format!("{connections},{in_flight},{},{rate:.0},{processor:.2}", built.name()));
        }
    }
    results.save();
}
