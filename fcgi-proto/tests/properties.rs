//! Properties that hold for all inputs: encoding and decoding are inverse, every way to read pairs agrees with
//! a plain one, and either side's events are those of a plain model, for any bytes in any cuts.

mod support;
#[path = "support/client.rs"]
mod web_server;

use std::net::IpAddr;

use fcgi_proto::pair::{self, Decoder, Packer, Pairs, Params, ParamsBuf, Part};
use fcgi_proto::process::WebServerAddrs;
use fcgi_proto::record::{
    BeginRequest, EndRequest, Flags, Header, Record, RecordType, UnknownType, WrongVersion,
};
use fcgi_proto::{ConnectionError, Limits, decoder};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::*;

/// The same cases at every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1996), failure_persistence: None, ..Default::default() }
}

type OwnedPairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Ten lines that read pairs: those that are whole, and the bytes after them.
fn plain_pairs(mut bytes: &[u8]) -> (OwnedPairs, &[u8]) {
    fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
        let (wide, rest) = (bytes.first()? >> 7 == 1, bytes);
        let (length, rest) = rest.split_at_checked(if wide { 4 } else { 1 })?;
        Some((length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) & 0x7fff_ffff, rest))
    }
    let mut pairs = Vec::new();
    while let Some((name, rest)) = length(bytes) {
        let Some((value, rest)) = length(rest) else { break };
        let Some(rest) = rest.get(..name + value).map(|_| rest) else { break };
        pairs.push((rest[..name].to_vec(), rest[name..name + value].to_vec()));
        bytes = &rest[name + value..];
    }
    (pairs, bytes)
}

