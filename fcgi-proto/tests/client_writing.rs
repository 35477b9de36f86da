//! The cursors that a client writes with: `PairRecord`, `Record` and `Control` advanced, copied and sliced at
//! every place, the packer, and the size of a connection.

mod support;
#[path = "support/client.rs"]
mod web_server;

use fcgi_proto::client;
use fcgi_proto::pair::Packer;
use fcgi_proto::record::{PairRecord, RequestId, Role};
use support::{PARAMS, pairs, walk};
use web_server::{GET, Outgoing as _, fresh};

/// A PARAMS record of one pair.
fn record<'a>(name: &'a [u8], value: &'a [u8]) -> PairRecord<'a> {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    connection.param(id, name, value).unwrap()
}

const NAMES: [&[u8]; 4] = [b"", b"N", b"REQUEST_METHOD", &[b'n'; 130]];
const VALUES: [&[u8]; 4] = [b"", b"v", b"/index.html?a=b", &[b'v'; 200]];

/// Does this with every name and value, and the whole record's bytes.
fn for_all(check: impl Fn(&[u8], &[u8], &[u8])) {
    for name in NAMES {
        for value in VALUES {
            let whole = record(name, value).slices().concat();
            let (records, rest) = walk(&whole);
            assert!(rest.is_empty() && records.len() == 1);
            assert_eq!((records[0].kind, records[0].id), (PARAMS, 1));
            assert_eq!(records[0].content, pairs(&[(name, value)]));
            check(name, value, &whole);
        }
    }
}

#[test]
fn a_pair_record_is_header_and_lengths_name_value_and_padding() {
    for_all(|name, value, whole| {
        let record = record(name, value);
        let [head, of_name, of_value, padding] = record.slices();
        assert_eq!((of_name, of_value), (name, value));
        assert!(std::ptr::eq(of_name, name) && std::ptr::eq(of_value, value), "nothing is copied");
        let long = |bytes: &[u8]| if bytes.len() > 127 { 4 } else { 1 };
        assert_eq!(head.len(), 8 + long(name) + long(value));
        assert_eq!(padding.len(), usize::from(whole[6]));
        assert_eq!((record.remaining(), whole.len() % 8), (whole.len(), 0));
    });
}

#[test]
fn a_pair_record_advances_to_every_place() {
    for_all(|name, value, whole| {
        for sent in 0..=whole.len() {
            let mut record = record(name, value);
            record.advance(sent);
            assert_eq!(record.slices().concat(), whole[sent..]);
            assert_eq!(record.remaining(), whole.len() - sent);
        }
    });
}

#[test]
fn a_pair_record_advances_in_steps_of_every_size() {
    for_all(|name, value, whole| {
        for step in 1..=whole.len() {
            let (mut record, mut sent) = (record(name, value), 0);
            while record.remaining() > 0 {
                assert_eq!(record.slices().concat(), whole[sent..]);
                record.advance(step);
                sent = (sent + step).min(whole.len());
            }
            assert_eq!(sent, whole.len());
        }
    });
}

#[test]
fn a_pair_record_advanced_beyond_its_end_is_at_its_end() {
    for_all(|name, value, whole| {
        for (first, second) in [(0, usize::MAX), (5, whole.len()), (whole.len(), 1)] {
            let mut record = record(name, value);
            record.advance(first);
            record.advance(second);
            assert_eq!(record.remaining(), 0);
            assert!(record.slices().concat().is_empty());
        }
    });
}

#[test]
fn a_pair_record_is_copied_into_buffers_of_every_size() {
    for_all(|name, value, whole| {
        for size in 1..=whole.len() + 1 {
            let (mut record, mut sent) = (record(name, value), Vec::new());
            while record.remaining() > 0 {
                let mut buffer = vec![0xaa; size];
                let copied = record.copy_to(&mut buffer);
                assert_eq!(copied, size.min(whole.len() - sent.len()));
                assert!(buffer[copied..].iter().all(|byte| *byte == 0xaa), "beyond what was copied");
                sent.extend_from_slice(&buffer[..copied]);
            }
            assert_eq!(sent, whole);
            assert_eq!((record.copy_to(&mut []), record.copy_to(&mut [0; 9])), (0, 0));
        }
    });
}

