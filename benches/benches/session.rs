//! Whole requests through a client and a server connection in memory: one at a time, and 64 multiplexed on
//! one connection. No peer multiplexes, and none can be driven without a socket on both sides.

#![allow(missing_docs)] // criterion's macros make public functions.

use std::hint::black_box;
use std::time::Duration;

use benches::request::{BODY, HEAD, params};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fcgi_proto::Limits;
use fcgi_proto::record::Role;
use fcgi_proto::{client, server};

/// `N` requests of nginx's 27 pairs, each answered with 1 KiB when it has come whole. Returns how many ended.
fn requests<const N: usize>(
    client: &mut client::Connection<N>,
    server: &mut server::Connection<N>,
    up: &mut Vec<u8>,
    down: &mut Vec<u8>,
) -> usize {
    up.clear();
    down.clear();
    for _ in 0..N {
        let (id, begin) = client.begin(Role::Responder, true).expect("an id is free");
        up.extend_from_slice(&begin);
        let record = client.params(id, params()).expect("it fits a record");
        record.slices().iter().for_each(|slice| up.extend_from_slice(slice));
        up.extend_from_slice(&client.params_end(id).expect("in order"));
        up.extend_from_slice(&client.stdin_end(id).expect("in order"));
    }
    let (mut input, mut taken) = (black_box(&up[..]), 0);
    while let Some(event) = server.next_event(&mut input).expect("FastCGI") {
        match event {
            server::Event::Params { data, .. } => taken += data.len(),
            server::Event::StdinEnd { id } => {
                for part in [HEAD, &BODY] {
                    let (record, _) = server.stdout(id, part).expect("active");
                    record.slices().iter().for_each(|slice| down.extend_from_slice(slice));
                }
                down.extend_from_slice(&server.finish(id, 0).expect("active"));
            }
            _ => {}
        }
    }
    assert_eq!(taken, N * params().len());
    let (mut input, mut ended) = (black_box(&down[..]), 0);
    while let Some(event) = client.next_event(&mut input).expect("FastCGI") {
        ended += usize::from(matches!(event, client::Event::End { protocol_status: 0, .. }));
    }
    ended
}

fn session<const N: usize>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group("session");
    group.throughput(Throughput::Elements(N as u64));
    let mut client = client::Connection::<N>::new(Limits::default());
    let mut server = server::Connection::<N>::new(Limits::default());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    group.bench_function(name, |bencher| {
        bencher.iter(|| assert_eq!(requests(&mut client, &mut server, &mut up, &mut down), N));
    });
    group.finish();
}

fn sessions(criterion: &mut Criterion) {
    session::<1>(criterion, "one at a time");
    session::<64>(criterion, "64 multiplexed");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = sessions
}
criterion_main!(benches);