fn owned(pairs: Pairs<'_>) -> OwnedPairs {
    pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// The pairs that a decoder without storage finds, and whether the stream may end there.
fn decoded(chunks: &[&[u8]]) -> (OwnedPairs, bool) {
    let mut decoder = Decoder::new();
    let (mut pairs, mut name, mut value, mut missing) = (Vec::new(), Vec::new(), Vec::new(), 0_u64);
    for chunk in chunks {
        let mut rest = *chunk;
        while let Some(part) = decoder.next(&mut rest) {
            match part {
                Part::Pair { name, value } => {
                    pairs.push((name.to_vec(), value.to_vec()));
                    continue;
                }
                Part::Sizes { name_len, value_len } => missing = u64::from(name_len) + u64::from(value_len),
                Part::Name { data, .. } => name.extend(data),
                Part::Value { data, .. } => value.extend(data),
                other => panic!("{other:?}"),
            }
            if (name.len() + value.len()) as u64 == missing {
                pairs.push((std::mem::take(&mut name), std::mem::take(&mut value)));
            }
        }
        assert!(rest.is_empty());
    }
    (pairs, decoder.at_boundary())
}

/// All ways to read pairs, in any cuts, against the plain one.
fn pairs_agree(bytes: &[u8], seed: u64) {
    let (expected, rest) = plain_pairs(bytes);
    let mut pairs = Pairs::new(bytes);
    assert_eq!(owned(pairs.clone()), expected);
    pairs.by_ref().for_each(drop);
    assert_eq!(pairs.rest(), rest);
    let check = Pairs::new(bytes).check().map_err(|error| (error.whole, error.left));
    let is_whole = if rest.is_empty() { Ok(()) } else { Err((bytes.len() - rest.len(), rest.len())) };
    assert_eq!(check, is_whole);
    for most in [1, 2, 7, 100, 10_000] {
        let chunks = cut(bytes, most, seed);
        let (mut fixed, mut growing) = (Params::<20_000>::new(), ParamsBuf::new(20_000));
        for chunk in &chunks {
            fixed.push(chunk).unwrap();
            growing.push(chunk).unwrap();
        }
        assert_eq!((owned(fixed.iter()), owned(growing.iter())), (expected.clone(), expected.clone()));
        assert_eq!((fixed.finish().is_ok(), growing.finish().is_ok()), (rest.is_empty(), rest.is_empty()));
        assert_eq!(decoded(&chunks), (expected.clone(), rest.is_empty()));
    }
    for (name, _) in &expected {
        let last = expected.iter().rfind(|(found, _)| found == name).map(|(_, value)| &value[..]);
        assert_eq!(Pairs::new(bytes).get(name), last);
        let values = Pairs::new(bytes).values([b"no such name", name]);
        assert_eq!(values.map_err(|error| (error.whole, error.left)), is_whole.map(|()| [None, last]));
    }
    let (mut fixed, mut growing) = (Params::<20_000>::new(), ParamsBuf::new(20_000));
    fixed.push(bytes).unwrap();
    growing.push(bytes).unwrap();
    for name in expected.iter().map(|(name, _)| &name[..]).chain([&b"no such name"[..]]) {
        let last = Pairs::new(bytes).get(name);
        assert_eq!((fixed.get(name), growing.get(name)), (last, last));
    }
    assert_eq!((owned((&fixed).into_iter()), owned((&growing).into_iter())), (expected.clone(), expected));
}

/// Bytes in which lengths are often small enough to be true.
fn likely_pairs() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![4 => 0..4_u8, 1 => Just(0x80_u8), 1 => any::<u8>()], 0..200)
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn encoding_and_decoding_pairs_are_inverse(
        list in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200)), 0..10),
        seed: u64,
    ) {
        let (mut buffer, mut len) = ([0; 5_000], 0);
        for (name, value) in &list {
            let before = len;
            pair::encode(name, value, &mut buffer, &mut len).unwrap();
            prop_assert_eq!(Some(len - before), pair::encoded_len(name, value));
        }
        prop_assert_eq!(&buffer[..len], &pairs(&list)[..]);
        prop_assert_eq!(owned(Pairs::new(&buffer[..len])), list);
        pairs_agree(&buffer[..len], seed);
    }

    #[test]
    fn a_pair_that_does_not_fit_its_buffer_changes_nothing(
        name in vec(any::<u8>(), 0..150),
        value in vec(any::<u8>(), 0..150),
        room in 0..310_usize,
        before in 0..20_usize,
    ) {
        let mut buffer = vec![0xee; room + before];
        let mut len = before;
        let needed = pair::encoded_len(&name, &value).unwrap();
        let result = pair::encode(&name, &value, &mut buffer, &mut len);
        prop_assert_eq!(result.is_ok(), needed <= room);
        if let Err(error) = result {
            prop_assert_eq!((error.capacity, error.needed), (room + before, before + needed));
            prop_assert_eq!(len, before);
            prop_assert!(buffer.iter().all(|byte| *byte == 0xee));
        }
    }

    #[test]
    fn packed_records_join_to_all_pairs_and_split_none(
        list in vec((vec(any::<u8>(), 0..150), vec(any::<u8>(), 0..150)), 0..20),
        room in 0..700_usize,
    ) {
        let mut packer = Packer::new(vec![0; room]);
        let (mut packed, mut kept) = (Vec::new(), OwnedPairs::new());
        for (name, value) in &list {
            let fits = pair::encoded_len(name, value).unwrap() <= room;
            if packer.push(name, value).is_err() {
                prop_assert!(Pairs::new(packer.bytes()).check().is_ok());
                packed.extend_from_slice(packer.bytes());
                packer.clear();
                prop_assert_eq!(packer.push(name, value).is_ok(), fits);
            }
            if fits {
                kept.push((name.clone(), value.clone()));
            }
        }
        packed.extend_from_slice(packer.bytes());
        prop_assert_eq!(owned(Pairs::new(&packed)), kept);
    }

    #[test]
    fn all_ways_to_read_pairs_agree_on_any_bytes(bytes in likely_pairs(), seed: u64) {
        pairs_agree(&bytes, seed);
    }

    #[test]
    fn all_ways_to_read_pairs_agree_on_random_bytes(bytes in vec(any::<u8>(), 0..400), seed: u64) {
        pairs_agree(&bytes, seed);
    }

    #[test]
    fn parsing_and_encoding_a_header_are_inverse(mut bytes: [u8; 8]) {
        if bytes[0] % 4 > 0 {
            bytes[0] = 1;
        }
        match Header::parse(&bytes) {
            Err(WrongVersion(version)) => prop_assert!(version == bytes[0] && version != 1),
            Ok(header) => {
                bytes[7] = 0; // the reserved byte
                prop_assert_eq!(header.encode(), bytes);
                prop_assert_eq!(Header::parse(&header.encode()), Ok(header));
            }
        }
    }

    #[test]
    fn parsing_and_encoding_the_fixed_bodies_are_inverse(bytes: [u8; 8]) {
        let begin = BeginRequest::parse(&bytes);
        prop_assert_eq!(begin.flags, Flags(bytes[2]));
        prop_assert_eq!(begin.encode(), [bytes[0], bytes[1], bytes[2], 0, 0, 0, 0, 0]);
        prop_assert_eq!(BeginRequest::parse(&begin.encode()), begin);
        let end = EndRequest::parse(&bytes);
        prop_assert_eq!(end.encode(), [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], 0, 0, 0]);
        prop_assert_eq!(EndRequest::parse(&end.encode()), end);
        let unknown = UnknownType::parse(&bytes);
        prop_assert_eq!(unknown.encode(), [bytes[0], 0, 0, 0, 0, 0, 0, 0]);
        prop_assert_eq!(UnknownType::parse(&unknown.encode()), unknown);
    }

    #[test]
    fn the_records_of_a_stream_join_to_its_data(
        length in prop_oneof![0..100_usize, 65_500..65_600_usize, 0..300_000_usize],
        number in 1..=u16::MAX,
        buffer_len in 1..100_000_usize,
    ) {
        let data: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let (mut rest, mut sent) = (&data[..], Vec::new());
        let mut buffer = vec![0; buffer_len];
        while !rest.is_empty() {
            let (mut record, left) = Record::stream(RecordType::Stdout, id(number), rest);
            prop_assert!(left.len() < rest.len());
            rest = left;
            while record.remaining() > 0 {
                let count = record.copy_to(&mut buffer);
                sent.extend(&buffer[..count]);
            }
        }
        let records = answer_records(&sent);
        prop_assert_eq!(records.len(), length.div_ceil(65_528));
        prop_assert!(records.iter().all(|r| (r.kind, r.id) == (STDOUT, number) && !r.content.is_empty()));
        let joined: Vec<u8> = records.into_iter().flat_map(|record| record.content).collect();
        prop_assert!(joined == data);
    }
}

