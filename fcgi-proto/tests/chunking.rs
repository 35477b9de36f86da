//! Bytes cut anywhere: the decoders of records (section 3.3) and of pairs (section 3.4) find the same parts,
//! and outgoing records leave whole however little a write takes.

mod support;

use fcgi_proto::decoder::{self, Part};
use fcgi_proto::pair;
use fcgi_proto::record::{Control, Header, MAX_CONTENT, Record, RecordType, RequestId};
use fcgi_proto::server::{Connection, Refusal};
use fcgi_proto::{ConnectionError, Limits};
use support::*;

/// A part of a record, its content's pieces joined.
#[derive(Debug, PartialEq)]
enum Glued {
    Header(Header),
    Body(u8, u16, [u8; 8]),
    Content(u8, u16, Vec<u8>),
}

/// The parts of the records in the chunks, and whether they end at a boundary.
fn parts(chunks: &[&[u8]]) -> (Vec<Glued>, bool) {
    let mut decoder = decoder::Decoder::new();
    let mut parts = Vec::new();
    let mut more = None;
    for chunk in chunks {
        let mut input = *chunk;
        loop {
            let before = input.len();
            let Some(part) = decoder.next(&mut input).unwrap() else { break };
            assert!(input.len() < before, "{part:?} took no input");
            let was_cut = more.take();
            match part {
                Part::Header(header) => parts.push(Glued::Header(header)),
                Part::Body { record_type, request_id, body } => {
                    parts.push(Glued::Body(record_type, request_id, body));
                }
                Part::Content { record_type, request_id, data, last } => {
                    assert!(!data.is_empty());
                    match (parts.last_mut(), was_cut) {
                        (Some(Glued::Content(.., before)), Some(())) => before.extend(data),
                        _ => parts.push(Glued::Content(record_type, request_id, data.to_vec())),
                    }
                    more = (!last).then_some(());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(input.is_empty(), "input is left, and no part");
    }
    (parts, decoder.at_boundary())
}

/// What the walker of the tests finds in whole records.
fn expected(bytes: &[u8]) -> Vec<Glued> {
    let (records, rest) = walk(bytes);
    assert!(rest.is_empty());
    let mut parts = Vec::new();
    for Wire { kind, id, content, padding, .. } in records {
        let (content_length, padding_length) = (content.len() as u16, padding.len() as u8);
        parts.push(Glued::Header(Header {
            record_type: kind,
            padding_length,
            request_id: id,
            content_length,
        }));
        match <[u8; 8]>::try_from(&content[..]) {
            Ok(body) if matches!(kind, BEGIN | END | UNKNOWN_TYPE) => parts.push(Glued::Body(kind, id, body)),
            _ if content.is_empty() => {}
            _ => parts.push(Glued::Content(kind, id, content)),
        }
    }
    parts
}

/// Records of every type, with contents and padding of several lengths.
fn records() -> Client {
    let mut client = Client::new();
    for kind in (0..=12).chain([255]) {
        for (content, padding) in [(0, 0), (0, 3), (1, 0), (7, 1), (8, 0), (8, 8), (9, 2), (16, 0)] {
            let bytes: Vec<u8> = (1..=16).map(|i| i * 5).collect();
            client =
                client.padding(&[0xa5; 8][..padding]).record(kind, u16::from(kind) + 250, &bytes[..content]);
        }
    }
    client
}

#[test]
fn the_decoder_finds_the_same_parts_at_every_cut() {
    let bytes = records();
    let expected = expected(&bytes);
    assert_eq!(parts(&[&bytes]), (expected, true));
    let whole = parts(&[&bytes]);
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(parts(&[front, back]), whole, "cut at {at}");
    }
}

#[test]
fn the_decoder_finds_the_same_parts_at_every_pair_of_cuts_of_a_record() {
    for kind in [BEGIN, STDIN] {
        let bytes = Client::new().padding(&[1; 3]).record(kind, 1, b"contents").record(kind, 1, b"");
        let whole = parts(&[&bytes]);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let chunks = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(parts(&chunks), whole, "cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn the_decoder_finds_the_same_parts_byte_by_byte_and_in_random_cuts() {
    let bytes = records();
    let whole = parts(&[&bytes]);
    assert_eq!(parts(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    for seed in 1..50 {
        assert_eq!(parts(&cut(&bytes, 30, seed)), whole, "seed {seed}");
    }
}

#[test]
fn the_largest_record_of_every_type_may_be_cut_near_all_its_borders() {
    let content: Vec<u8> = (0..65_535_u32).map(|i| (i * 7) as u8).collect();
    for kind in (0..=12).chain([255]) {
        let client = Client::new().padding(&[0xee; 255]).record(kind, 1, &content).padding(b"");
        let bytes = client.record(STDIN, 2, b"next");
        let whole = parts(&[&bytes]);
        assert_eq!(whole, (expected(&bytes), true), "type {kind}");
        for border in [0, 8, 32_768, 8 + 65_535, 8 + 65_535 + 255, bytes.len()] {
            for at in border.saturating_sub(9)..=(border + 9).min(bytes.len()) {
                let (front, back) = bytes.split_at(at);
                assert_eq!(parts(&[front, back]), whole, "type {kind} cut at {at}");
            }
        }
    }
}

#[test]
fn the_decoder_knows_at_every_byte_what_is_missing() {
    let bytes = Client::new().padding(&[0; 5]).record(BEGIN, 1, &[1; 8]).record(STDIN, 1, b"abc");
    let mut decoder = decoder::Decoder::new();
    let mut missing = Vec::new();
    for byte in bytes.chunks(1) {
        let mut input = byte;
        while decoder.next(&mut input).unwrap().is_some() {}
        assert_eq!(decoder.at_boundary(), decoder.missing() == 0);
        missing.push(decoder.missing());
    }
    let down = |from: u32| (0..from).rev();
    let header = |rest: u32| (1..8).rev().chain([rest]);
    let expected = header(13).chain(down(13)).chain(header(8)).chain(down(8));
    assert_eq!(missing, expected.collect::<Vec<_>>());
}

#[test]
fn a_foreign_version_is_an_error_at_every_cut() {
    let bytes = Client::new().record(STDIN, 1, b"abc").raw(&[7; 8]);
    for at in 0..=bytes.len() {
        let (mut front, mut back) = bytes.split_at(at);
        let mut decoder = decoder::Decoder::new();
        let mut decode = |input: &mut &[u8]| {
            while decoder.next(input)?.is_some() {}
            Ok(())
        };
        let result = decode(&mut front).and_then(|()| decode(&mut back));
        assert_eq!(result, Err(ConnectionError::Version { found: 7 }), "cut at {at}");
    }
}

type OwnedPairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The pairs that a decoder finds in the chunks, those that are cut joined, and whether they end at a boundary.
fn decoded_pairs(chunks: &[&[u8]]) -> (OwnedPairs, bool) {
    let mut decoder = pair::Decoder::new();
    let mut pairs = Vec::new();
    let mut cut = None;
    for chunk in chunks {
        let mut rest = *chunk;
        loop {
            let before = rest.len();
            let Some(part) = decoder.next(&mut rest) else { break };
            assert!(rest.len() < before, "{part:?} took no input");
            let (lengths, name, value): &mut ((u32, u32), Vec<u8>, Vec<u8>) = match part {
                pair::Part::Pair { name, value } => {
                    assert!(cut.is_none());
                    pairs.push((name.to_vec(), value.to_vec()));
                    continue;
                }
                pair::Part::Sizes { name_len, value_len } => {
                    assert!(cut.is_none());
                    cut = Some(((name_len, value_len), Vec::new(), Vec::new()));
                    continue;
                }
                _ => cut.as_mut().unwrap(),
            };
            let whole = match part {
                pair::Part::Name { data, last } => {
                    assert!(!data.is_empty() && value.is_empty());
                    name.extend(data);
                    assert_eq!(last, name.len() == lengths.0 as usize);
                    last && lengths.1 == 0
                }
                pair::Part::Value { data, last } => {
                    assert!(!data.is_empty() && name.len() == lengths.0 as usize);
                    value.extend(data);
                    assert_eq!(last, value.len() == lengths.1 as usize);
                    last
                }
                other => panic!("{other:?}"),
            };
            if whole {
                pairs.extend(cut.take().map(|(_, name, value)| (name, value)));
            }
            assert_eq!(decoder.at_boundary(), cut.is_none());
        }
        assert!(rest.is_empty(), "bytes are left, and no part");
    }
    (pairs, decoder.at_boundary())
}

#[test]
fn pairs_may_be_cut_anywhere() {
    let list = [
        (b"REQUEST_METHOD".to_vec(), b"GET".to_vec()),
        (vec![b'n'; 130], vec![]),
        (vec![], vec![b'v'; 200]),
        (vec![], vec![]),
        (b"LAST".to_vec(), b"one".to_vec()),
    ];
    let bytes = [&pairs(&list)[..], b"\x80\0\0\x01\x80\0\0\x02ABC", b"\x01\x80\0\0\0Z"].concat();
    let mut expected = list.to_vec();
    expected.extend([(b"A".to_vec(), b"BC".to_vec()), (b"Z".to_vec(), vec![])]);
    assert_eq!(decoded_pairs(&[&bytes]), (expected.clone(), true));
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(decoded_pairs(&[front, back]), (expected.clone(), true), "cut at {at}");
        let (three, two) = (&back[..back.len().min(3)], &back[back.len().min(3)..]);
        assert_eq!(decoded_pairs(&[front, three, two]), (expected.clone(), true), "3 bytes from {at}");
    }
    assert_eq!(decoded_pairs(&bytes.chunks(1).collect::<Vec<_>>()), (expected, true));
}

#[test]
fn pairs_that_end_inside_one_are_not_at_a_boundary() {
    let bytes = [pairs(&[("A", "b")]), pairs(&[("NAME", &*"v".repeat(200))])].concat();
    for end in 0..=bytes.len() {
        let (pairs, at_boundary) = decoded_pairs(&cut(&bytes[..end], 5, end as u64 + 1));
        assert_eq!(at_boundary, [0, 4, bytes.len()].contains(&end), "{end} bytes");
        assert_eq!(pairs.len(), usize::from(end >= 4) + usize::from(end == bytes.len()));
    }
}

fn stream(data: &[u8]) -> Record<'_> {
    Record::stream(RecordType::Stdout, RequestId::ONE, data).0
}

#[test]
fn a_record_leaves_whole_whatever_each_write_takes() {
    for length in [0, 1, 2, 7, 8, 9, 15, 16, 40] {
        let data: Vec<u8> = (1..=length).collect();
        let whole = stream(&data).slices().concat();
        assert_eq!(whole.len(), if data.is_empty() { 0 } else { 8 + data.len().next_multiple_of(8) });
        for first in 0..=whole.len() {
            let mut record = stream(&data);
            record.advance(first);
            assert_eq!(record.slices().concat(), whole[first..]);
            assert_eq!(record.remaining(), whole.len() - first);
            for second in 0..=whole.len() - first {
                let mut record = record.clone();
                record.advance(second);
                assert_eq!(record.slices().concat(), whole[first + second..], "{first} and {second}");
            }
        }
    }
}

#[test]
fn more_than_is_left_of_a_record_counts_as_all_of_it() {
    let mut record = stream(b"hello");
    for _ in 0..3 {
        record.advance(usize::MAX);
        assert_eq!(record.remaining(), 0);
        assert_eq!(record.slices().concat(), b"");
    }
    assert_eq!(record.copy_to(&mut [0; 8]), 0);
}

#[test]
fn a_record_is_copied_into_buffers_of_any_size() {
    let data = [b'x'; 45];
    let whole = stream(&data).slices().concat();
    for size in 1..70 {
        let mut record = stream(&data);
        let mut copied: Vec<u8> = Vec::new();
        let mut buffer = vec![0xff; size];
        while record.remaining() > 0 {
            let before = record.remaining();
            let count = record.copy_to(&mut buffer);
            assert_eq!(count, before.min(size));
            copied.extend(&buffer[..count]);
        }
        assert_eq!(copied, whole, "{size} bytes at a time");
    }
    assert_eq!(stream(&data).copy_to(&mut []), 0);
}

#[test]
fn data_beyond_one_record_is_left_for_the_next() {
    assert_eq!(MAX_CONTENT, 65_528);
    for (length, first) in [(65_527, 65_527), (65_528, 65_528), (65_529, 65_528), (200_000, 65_528)] {
        let data = vec![b'x'; length];
        let (record, rest) = Record::stream(RecordType::Stdout, id(258), &data);
        assert_eq!((record.slices()[1].len(), rest.len()), (first, length - first));
        assert_eq!(record.slices()[0][..4], [1, STDOUT, 1, 2]);
        assert_eq!(answer_records(&record.slices().concat())[0].content.len(), first);
    }
}

#[test]
fn records_of_stderr_are_whole_whatever_their_length() {
    for length in [1, 7, 8, 9, 65_519, 65_520, 65_521, 65_528, 65_535, 100_000] {
        let data: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let (mut rest, mut sent) = (&data[..], Vec::new());
        while !rest.is_empty() {
            let (record, left) = Record::stream(RecordType::Stderr, RequestId::ONE, rest);
            let slices = record.slices();
            assert!(slices[1].len() + slices[2].len() <= 65_535);
            send(&record, &mut sent);
            rest = left;
        }
        let content: Vec<u8> = answer_records(&sent).into_iter().flat_map(|record| record.content).collect();
        assert!(content == data, "{length} bytes");
    }
}

/// Controls of every kind that a connection makes.
fn controls() -> Vec<Control> {
    let begin = Client::new().begin(1, AUTHORIZER, KEEP).params(1, b"").begin(2, RESPONDER, KEEP);
    let bytes = begin.get_values(VALUES).record(50, 0, b"").begin(3, RESPONDER, KEEP);
    let mut connection = Connection::<2>::new(Limits::default());
    eat(&mut connection, &bytes);
    let mut controls: Vec<_> = std::iter::from_fn(|| connection.poll_reply()).collect();
    assert_eq!(controls.len(), 3);
    let _ = connection.stderr(id(1), b"!").unwrap();
    controls.push(connection.finish(id(1), 1).unwrap());
    controls.push(connection.reject(id(2), Refusal::Malformed).unwrap());
    controls
}

#[test]
fn a_control_leaves_whole_whatever_each_write_takes() {
    for control in controls() {
        let whole = control.to_vec();
        answer_records(&whole);
        for first in 0..=whole.len() {
            let mut control = control.clone();
            control.advance(first);
            assert_eq!((&control[..], control.remaining()), (&whole[first..], whole.len() - first));
            control.advance(3);
            assert_eq!(&control[..], &whole[(first + 3).min(whole.len())..]);
            control.advance(usize::MAX);
            assert_eq!(control.remaining(), 0);
        }
        for size in 1..whole.len() + 2 {
            let mut control = control.clone();
            let mut copied: Vec<u8> = Vec::new();
            let mut buffer = vec![0xff; size];
            while control.remaining() > 0 {
                let count = control.copy_to(&mut buffer);
                copied.extend(&buffer[..count]);
            }
            assert_eq!(copied, whole, "{size} bytes at a time");
        }
    }
}
