//! Name-value pairs (section 3.4): everything that reads them agrees with ten plain lines, in any cuts; what is
//! encoded is decoded as it was.

use arbitrary::{Result, Unstructured};
use fcgi_proto::pair::{self, Decoder, Packer, Pairs, Params, ParamsBuf, Part};
use fcgi_proto::record::{MAX_CONNS, MAX_LENGTH, MAX_REQS, MPXS_CONNS};
use fcgi_proto::{Limits, server};

use crate::plan::{Cuts, is_a_log_line};
use crate::support::{Client, GET_VALUES, GET_VALUES_RESULT, walk};

/// Reads the input as pairs.
pub fn pairs(input: &[u8]) {
    run(Unstructured::new(input)).expect("a plan that is cut reads as zeros");
}

fn run(mut u: Unstructured<'_>) -> Result<()> {
    let limit = usize::from(u.arbitrary::<u8>()?) * 16;
    let cuts = Cuts::new(&mut u)?;
    let bytes = u.take_rest();
    let (list, rest) = plain(bytes);
    read_whole(bytes, &list, rest);
    read_in_pieces(&cuts.pieces(bytes), limit, &list, rest);
    encode(&list, limit);
    asked(bytes, &list, rest, cuts);
    Ok(())
}

type List<'a> = Vec<(&'a [u8], &'a [u8])>;

/// Ten lines that read pairs: those that are whole, and the bytes after them.
fn plain(mut bytes: &[u8]) -> (List<'_>, &[u8]) {
    let mut list = Vec::new();
    while let Some((name_len, rest)) = plain_length(bytes) {
        let Some((value_len, rest)) = plain_length(rest) else { break };
        let Some((name, rest)) = rest.split_at_checked(name_len) else { break };
        let Some((value, rest)) = rest.split_at_checked(value_len) else { break };
        list.push((name, value));
        bytes = rest;
    }
    (list, bytes)
}

fn plain_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let wide = bytes.first()? >> 7 == 1;
    let (length, rest) = bytes.split_at_checked(if wide { 4 } else { 1 })?;
    Some((length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) & 0x7fff_ffff, rest))
}

fn read_whole(bytes: &[u8], list: &List<'_>, rest: &[u8]) {
    let mut pairs = Pairs::new(bytes);
    assert_eq!(&pairs.by_ref().collect::<Vec<_>>(), list);
    assert_eq!(pairs.rest(), rest);
    for (name, _) in list.iter().take(8) {
        let last = list.iter().rfind(|(found, _)| found == name).map(|(_, value)| *value);
        assert_eq!(Pairs::new(bytes).get(name), last);
    }
    let check = Pairs::new(bytes).check();
    assert_eq!(check.is_ok(), rest.is_empty());
    let names =
        [list.first(), list.last(), None].map(|pair| pair.map_or(&b"NO_PARAMETER"[..], |(name, _)| name));
    let values = names.map(|name| Pairs::new(bytes).get(name));
    assert_eq!(Pairs::new(bytes).values(names), check.map(|()| values));
    if let Err(error) = check {
        assert_eq!((error.whole, error.left), (bytes.len() - rest.len(), rest.len()));
        is_a_log_line(&error);
    }
}

/// Storage of a fixed size, storage that grows, and none.
fn read_in_pieces(pieces: &[&[u8]], limit: usize, list: &List<'_>, rest: &[u8]) {
    let (mut fixed, mut growing) = (Params::<2048>::new(), ParamsBuf::new(limit));
    let (mut in_fixed, mut in_growing) = (Vec::new(), Vec::new());
    for piece in pieces {
        let fits = in_fixed.len() + piece.len() <= 2048;
        let pushed = fixed.push(piece);
        assert_eq!(pushed.is_ok(), fits);
        in_fixed.extend_from_slice(if fits { piece } else { &[] });

        let needed = in_growing.len() + piece.len();
        match growing.push(piece) {
            Ok(()) => in_growing.extend_from_slice(piece),
            Err(error) => {
                assert_eq!((error.capacity, error.needed), (limit, needed));
                is_a_log_line(&error);
            }
        }
        assert!(in_growing.len() <= limit);
    }
    assert!((&fixed).into_iter().eq(plain(&in_fixed).0));
    assert!((&growing).into_iter().eq(plain(&in_growing).0));
    assert_eq!(fixed.finish(), Pairs::new(&in_fixed).check());
    assert_eq!(growing.finish(), Pairs::new(&in_growing).check());
    for (name, _) in list.iter().take(8) {
        assert_eq!(fixed.get(name), Pairs::new(&in_fixed).get(name));
        assert_eq!(growing.get(name), Pairs::new(&in_growing).get(name));
    }
    fixed.clear();
    growing.clear(16);
    assert!(fixed.iter().next().is_none() && growing.iter().next().is_none());

    let owned = list.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    assert_eq!(decode(pieces), (owned, rest.is_empty()));
}