/// A record as a careless or hostile client might send it.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    let content = prop_oneof![
        3 => Just(Vec::new()),
        3 => vec(any::<u8>(), 1..12),
        2 => Just(get()),
        1 => Just(vec![7; 300]),
        1 => Just(pairs(&[("FCGI_MAX_CONNS", ""), ("FCGI_MAX_REQS", "")])),
    ];
    let record = (0..14_u8, 0..4_u16, content, 0..10_usize).prop_map(|(kind, id, content, padding)| {
        Client::new().padding(&vec![0xa5; padding]).record(kind, id, &content)
    });
    let begin =
        (1..4_u16, 0..5_u16, 0..2_u8).prop_map(|(id, role, flags)| Client::new().begin(id, role, flags));
    let request = (1..4_u16, 0..8_u8).prop_map(|(id, flags)| Client::new().request(id, u8::from(flags > 0)));
    let open =
        (1..4_u16, 1..4_u16).prop_map(|(id, role)| Client::new().begin(id, role, KEEP).params(id, b""));
    prop_oneof![
        6 => record,
        2 => begin,
        3 => request,
        2 => open,
    ]
    .prop_map(|client| client.to_vec())
}

/// Records in a row, and now and then a byte changed in them.
fn any_session() -> impl Strategy<Value = Vec<u8>> {
    let change = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    (vec(any_record(), 0..25), change).prop_map(|(records, change)| {
        let mut bytes = records.concat();
        if let Some((at, byte)) = change.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let limit = || prop_oneof![3 => Just(u32::MAX), 1 => 0..60_u32];
    (limit(), limit(), limit(), prop_oneof![3 => Just(u32::MAX), 1 => 0..400_u32]).prop_map(
        |(params, stdin, data, ignored)| {
            limits(|limits| {
                (limits.params, limits.stdin, limits.data, limits.ignored) = (params, stdin, data, ignored);
            })
        },
    )
}

/// What holds of every transcript; that it is the same for all cuts, the driver checks.
fn is_sane(t: &Transcript, bytes: &[u8]) {
    let mut begun = std::collections::BTreeSet::new();
    for event in &t.events {
        match event {
            Seen::Begin { id, .. } => _ = begun.insert(*id),
            Seen::Bytes { id, .. }
            | Seen::End { id, .. }
            | Seen::Abort { id }
            | Seen::Rejected { id, .. } => {
                assert!(begun.contains(id), "an event of a request that never began");
            }
        }
    }
    // BEGIN_REQUEST is 16 bytes; no record of 8 bytes or more leads to more than a refusal of 120.
    assert!(t.begins().len() <= bytes.len() / 16);
    assert!(t.sent.len() <= 15 * bytes.len());
    assert!(!matches!(t.error, Some(ConnectionError::UnexpectedEof { .. })), "the input has not ended");
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_connection_survives_any_records(bytes in any_session(), limits in any_limits()) {
        for app in [App::Complete, App::Early, App::Silent] {
            is_sane(&check_limits::<1>(limits, app, &bytes), &bytes);
        }
        for app in [App::Complete, App::Early, App::Silent] {
            is_sane(&check_limits::<2>(limits, app, &bytes), &bytes);
        }
    }

    #[test]
    fn a_connection_survives_any_bytes(bytes in vec(any::<u8>(), 0..200), first in 0..3_u8) {
        let mut bytes = bytes;
        if let Some(version) = bytes.first_mut() {
            *version = first;
        }
        is_sane(&check_with::<2>(App::Complete, &bytes), &bytes);
    }
}

/// One request of a model client.
#[derive(Clone, Debug)]
struct Model {
    role: u16,
    params: Vec<u8>,
    stdin: Vec<u8>,
    data: Vec<u8>,
    aborts: bool,
}

fn model() -> impl Strategy<Value = Model> {
    let stream = || vec(any::<u8>(), 0..80);
    (1..=3_u16, stream(), stream(), stream(), proptest::bool::weighted(0.2))
        .prop_map(|(role, params, stdin, data, aborts)| Model { role, params, stdin, data, aborts })
}

/// The records of a request in their order, its streams cut at random.
fn script(model: &Model, id: u16, random: &mut Random) -> Vec<(u8, Vec<u8>)> {
    let mut records = vec![(BEGIN, [&model.role.to_be_bytes()[..], &[KEEP, 0, 0, 0, 0, 0]].concat())];
    let streams: &[_] = match model.role {
        RESPONDER => &[(PARAMS, &model.params), (STDIN, &model.stdin)],
        AUTHORIZER => &[(PARAMS, &model.params)],
        _ => &[(PARAMS, &model.params), (STDIN, &model.stdin), (DATA, &model.data)],
    };
    for (kind, content) in streams {
        let chunks = cut(content, 1 + random.below(40), u64::from(id) + 1);
        records.extend(chunks.into_iter().map(|chunk| (*kind, chunk.to_vec())));
        records.push((*kind, Vec::new()));
    }
    if model.aborts {
        records.truncate(1 + random.below(records.len()));
        records.push((ABORT, Vec::new()));
    }
    records
}

/// Appends what the application is to see of this record.
fn foresee(events: &mut Vec<Seen>, kind: u8, id: u16, content: &[u8]) {
    match (kind, events.last_mut()) {
        (BEGIN, _) => {
            let role = fcgi_proto::record::Role::from_wire(u16::from(content[1])).unwrap();
            events.push(Seen::Begin { id, role, keep_conn: true });
        }
        (ABORT, _) => events.push(Seen::Abort { id }),
        _ if content.is_empty() => events.push(Seen::End { kind, id }),
        (_, Some(Seen::Bytes { kind: last_kind, id: last_id, data }))
            if (*last_kind, *last_id) == (kind, id) =>
        {
            data.extend(content);
        }
        _ => events.push(Seen::Bytes { kind, id, data: content.to_vec() }),
    }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_multiplexed_session_is_seen_as_its_model_says(models in vec(model(), 1..6), seed: u64) {
        let mut random = Random::new(seed);
        let ids: Vec<u16> = (1..).map(|i| i * 257).take(models.len()).collect();
        let mut scripts: Vec<_> = models
            .iter()
            .zip(&ids)
            .map(|(model, id)| (*id, script(model, *id, &mut random).into_iter()))
            .collect();
        let (mut client, mut events) = (Client::new(), Vec::new());
        while !scripts.is_empty() {
            let turn = random.below(scripts.len());
            let (id, records) = &mut scripts[turn];
            let padding = random.below(256) * random.below(2);
            client = client.padding(&vec![0x5a; padding]);
            match random.below(8) {
                0 => client = client.record(STDIN, 9, b"of nobody"),
                1 => client = client.get_values(VALUES),
                2 => client = client.record(99, *id, b"unknown"),
                _ => match records.next() {
                    Some((kind, content)) => {
                        client = client.record(kind, *id, &content);
                        foresee(&mut events, kind, *id, &content);
                    }
                    None => drop(scripts.remove(turn)),
                },
            }
        }
        let t = check_with::<5>(App::Silent, &client);
        prop_assert_eq!(t.error, None);
        prop_assert_eq!(t.eof, Ok(()));
        prop_assert!(t.events == events, "{}", t.story());
        prop_assert!(t.records().iter().all(|record| record.kind == GET_VALUES_RESULT));
    }

    #[test]
    fn sequential_requests_are_answered_in_their_order(models in vec(model(), 1..6), seed: u64) {
        let mut random = Random::new(seed);
        let mut client = Client::new();
        let mut ends = Vec::new();
        for (model, number) in models.iter().zip(1..) {
            let whole_pairs = Model { params: pairs(&[(&model.stdin, &model.data)]), ..model.clone() };
            for (kind, content) in script(&whole_pairs, number, &mut random) {
                client = client.record(kind, number, &content);
            }
            ends.push(number);
        }
        let t = check(&client);
        let ended: Vec<u16> = t.records().iter().filter(|r| r.kind == END).map(|r| r.id).collect();
        prop_assert_eq!(ended, ends);
        prop_assert!(t.is_idle && t.error.is_none());
    }
}

/// What a client with the active requests 1 and 2, and one question for values, is to see of these records.
struct Foreseen {
    events: Vec<web_server::Seen>,
    error: Option<ConnectionError>,
    is_reusable: bool,
    active: Vec<u16>,
}

impl Foreseen {
    fn of(records: &[(u8, u16, Vec<u8>)]) -> Self {
        use web_server::Seen;
        let mut seen = Self { events: Vec::new(), error: None, is_reusable: true, active: vec![1, 2] };
        let (mut asked, mut answered) = (true, [false; 4]);
        for (kind, id, content) in records {
            let (kind, id, active) = (*kind, *id, seen.active.contains(id));
            seen.is_reusable &= asked || !seen.active.is_empty();
            match (kind, id) {
                (BEGIN..=DATA, 0) => seen.error = Some(ConnectionError::NullRequestId { record_type: kind }),
                (STDOUT | STDERR | END, _) if !active => seen.is_reusable = false,
                (END, _) if content.len() != 8 && answered[usize::from(id)] => {
                    seen.active.retain(|active| *active != id);
                    seen.is_reusable = false;
                    let (app_status, protocol_status) = (0, 0);
                    seen.events.push(Seen::End { id, app_status, protocol_status, answered: true });
                }
                (END, _) if content.len() != 8 => {
                    let found = content.len() as u16;
                    seen.error = Some(ConnectionError::BodyLength { record_type: kind, found });
                }
                (STDOUT | STDERR, _) if content.is_empty() => seen.events.push(Seen::Ended { kind, id }),
                (STDOUT | STDERR, _) => {
                    answered[usize::from(id)] |= kind == STDOUT;
                    match seen.events.last_mut() {
                        Some(Seen::Bytes { kind: last_kind, id: last_id, data })
                            if (*last_kind, *last_id) == (kind, id) =>
                        {
                            data.extend(content);
                        }
                        _ => seen.events.push(Seen::Bytes { kind, id, data: content.clone() }),
                    }
                }
                (END, _) => {
                    let EndRequest { app_status, protocol_status } =
                        EndRequest::parse(content[..].try_into().unwrap());
                    let answered = answered[usize::from(id)];
                    seen.active.retain(|active| *active != id);
                    seen.is_reusable &= protocol_status == 0;
                    seen.events.push(Seen::End { id, app_status, protocol_status, answered });
                }
                (GET_VALUES_RESULT, 0) if asked => {
                    asked = false;
                    seen.events.push(Seen::Values { data: content.clone(), whole: true });
                }
                (UNKNOWN_TYPE, 0) if content.len() == 8 => seen.events.push(Seen::UnknownType(content[0])),
                _ => {}
            }
            if seen.error.is_some() {
                seen.is_reusable = false;
                break;
            }
        }
        seen
    }
}

/// Headers, each with its record's content.
type Contents = Vec<(Header, Vec<u8>)>;

/// The records in `bytes` as a plain reader finds them, and the bytes that the last one lacks: headers and what
/// came of their content, of a fixed body only all of it.
fn plain_records(mut bytes: &[u8]) -> (Contents, Result<u32, u8>) {
    let mut records = Contents::new();
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let header = match Header::parse(header) {
            Ok(header) => header,
            Err(WrongVersion(version)) => return (records, Err(version)),
        };
        let [content, padding] = [usize::from(header.content_length), usize::from(header.padding_length)];
        let came = &rest[..content.min(rest.len())];
        let is_cut =
            [BEGIN, END, UNKNOWN_TYPE].contains(&header.record_type) && content == 8 && came.len() < 8;
        records.push((header, if is_cut { Vec::new() } else { came.to_vec() }));
        match rest.get(content + padding..) {
            Some(rest) => bytes = rest,
            None => return (records, Ok((content + padding - rest.len()) as u32)),
        }
    }
    (records, Ok(if bytes.is_empty() { 0 } else { 8 - bytes.len() as u32 }))
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_client_sees_any_records_as_its_model_says(
        records in vec(
            (
                prop_oneof![
                    3 => Just(STDOUT),
                    2 => Just(STDERR),
                    2 => Just(END),
                    1 => Just(GET_VALUES_RESULT),
                    1 => Just(UNKNOWN_TYPE),
                    1 => 0..16_u8,
                ],
                prop_oneof![1 => Just(0_u16), 12 => 1..4_u16],
                prop_oneof![
                    2 => Just(Vec::new()),
                    3 => any::<[u8; 8]>().prop_map(Vec::from),
                    1 => any::<u32>().prop_map(|status| [&status.to_be_bytes()[..], &[0; 4]].concat()),
                    2 => vec(any::<u8>(), 0..30),
                ],
            ),
            0..20,
        ),
        padding in 0..20_usize,
    ) {
        let mut server = web_server::Server::new().padding(&vec![0x5a; padding]);
        for (kind, id, content) in &records {
            server = server.record(*kind, *id, content);
        }
        let start = |connection: &mut fcgi_proto::client::Connection<2>| {
            web_server::GET.send(connection);
            web_server::GET.send(connection);
            let _ = connection.get_values();
        };
        let t = web_server::check_after(start, &server);
        let Foreseen { events, error, is_reusable, active } = Foreseen::of(&records);
        prop_assert_eq!((&t.events, t.error), (&events, error), "{}", t.story());
        prop_assert_eq!((t.is_reusable, t.active), (is_reusable, active));
    }

    #[test]
    fn a_client_survives_any_bytes(bytes in vec(any::<u8>(), 0..200), first in 0..3_u8) {
        let mut bytes = bytes;
        if let Some(version) = bytes.first_mut() {
            *version = first;
        }
        let t = web_server::check_many::<2>(&bytes);
        prop_assert!(t.events.len() <= bytes.len() / 8);
    }

    #[test]
    fn the_decoder_agrees_with_a_plain_reader_of_records(
        records in vec((0..13_u8, any::<u16>(), vec(any::<u8>(), 0..20), 0..12_usize), 0..8),
        more in vec(any::<u8>(), 0..20),
        most in 1..30_usize,
        seed: u64,
    ) {
        let mut client = Client::new();
        for (kind, id, content, padding) in &records {
            client = client.padding(&vec![1; *padding]).record(*kind, *id, content);
        }
        let bytes = [&client[..], &more].concat();
        let mut decoder = decoder::Decoder::new();
        let (mut found, mut failed) = (Vec::new(), None);
        'all: for mut chunk in cut(&bytes, most, seed) {
            loop {
                match decoder.next(&mut chunk) {
                    Ok(None) => break,
                    Ok(Some(decoder::Part::Header(header))) => found.push((header, Vec::new())),
                    Ok(Some(decoder::Part::Body { body, .. })) => found.last_mut().unwrap().1.extend(body),
                    Ok(Some(decoder::Part::Content { data, last, .. })) => {
                        let (header, content) = found.last_mut().unwrap();
                        content.extend(data);
                        prop_assert_eq!(last, content.len() == usize::from(header.content_length));
                    }
                    Ok(Some(other)) => panic!("{other:?}"),
                    Err(error) => {
                        failed = Some(error);
                        break 'all;
                    }
                }
            }
        }
        let (expected, end) = plain_records(&bytes);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(failed, end.err().map(|found| ConnectionError::Version { found }));
        if let Ok(missing) = end {
            prop_assert_eq!((decoder.missing(), decoder.at_boundary()), (missing, missing == 0));
        }
    }

    #[test]
    fn of_any_names_asked_for_the_defined_ones_are_answered(
        asked in vec(
            (
                prop::sample::select(vec![
                    "FCGI_MAX_CONNS",
                    "FCGI_MAX_REQS",
                    "FCGI_MPXS_CONNS",
                    "FCGI_MAX_CONN",
                    "FCGI_MAX_CONNSX",
                    "XCGI_MAX_REQS",
                    "FCGI_M",
                    "fcgi_max_conns",
                    "",
                ]),
                prop::sample::select(vec!["", "1", "FCGI_MAX_REQS"]),
            ),
            0..6,
        ),
    ) {
        let t = check(&Client::new().record(GET_VALUES, 0, &pairs(&asked)));
        let mut expected = vec!["FCGI_MAX_CONNS=1", "FCGI_MAX_REQS=1", "FCGI_MPXS_CONNS=0"];
        expected.retain(|value| asked.iter().any(|(name, _)| value.split_once('=').unwrap().0 == *name));
        prop_assert_eq!(t.values(0), expected);
    }

    #[test]
    fn the_listed_peers_are_let_in_and_no_others(
        listed in vec(any::<IpAddr>(), 1..5),
        others in vec(any::<IpAddr>(), 0..5),
        change in 0..128_u32,
        separator in prop::sample::select(vec![",", ", ", " ,"]),
    ) {
        let texts: Vec<String> = listed.iter().map(IpAddr::to_string).collect();
        let list = texts.join(separator);
        let addrs = WebServerAddrs::parse(&list).unwrap();
        // Peers that differ in one bit from one that is listed.
        let near = listed.iter().map(|peer| match peer {
            IpAddr::V4(peer) => IpAddr::from((peer.to_bits() ^ 1 << (change % 32)).to_be_bytes()),
            IpAddr::V6(peer) => IpAddr::from((peer.to_bits() ^ 1 << change).to_be_bytes()),
        });
        for peer in listed.iter().copied().chain(near).chain(others) {
            let is_listed = listed.iter().any(|listed| listed.to_canonical() == peer.to_canonical());
            prop_assert_eq!(addrs.allows(Some(peer)), is_listed, "{} in {}", peer, list);
        }
        prop_assert!(!addrs.allows(None));
    }
}
