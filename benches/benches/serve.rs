//! End to end over a Unix socket and TCP: kept connections, nginx's request, answers of 1 KiB. Every server in
//! turn, round after round, so that what disturbs the machine disturbs all alike; a server's figure is the
//! median of its ratios to the floors of the same round. Each round starts the servers anew: where a process
//! happens to lie in memory makes more of a difference than some of them do. `benches::load` is the client.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use benches::load::{Latency, Seen, Shape, pace, run};
use support::is_test;
use support::results::{Results, median};
use support::server::{Built, EPOLL, SERVERS};

/// Those that take requests of one connection at the same time; the floors answer them one after the other.
const MULTIPLEXING: [&str; 3] = ["floor", EPOLL, "fcgi-smol"];

/// What was seen of a server in a round, and its ratios to the floors.
type Round = (Seen, [f64; 2]);

fn main() {
    let built: Vec<Built> = SERVERS.iter().filter_map(|program| program.build()).collect();
    let mut results = Results::new(
        "serve",
        "transport,connections,in flight,server,requests a second,of the floor,of an event loop's,\
         µs of processor a request,median µs,99 % µs,99.9 % µs",
    );
    let mut latency = Results::new("latency", "server,requests a second,median µs,99 % µs,99.9 % µs");
    for transport in ["unix", "tcp"] {
        for connections in [1, 16, 64] {
            compare(&mut results, transport, &[Shape { connections, in_flight: 1 }], built.iter());
        }
        let multiplexing = built.iter().filter(|server| MULTIPLEXING.contains(&server.name()));
        let shapes = [1, 32].map(|in_flight| Shape { connections: 4, in_flight });
        compare(&mut results, transport, &shapes, multiplexing);
    }
    results.save();
    for server in &built {
        at_half(&mut latency, server);
    }
    latency.save();
}

/// How long requests take at half of the greatest load, with 16 connections over a Unix socket.
fn at_half(results: &mut Results, built: &Built) {
    let (rounds, time) = if is_test() { (1, 0.01) } else { (7, 0.5) };
    let time = Duration::from_secs_f64(time);
    let (mut rates, mut latencies) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let server = built.start_unix();
        let seen = run(&server.endpoint, Shape { connections: 16, in_flight: 1 }, time, || Duration::ZERO);
        let rate = seen.unwrap_or_else(|error| panic!("{}: {error}", server.name)).rate().max(1000.0) / 2.0;
        let latency = pace(&server.endpoint, 16, rate, time);
        rates.push(rate);
        latencies.push(latency.unwrap_or_else(|error| panic!("{}: {error}", server.name)));
    }
    let of = |figure: fn(&Latency) -> Duration| {
        median(latencies.iter().map(|latency| figure(latency).as_secs_f64() * 1e6).collect())
    };
    let [half, p99, p999] = [of(|all| all.median), of(|all| all.p99), of(|all| all.p999)];
    results.add(format!("{},{:.0},{half:.0},{p99:.0},{p999:.0}", built.name(), median(rates)));
}

/// Rounds of every server in every shape.
fn compare<'s>(
    results: &mut Results,
    transport: &str,
    shapes: &[Shape],
    servers: impl Iterator<Item = &'s Built> + Clone,
) {
    let (rounds, time) =
        if is_test() { (1, Duration::from_millis(10)) } else { (15, Duration::from_millis(150)) };
    let mut seen: BTreeMap<(usize, usize), Vec<Round>> = BTreeMap::new();
    for _ in 0..rounds {
        // Of each shape; the floors are the first servers.
        let mut floors: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (number, built) in servers.clone().enumerate() {
            let server = if transport == "tcp" { built.start_tcp() } else { built.start_unix() };
            for (shape_number, shape) in shapes.iter().enumerate() {
                let figures = run(&server.endpoint, *shape, time, || server.processor());
                let figures = figures.unwrap_or_else(|error| panic!("{}, {shape:?}: {error}", server.name));
                assert!(figures.requests > 0 || is_test(), "{}, {shape:?}: nothing answered", server.name);
                let floors = floors.entry(shape_number).or_default();
                floors.push(figures.rate());
                let ratios =
                    [0, 1].map(|floor| floors.get(floor).map_or(f64::NAN, |floor| figures.rate() / floor));
                seen.entry((number, shape_number)).or_default().push((figures, ratios));
            }
        }
    }
    for (number, server) in servers.enumerate() {
        for (shape_number, Shape { connections, in_flight }) in shapes.iter().enumerate() {
            let Some(seen) = seen.get(&(number, shape_number)) else { continue };
            let of = |figure: fn(&Round) -> f64| median(seen.iter().map(figure).collect());
            let requests: u64 = seen.iter().map(|(seen, _)| seen.requests).sum();
            let processor: Duration = seen.iter().map(|(seen, _)| seen.processor).sum();
            results.add(format!(
                "{transport},{connections},{in_flight},{},{:.0},{:.3},{:.3},{:.2},{:.0},{:.0},{:.0}",
                server.name(),
                of(|(seen, _)| seen.rate()),
                of(|(_, [floor, _])| *floor),
                of(|(_, [_, floor])| *floor),
                processor.as_secs_f64() * 1e6 / requests as f64,
                of(|(seen, _)| seen.latency.median.as_secs_f64() * 1e6),
                of(|(seen, _)| seen.latency.p99.as_secs_f64() * 1e6),
                of(|(seen, _)| seen.latency.p999.as_secs_f64() * 1e6),
            ));
        }
    }
}
