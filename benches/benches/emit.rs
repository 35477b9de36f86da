//! An answer on its way out: head, records and END_REQUEST of 1 KiB and 1 MiB, into a buffer.

#![allow(missing_docs)] // criterion's macros make public functions.

use std::hint::black_box;
use std::time::Duration;

use benches::request::REQUEST;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fcgi_proto::Limits;
use fcgi_proto::cgi::{Head, Status};
use fcgi_proto::record::RequestId;
use fcgi_proto::server::Connection;

fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit, a head");
    let mut head = Head::new([0; 512]);
    group.bench_function("fcgi-proto, 1 field", |bencher| {
        bencher.iter(|| {
            head.start(Status::OK).expect("there is room");
            head.field(b"Content-Type", b"text/plain").expect("a field");
            black_box(head.finish().expect("there is room").len())
        });
    });
    group.bench_function("fcgi-proto, 6 fields", |bencher| {
        bencher.iter(|| {
            head.start(Status::OK).expect("there is room");
            for (name, value) in [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Cache-Control", "private, max-age=0"),
                ("ETag", "\"0123456789abcdef\""),
                ("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT"),
                ("Set-Cookie", "session=0123456789abcdef; Path=/; HttpOnly"),
                ("Vary", "Accept-Encoding"),
            ] {
                head.field(name.as_bytes(), value.as_bytes()).expect("a field");
            }
            black_box(head.finish().expect("there is room").len())
        });
    });
    group.finish();
}

fn answer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("emit, an answer");
    for size in [1 << 10, 1 << 20] {
        let body = vec![b'x'; size];
        let mut head = Head::new([0; 512]);
        let mut output = vec![0; size + 4096];
        group.throughput(Throughput::Bytes(size as u64));
        // Copied into one buffer, and as borrowed slices for a vectored write.
        group.bench_function(BenchmarkId::new("fcgi-proto, copied", size), |bencher| {
            bencher.iter_batched_ref(
                begun,
                |(connection, id)| {
                    head.start(Status::OK).expect("there is room");
                    head.field(b"Content-Type", b"text/plain").expect("a field");
                    let (mut record, _) =
                        connection.stdout(*id, head.finish().expect("there is room")).expect("active");
                    let mut len = record.copy_to(&mut output);
                    let mut rest = &body[..];
                    while !rest.is_empty() {
                        let mut record;
                        (record, rest) = connection.stdout(*id, rest).expect("active");
                        len += record.copy_to(&mut output[len..]);
                    }
                    len += connection.finish(*id, 0).expect("active").copy_to(&mut output[len..]);
                    black_box(&output[..len]).len()
                },
                criterion::BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("fcgi-proto, as slices", size), |bencher| {
            bencher.iter_batched_ref(
                begun,
                |(connection, id)| {
                    head.start(Status::OK).expect("there is room");
                    head.field(b"Content-Type", b"text/plain").expect("a field");
                    let (record, _) =
                        connection.stdout(*id, head.finish().expect("there is room")).expect("active");
                    let mut len = black_box(record.slices()).len();
                    let mut rest = &body[..];
                    while !rest.is_empty() {
                        let record;
                        (record, rest) = connection.stdout(*id, rest).expect("active");
                        len += black_box(record.slices()).len();
                    }
                    len + black_box(&*connection.finish(*id, 0).expect("active")).len()
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// A connection with a request to be answered.
fn begun() -> (Connection<1>, RequestId) {
    let mut connection = Connection::new(Limits::default());
    let mut input = REQUEST;
    while connection.next_event(&mut input).expect("FastCGI").is_some() {}
    (connection, RequestId::ONE)
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = head, answer
}
criterion_main!(benches);