#[test]
fn a_pair_record_is_copied_in_part_and_advanced_in_part() {
    for_all(|name, value, whole| {
        for place in 0..=whole.len() {
            let mut record = record(name, value);
            let mut buffer = vec![0; place];
            assert_eq!(record.copy_to(&mut buffer), place);
            assert_eq!([&buffer[..], &record.slices().concat()].concat(), whole);
            let mut rest = record.clone();
            rest.advance(3);
            assert_eq!(rest.slices().concat(), whole[(place + 3).min(whole.len())..]);
        }
    });
}

#[test]
fn a_full_pair_record_is_copied_whole() {
    let value = vec![b'v'; 65_526];
    let whole = record(b"NAME", &value).slices().concat();
    assert_eq!(whole.len(), 8 + 65_535);
    let (mut record, mut sent) = (record(b"NAME", &value), Vec::new());
    let mut buffer = [0; 4_093];
    while record.remaining() > 0 {
        let copied = record.copy_to(&mut buffer);
        sent.extend_from_slice(&buffer[..copied]);
    }
    assert!(sent == whole);
}

#[test]
fn a_record_of_packed_pairs_advances_to_every_place() {
    let mut packer = Packer::new([0; 100]);
    packer.push(b"REQUEST_METHOD", b"GET").unwrap();
    packer.push(b"SCRIPT_NAME", b"/").unwrap();
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let record = connection.params(id, packer.bytes()).unwrap();
    let whole = record.bytes();
    assert_eq!(walk(&whole).0[0].content, packer.bytes());
    for sent in 0..=whole.len() {
        let mut advanced = record.clone();
        advanced.advance(sent);
        assert_eq!(advanced.slices().concat(), whole[sent..]);
        let mut copied = record.clone();
        let mut buffer = vec![0; sent];
        assert_eq!(copied.copy_to(&mut buffer), sent);
        assert_eq!((buffer, copied.slices().concat()), (whole[..sent].to_vec(), whole[sent..].to_vec()));
    }
}

#[test]
fn a_control_record_advances_to_every_place() {
    let mut connection = fresh::<1>();
    let values = connection.get_values();
    let (id, begin) = connection.begin(Role::Responder, true).unwrap();
    let (params_end, stdin_end) = (connection.params_end(id).unwrap(), connection.stdin_end(id).unwrap());
    let abort = connection.abort(id).unwrap();
    for (control, length) in [(values, 64), (begin, 16), (params_end, 8), (stdin_end, 8), (abort, 8)] {
        let whole = control.to_vec();
        assert_eq!((whole.len(), control.remaining()), (length, length));
        for sent in 0..=length + 1 {
            let mut advanced = control.clone();
            advanced.advance(sent);
            assert_eq!(advanced[..], whole[sent.min(length)..]);
            let mut copied = control.clone();
            let mut buffer = vec![0; sent];
            assert_eq!(copied.copy_to(&mut buffer), sent.min(length));
            assert_eq!(copied.remaining(), length - sent.min(length));
            assert_eq!(buffer[..sent.min(length)], whole[..sent.min(length)]);
        }
    }
}

#[test]
fn a_packer_takes_what_fits_to_the_last_byte() {
    for_all(|name, value, _| {
        let encoded = pairs(&[(name, value)]);
        for capacity in 0..encoded.len() {
            let mut packer = Packer::new(vec![0; capacity]);
            let error = packer.push(name, value).unwrap_err();
            assert_eq!((error.capacity, error.needed), (capacity, encoded.len()));
            assert!(packer.bytes().is_empty());
        }
        let mut packer = Packer::new(vec![0; encoded.len()]);
        packer.push(name, value).unwrap();
        assert_eq!(packer.bytes(), encoded);
        let error = packer.push(b"", b"").unwrap_err();
        assert_eq!((error.capacity, error.needed), (encoded.len(), encoded.len() + 2));
        assert_eq!(packer.bytes(), encoded, "what is packed stays");
    });
}

#[test]
fn a_packer_that_was_cleared_is_as_new() {
    let mut packer = Packer::new([0xff; 10]);
    packer.push(b"ABCD", b"1234").unwrap();
    assert!(packer.push(b"", b"").is_err());
    packer.clear();
    assert!(packer.bytes().is_empty());
    packer.push(b"A", b"").unwrap();
    assert_eq!(packer.bytes(), b"\x01\0A");
}

#[test]
fn a_packer_borrows_or_owns_its_memory() {
    let mut memory = [0; 8];
    let mut borrowing = Packer::new(&mut memory[..]);
    borrowing.push(b"A", b"1").unwrap();
    assert_eq!(borrowing.bytes(), b"\x01\x01A1");
    let mut owning = Packer::new(vec![0; 8]);
    owning.push(b"A", b"1").unwrap();
    assert_eq!(owning.bytes(), b"\x01\x01A1");
}