type Owned = Vec<(Vec<u8>, Vec<u8>)>;

/// The pairs that the decoder without storage finds, and whether the stream may end there.
fn decode(pieces: &[&[u8]]) -> (Owned, bool) {
    let mut decoder = Decoder::new();
    let mut list = Vec::new();
    // Of the pair that is cut: its name, its value, and how long they are to be.
    let mut open: Option<(Vec<u8>, Vec<u8>, [usize; 2])> = None;
    for piece in pieces {
        let mut input = *piece;
        loop {
            let before = input.len();
            let Some(part) = decoder.next(&mut input) else { break };
            assert!(input.len() < before, "{part:?} took no input");
            match (part, &mut open) {
                (Part::Pair { name, value }, None) => list.push((name.to_vec(), value.to_vec())),
                (Part::Sizes { name_len, value_len }, open @ None) => {
                    *open = Some((Vec::new(), Vec::new(), [name_len as usize, value_len as usize]));
                }
                (Part::Name { data, last }, Some((name, value, [name_len, _]))) => {
                    name.extend(data);
                    assert!(!data.is_empty() && value.is_empty() && last == (name.len() == *name_len));
                }
                (Part::Value { data, last }, Some((name, value, [name_len, value_len]))) => {
                    value.extend(data);
                    assert!(!data.is_empty() && name.len() == *name_len);
                    assert_eq!(last, value.len() == *value_len);
                }
                (part, open) => panic!("{part:?} in {open:?}"),
            }
            if let Some((name, value, lengths)) =
                open.take_if(|(n, v, lengths)| [n.len(), v.len()] == *lengths)
            {
                assert!(lengths != [0, 0], "a pair of no bytes is whole");
                list.push((name, value));
            }
        }
        assert!(input.is_empty());
    }
    assert!(open.is_none() || !decoder.at_boundary());
    (list, decoder.at_boundary())
}

/// What is encoded is decoded as it was, and takes the shortest lengths.
fn encode(list: &List<'_>, room: usize) {
    let mut packer = Packer::new(vec![0xee; room]);
    let (mut packed, mut all) = (Vec::new(), Vec::new());
    for &(name, value) in list {
        let short = |length: usize| if length < 0x80 { 1 } else { 4 };
        let size = short(name.len()) + short(value.len()) + name.len() + value.len();
        assert_eq!(pair::encoded_len(name, value), Some(size));
        let (before, mut len) = (all.len(), all.len());
        all.resize(before + size, 0);
        if let Some(less) = (before + size).checked_sub(1) {
            let error = pair::encode(name, value, &mut all[..less], &mut len).expect_err("a byte too few");
            assert_eq!((error.capacity, error.needed, len), (less, before + size, before));
            assert!(all[before..].iter().all(|byte| *byte == 0), "nothing is written then");
        }
        pair::encode(name, value, &mut all, &mut len).expect("room enough");
        assert_eq!(len, before + size);

        let used = packer.bytes().len();
        match packer.push(name, value) {
            Ok(()) => packed.push((name, value)),
            Err(error) => assert_eq!((error.capacity, error.needed), (room.min(MAX_LENGTH), used + size)),
        }
    }
    assert!(Pairs::new(&all).eq(list.iter().copied()));
    assert!(Pairs::new(packer.bytes()).eq(packed));
    packer.clear();
    assert!(packer.bytes().is_empty());
}

/// GET_VALUES with these pairs: the answer has the names that were asked for, once, and no other. A name
/// counts once it is whole, whatever becomes of its value.
fn asked(bytes: &[u8], list: &List<'_>, rest: &[u8], cuts: Cuts) {
    if bytes.len() > MAX_LENGTH {
        return;
    }
    let mut connection = server::Connection::<2>::new(Limits::default());
    for piece in cuts.pieces(&Client::new().record(GET_VALUES, 0, bytes)) {
        assert_eq!(connection.next_event(&mut &*piece), Ok(None));
    }
    let reply = connection.poll_reply().expect("an answer");
    let [answer] = &walk(&reply).0[..] else { panic!("not one record") };
    assert_eq!((answer.kind, answer.id), (GET_VALUES_RESULT, 0));
    let last = plain_length(rest).and_then(|(name_len, rest)| plain_length(rest)?.1.get(..name_len));
    let known = [(MAX_CONNS, &b"1"[..]), (MAX_REQS, b"2"), (MPXS_CONNS, b"1")];
    let asked = |name: &[u8]| list.iter().map(|(name, _)| *name).chain(last).any(|asked| asked == name);
    let expected = known.into_iter().filter(|(name, _)| asked(name));
    assert!(Pairs::new(&answer.content).eq(expected));
}
