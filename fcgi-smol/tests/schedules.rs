//! Random requests on one connection, in random pieces and orders, over a stream that takes random parts: each
//! answer is whole and its own.

mod support;

use fcgi_proto::record::RecordType;
use fcgi_smol::{Request, Status, serve_stream};
use proptest::collection::vec;
use proptest::prelude::*;
use smol::LocalExecutor;
use smol::future::yield_now;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use support::scripted::{Input, Room, Script};
use support::{Call, Outcome, answers, in_time, read_record, record, settings};

/// The CRC-32 of the body comes first in the answer, the rest is bytes of the request's id.
async fn handler(request: Request) -> Outcome {
    let number = |name: &str| request.param_str(name).unwrap_or_default().parse::<usize>();
    let (length, step, yields) = (number("LENGTH")?, number("STEP")?, number("YIELDS")?);
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; step];
    loop {
        let count = request.stdin().read(&mut buffer).await?;
        crc.update(&buffer[..count]);
        for _ in 0..yields {
            yield_now().await;
        }
        if count == 0 {
            break;
        }
    }
    let mut page = request.respond(Status::OK).header("Content-Type", "text/plain")?;
    page.write_all(format!("{:08x}", crc.finalize()).as_bytes()).await?;
    let bytes = vec![request.id().get() as u8; length];
    for part in bytes.chunks(step * 20) {
        page.write_all(part).await?;
    }
    Ok(())
}

#[derive(Clone, Debug)]
struct Plan {
    body: usize,
    /// Bytes of a STDIN record.
    piece: usize,
    length: usize,
    step: usize,
    yields: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    (0..60_000_usize, 1..20_000_usize, 0..200_000_usize, 100..5000_usize, 0..4_usize)
        .prop_map(|(body, piece, length, step, yields)| Plan { body, piece, length, step, yields })
}

fn room() -> impl Strategy<Value = Room> {
    prop_oneof![(1..100_000_usize).prop_map(Room::Bytes), Just(Room::Pending)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_whole_and_its_own(
        plans in vec(plan(), 1..64),
        order in vec(any::<prop::sample::Index>(), 1..500),
        cut in 1..80_000_usize,
        room in vec(room(), 0..200),
        body_room in 1..100_000_usize,
    ) {
        let bodies: Vec<Vec<u8>> = plans.iter().zip(1_u8..).map(|(plan, id)| vec![id; plan.body]).collect();
        let mut queues: Vec<_> = (plans.iter().zip(&bodies).zip(1_u16..)).map(|((plan, body), id)| {
            let numbers = [("LENGTH", plan.length), ("STEP", plan.step), ("YIELDS", plan.yields)];
            let call = Call::post("/", "").id(id);
            let call = numbers.iter().fold(call, |call, (name, number)| call.param(*name, number.to_string()));
            let stdin = body.chunks(plan.piece).map(|piece| record(RecordType::Stdin, id, piece));
            let parts = [call.begin(), call.opening()[16..].to_vec()].into_iter();
            parts.chain(stdin).chain([record(RecordType::Stdin, id, b"")]).collect::<std::collections::VecDeque<_>>()
        }).collect();
        let mut sent = Vec::new();
        let mut order = order.iter().cycle();
        while !queues.is_empty() {
            let i = order.next().expect("it is a cycle").index(queues.len());
            match queues[i].pop_front() {
                Some(part) => sent.extend(part),
                None => drop(queues.swap_remove(i)),
            }
        }
        let script = Script::new(sent.chunks(cut).flat_map(|part| [Input::Bytes(part.to_vec()), Input::Pending]));
        script.allow(room);
        let executor = LocalExecutor::new();
        let settings = settings(|settings| settings.body_room = body_room);
        in_time(executor.run(serve_stream(script.stream(), &settings, &executor, handler))).expect("FastCGI");
        let written = script.written();
        let mut rest = &*written;
        let answers = answers(std::iter::from_fn(|| read_record(&mut rest).expect("whole records")));
        prop_assert_eq!(answers.len(), plans.len());
        for ((plan, body), id) in plans.iter().zip(&bodies).zip(1_u16..) {
            let mut expected = format!("{:08x}", crc32fast::hash(body)).into_bytes();
            expected.resize(8 + plan.length, id as u8);
            answers[&id].assert_ok(expected);
        }
    }
}
