//! The pool as a service: answers that are taken in faster than they are read.

use std::io;

use bytes::Bytes;
use fcgi_proto::record::RecordType;
use fcgi_smol::memory::{End, listen};
use fcgi_smol::tower::{Buffered, ResponseBody};
use fcgi_smol::{Pool, PoolSettings, Spawn};
use http_body_util::{BodyExt, Full};
use shuttle::future::block_on;
use tower_service::Service;

use crate::link::{answer, applications, body, head};
use crate::wire::{read_record, record};
use crate::{Tasks, endpoint, orders};

/// A service that has so much of an answer in memory, and so much in a file.
fn service<E>(executor: E, memory: usize, file: u64) -> Buffered<E> {
    applications(listen(&endpoint("application"), 700), application);
    let mut settings = PoolSettings::default();
    settings.max_connections = 1;
    let mut service = Buffered::new(Pool::new([endpoint("application")], settings), executor);
    (service.memory, service.file) = (memory, file);
    service
}

/// Answers with so many bytes as the request's body says, and does not end the answer if that is all it says.
fn application(mut end: &End) -> io::Result<()> {
    let mut asked = Vec::new();
    while let Some(came) = read_record(end)? {
        match came.record_type {
            RecordType::Stdin if came.content.is_empty() => break,
            RecordType::Stdin => asked.extend(came.content),
            _ => {}
        }
    }
    let asked = String::from_utf8(asked).expect("text");
    let (length, ends) = asked.split_once(' ').unwrap_or((&asked, ""));
    let sent = body(1, length.parse().expect("a number"));
    if !ends.is_empty() {
        return io::Write::write_all(&mut end, &answer(1, &sent));
    }
    let part = [head(1), record(RecordType::Stdout, 1, &sent)].concat();
    io::Write::write_all(&mut end, &part)?;
    io::copy(&mut end, &mut io::sink()).map(drop)
}

async fn ask<E>(service: &mut Buffered<E>, asked: &'static str) -> ResponseBody
where
    Buffered<E>:
        Service<http::Request<Full<Bytes>>, Response = http::Response<ResponseBody>, Error: std::fmt::Debug>,
{
    let request = http::Request::post("/").body(Full::from(asked)).expect("a request");
    service.call(request).await.expect("an answer").into_body()
}

#[test]
fn an_answer_is_taken_in_and_read_at_the_same_time() {
    orders(|| {
        for file in [0, 500] {
            let mut service = service(Tasks, 300, file);
            let read = block_on(async { ask(&mut service, "1000 whole").await.collect().await });
            assert_eq!(read.expect("no failure").to_bytes(), body(1, 1000));
        }
    });
}

#[test]
fn what_was_taken_in_is_read_while_the_application_waits() {
    orders(|| {
        let mut service = service(Tasks, 100, 100_000);
        block_on(async {
            let (mut answer, mut read) = (ask(&mut service, "500").await, 0);
            while read < 500 {
                let frame = answer.frame().await.expect("it has not ended").expect("no failure");
                read += frame.into_data().expect("a part of the body").len();
            }
        });
    });
}

#[test]
fn an_answer_that_nobody_reads_any_more_gives_its_connection_back() {
    orders(|| {
        let mut service = service(Tasks, 100, 0);
        block_on(async {
            for asked in ["50", "500 whole"] {
                drop(ask(&mut service, asked).await);
            }
            ask(&mut service, "10 whole").await.collect().await.expect("no failure");
        });
    });
}

#[test]
fn an_answer_that_nobody_takes_in_any_more_is_cut() {
    #[derive(Clone)]
    struct Nobody;

    impl<F> Spawn<F> for Nobody {
        fn spawn_detached(&self, future: F) {
            drop(future);
        }
    }

    orders(|| {
        let mut service = service(Nobody, 100, 0);
        block_on(async {
            ask(&mut service, "50").await.collect().await.expect_err("it is not whole");
        });
    });
}