#[test]
fn a_packer_uses_no_more_than_a_record_holds() {
    let mut packer = Packer::new(vec![0; 200_000]);
    for _ in 0..65 {
        packer.push(b"NAME", &[b'v'; 991]).unwrap();
    }
    assert_eq!(packer.bytes().len(), 65 * 1_000);
    let error = packer.push(b"NAME", &[b'v'; 991]).unwrap_err();
    assert_eq!((error.capacity, error.needed), (65_535, 66_000));
    packer.push(b"NAME", &[b'v'; 526]).unwrap();
    assert_eq!(packer.bytes().len(), 65_535);
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    assert_eq!(connection.params(id, packer.bytes()).unwrap().remaining(), 8 + 65_535);
}

#[test]
fn no_pairs_are_no_record() {
    let mut connection = fresh::<1>();
    let (id, _) = connection.begin(Role::Responder, true).unwrap();
    let packer = Packer::new([0; 8]);
    let mut record = connection.params(id, packer.bytes()).unwrap();
    assert_eq!((record.remaining(), record.copy_to(&mut [0; 8])), (0, 0));
    assert!(connection.param(id, b"", b"").unwrap().remaining() > 0, "an empty pair is two bytes");
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<client::Connection<1>>() <= 96, "{}", size_of::<client::Connection<1>>());
    let slot = size_of::<client::Connection<9>>() - size_of::<client::Connection<1>>();
    assert!(slot <= 8 * 8, "8 slots are {slot} bytes");
    assert!(size_of::<client::Event<'_>>() <= 32, "{}", size_of::<client::Event<'_>>());
}

#[test]
fn a_record_holds_what_it_was_made_of_while_the_connection_goes_on() {
    let mut connection = fresh::<2>();
    let (one, _) = connection.begin(Role::Responder, true).unwrap();
    let pair = connection.param(one, b"A", b"1").unwrap();
    let (two, sent) = GET.send(&mut connection);
    assert_eq!((one, two.get()), (RequestId::ONE, 2));
    assert!(!sent.is_empty());
    assert_eq!(pair.bytes(), b"\x01\x04\0\x01\0\x04\x04\0\x01\x01A1\0\0\0\0");
}

#[test]
fn a_request_that_begins_with_its_pairs_is_the_same_as_one_record_after_the_other() {
    let values: Vec<_> = (0..200).map(|number| vec![b'v'; number * 7]).collect();
    let pairs = || values.iter().map(|value| (&b"NAME"[..], &value[..]));
    let mut out = b"before".to_vec();
    let mut connection = fresh::<2>();
    let id = connection.begin_with(Role::Filter, true, pairs(), &mut out).unwrap();
    let mut other = fresh::<2>();
    let (_, begin) = other.begin(Role::Filter, true).unwrap();
    let mut expected = [b"before", &begin[..]].concat();
    let mut packer = Packer::new(vec![0; 65_535]);
    for (name, value) in pairs() {
        if packer.push(name, value).is_err() {
            expected.extend(other.params(id, packer.bytes()).unwrap().slices().concat());
            packer.clear();
            packer.push(name, value).unwrap();
        }
    }
    expected.extend(other.params(id, packer.bytes()).unwrap().slices().concat());
    expected.extend_from_slice(&other.params_end(id).unwrap());
    assert!(out == expected);
    assert!(connection.stdin(id, b"body").is_ok(), "STDIN is next");
    let second = connection.begin_with(Role::Responder, true, [].into_iter(), &mut out).unwrap();
    assert_eq!(second.get(), 2);
}

#[test]
fn a_request_with_a_pair_that_fits_no_record_does_not_begin() {
    let (mut connection, mut out) = (fresh::<1>(), Vec::new());
    for (length, fits) in [(65_527, false), (70_000, false), (65_526, true)] {
        let value = vec![b'v'; length];
        let pairs = [(&b"A"[..], &b"1"[..]), (b"NAME", &value), (b"B", b"2")];
        let result = connection.begin_with(Role::Responder, true, pairs.into_iter(), &mut out);
        match result {
            Ok(id) => assert!(fits && connection.is_active(id)),
            Err(error) => {
                assert_eq!(error, client::SendError::TooLong { needed: length + 4 + 5 });
                assert!(!fits && out.is_empty() && !connection.is_active(RequestId::ONE));
            }
        }
    }
}
