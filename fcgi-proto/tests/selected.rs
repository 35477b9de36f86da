//! The parameters of a few names: what is kept is what [`Params`] keeps, without the others, however it is cut.

mod support;

use fcgi_proto::pair::{CapacityError, Params, Selected};
use proptest::collection::vec;
use proptest::prelude::*;
use support::*;

const NAMES: &[&[u8]] = &[b"REQUEST_URI", b"SCRIPT_NAME", b"REQUEST_URL", b"A", b""];

type Kept = Vec<(Vec<u8>, Vec<u8>)>;

fn owned<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Kept {
    pairs.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Names that are asked for, that begin like those, and others; short and long values.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        proptest::sample::select(NAMES).prop_map(<[u8]>::to_vec),
        proptest::sample::select(&["REQUEST_URJ", "REQUEST_UR", "SCRIPT_NAMES", "B", "HTTP_COOKIE"][..])
            .prop_map(|name| name.as_bytes().to_vec()),
        vec(any::<u8>(), 0..200),
    ];
    (name, prop_oneof![vec(any::<u8>(), 0..5), vec(any::<u8>(), 120..300)])
}

proptest! {
    #[test]
    fn what_is_kept_is_what_all_are_without_the_others(
        all in vec(pair(), 0..12),
        cut_off in 0_usize..40,
        most in 1_usize..30,
        seed: u64,
    ) {
        let bytes = pairs(&all);
        let bytes = &bytes[..bytes.len().saturating_sub(cut_off / 2)];
        let mut params = Params::<8192>::new();
        params.push(bytes).unwrap();
        let expected: Kept = owned(params.iter().filter(|(name, _)| NAMES.contains(name)));
        let mut selected = Selected::<8192>::new(NAMES);
        for piece in [&[bytes][..], &cut(bytes, most, seed), &cut(bytes, 1, seed)] {
            selected.clear();
            for piece in piece {
                selected.push(piece).unwrap();
            }
            prop_assert_eq!(owned(selected.iter()), expected.clone());
            prop_assert_eq!(owned((&selected).into_iter()), expected.clone());
            prop_assert_eq!(selected.finish(), params.finish());
            for name in NAMES {
                let value = params.get(name);
                prop_assert_eq!(selected.get(name), value);
            }
            prop_assert_eq!(selected.get(b"HTTP_COOKIE"), None);
        }
    }
}

#[test]
fn what_is_asked_for_has_to_fit_and_nothing_else() {
    let cookie = pairs(&[("HTTP_COOKIE", "x".repeat(8192).as_str()), ("REQUEST_URI", "/")]);
    for size in [1, 7, cookie.len()] {
        let mut selected = Selected::<14>::new(NAMES);
        for piece in cookie.chunks(size) {
            selected.push(piece).unwrap();
        }
        assert_eq!(selected.get(b"REQUEST_URI"), Some(&b"/"[..]), "pieces of {size}");
    }
    let uri = pairs(&[("A", "b"), ("REQUEST_URI", "/ab")]);
    for size in [1, 7, uri.len()] {
        let mut selected = Selected::<19>::new(NAMES);
        let results: Vec<_> = uri.chunks(size).map(|piece| selected.push(piece)).collect();
        let full = |result: &Result<(), CapacityError>| {
            result.is_err_and(|error| (error.capacity, error.needed) == (19, 20))
        };
        assert!(results.iter().any(full), "pieces of {size}");
    }
}

#[test]
fn a_length_that_lies_takes_no_room_unless_it_is_asked_for() {
    let mut selected = Selected::<64>::new(NAMES);
    selected.push(b"\xff\xff\xff\xff\xff\xff\xff\xffwhat").unwrap();
    assert!(selected.finish().is_err());
    selected.clear();
    assert_eq!(selected.finish(), Ok(()));
    assert!(selected.push(b"\x01\xff\xff\xff\xffA").is_err());
}
