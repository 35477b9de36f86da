//! From the bytes of a request to usable parameters and one look-up, and the cost of bodies and of many pairs.
//! tokio-fastcgi is the one peer whose parser can be called without a socket.

#![allow(missing_docs)] // criterion's macros make public functions.

use std::hint::black_box;
use std::time::Duration;

use benches::request::{REQUEST, pairs, request};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fcgi_proto::Limits;
use fcgi_proto::decoder::Decoder;
use fcgi_proto::pair::{self, Params, ParamsBuf};
use fcgi_proto::server::{Connection, Event};
use smol::future::block_on;
use tokio_fastcgi::{RequestResult, Requests};

/// Takes a request in with storage of the caller's choice and looks one variable up in it.
macro_rules! take_in {
    ($connection:expr, $params:expr, $input:expr) => {{
        let (mut input, mut found) = (black_box($input), 0);
        while let Some(event) = $connection.next_event(&mut input).expect("FastCGI") {
            match event {
                Event::Params { data, .. } => $params.push(data).expect("there is room"),
                Event::ParamsEnd { .. } => {
                    $params.finish().expect("whole pairs");
                    found += $params.get(b"DOCUMENT_URI").map_or(0, <[u8]>::len);
                }
                Event::Stdin { data, .. } => found += data.len(),
                Event::StdinEnd { id } => {
                    let _ = black_box($connection.finish(id, 0).expect("it is active"));
                }
                _ => {}
            }
        }
        found
    }};
}

fn tokio_fastcgi(input: &[u8]) -> usize {
    block_on(async {
        let mut requests = Requests::new(input, tokio::io::sink(), 1, 1);
        let request = requests.next().await.expect("FastCGI").expect("a request");
        // It has read all of STDIN by now.
        let found = request.get_str_param("document_uri").map_or(0, str::len);
        request.process(async |_| RequestResult::Complete(0)).await.expect("it ends");
        found
    })
}

fn one_request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    let mut connection = Connection::<1>::new(Limits::default());
    let mut params = Params::<2048>::new();
    group.bench_function("fcgi-proto, Params", |bencher| {
        bencher.iter(|| {
            params.clear();
            take_in!(connection, params, REQUEST)
        });
    });
    let mut params = ParamsBuf::new(16 * 1024);
    group.bench_function("fcgi-proto, ParamsBuf", |bencher| {
        bencher.iter(|| {
            params.clear(16 * 1024);
            take_in!(connection, params, REQUEST)
        });
    });
    group.bench_function("fcgi-proto, pair::Decoder", |bencher| {
        bencher.iter(|| {
            let (mut input, mut decoder, mut found) = (black_box(REQUEST), pair::Decoder::new(), 0);
            while let Some(event) = connection.next_event(&mut input).expect("FastCGI") {
                match event {
                    Event::Params { mut data, .. } => {
                        while let Some(part) = decoder.next(&mut data) {
                            if let pair::Part::Pair { name: b"DOCUMENT_URI", value } = part {
                                found = value.len();
                            }
                        }
                    }
                    Event::StdinEnd { id } => {
                        drop(black_box(connection.finish(id, 0).expect("it is active")))
                    }
                    _ => {}
                }
            }
            found
        });
    });
    group.bench_function("tokio-fastcgi", |bencher| bencher.iter(|| tokio_fastcgi(black_box(REQUEST))));
    group.finish();
}

fn by_pairs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse, by pairs");
    for count in [1, 10, 100, 1000] {
        let bytes = request(&pairs(count), 0);
        group.throughput(Throughput::Elements(count as u64));
        let mut connection = Connection::<1>::new(Limits::default());
        let mut params = ParamsBuf::new(64 * 1024);
        group.bench_with_input(BenchmarkId::new("fcgi-proto", count), &bytes[..], |bencher, bytes| {
            bencher.iter(|| {
                params.clear(64 * 1024);
                take_in!(connection, params, bytes)
            });
        });
        group.bench_with_input(BenchmarkId::new("tokio-fastcgi", count), &bytes[..], |bencher, bytes| {
            bencher.iter(|| tokio_fastcgi(black_box(bytes)));
        });
    }
    group.finish();
}

fn by_body(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse, by bytes of STDIN");
    for size in [1 << 10, 1 << 15, 1 << 20] {
        let bytes = request(&pairs(10), size);
        group.throughput(Throughput::Bytes(size as u64));
        let mut decoder = Decoder::new();
        group.bench_with_input(
            BenchmarkId::new("fcgi-proto, decoder", size),
            &bytes[..],
            |bencher, bytes| {
                bencher.iter(|| {
                    let (mut input, mut parts) = (black_box(bytes), 0);
                    while decoder.next(&mut input).expect("FastCGI").is_some() {
                        parts += 1;
                    }
                    parts
                });
            },
        );
        let mut connection = Connection::<1>::new(Limits::default());
        let mut params = ParamsBuf::new(16 * 1024);
        group.bench_with_input(BenchmarkId::new("fcgi-proto", size), &bytes[..], |bencher, bytes| {
            bencher.iter(|| {
                params.clear(16 * 1024);
                take_in!(connection, params, bytes)
            });
        });
        group.bench_with_input(BenchmarkId::new("tokio-fastcgi", size), &bytes[..], |bencher, bytes| {
            bencher.iter(|| tokio_fastcgi(black_box(bytes)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = one_request, by_pairs, by_body
}
criterion_main!(benches);
