//! What goes wrong in other FastCGI servers written in Rust, each a test of this one, as far as bytes show it
//! in the core.

mod support;

use fcgi_proto::ConnectionError;
use fcgi_proto::pair::{Pairs, Params, ParamsBuf, TruncatedPair};
use support::*;

#[test]
fn a_begin_request_of_0_or_1_bytes_is_an_error_and_no_panic() {
    for found in [0, 1] {
        let t = check(&Client::new().record(BEGIN, 1, &[0; 1][..usize::from(found)]));
        assert_eq!(t.error, Some(ConnectionError::BodyLength { record_type: BEGIN, found }));
    }
}

#[test]
fn an_empty_params_record_ends_the_stream() {
    let t = check(&Client::new().begin(1, RESPONDER, KEEP).params(1, b"").stdin(1, b""));
    assert_eq!((t.story(), t.answers()), ("BEGIN#1 PARAMS#1:0 STDIN#1:0".into(), answered(1)));
}

#[test]
fn many_empty_records_in_a_row_do_not_recurse() {
    let mut bytes = Client::new().begin(1, RESPONDER, KEEP).to_vec();
    bytes.extend(Client::new().params(1, b"").repeat(20_000));
    bytes.extend(Client::new().stdin(1, b"").repeat(20_000));
    let t = check(&bytes);
    assert_eq!((t.story(), t.answers()), ("BEGIN#1 PARAMS#1:0 STDIN#1:0".into(), answered(1)));
}

#[test]
fn a_pair_of_more_than_8_kib_is_read() {
    let cookie = "k".repeat(9_000);
    let params = pairs(&[("HTTP_COOKIE", &*cookie), ("AFTER", "it")]);
    for most in [params.len(), 8_000, 4_096, 100] {
        let mut client = Client::new().begin(1, RESPONDER, KEEP);
        for chunk in params.chunks(most) {
            client = client.params(1, chunk);
        }
        let t = check(&client.params(1, b"").stdin(1, b""));
        let got = t.params(1);
        assert_eq!(Pairs::new(&got).get(b"HTTP_COOKIE"), Some(cookie.as_bytes()));
        assert_eq!(Pairs::new(&got).get(b"AFTER"), Some(&b"it"[..]));
        assert_eq!(t.answers(), answered(1));
    }
}

#[test]
fn params_without_an_end_are_bounded() {
    let record = Client::new().params(1, &[0; 65_000]);
    let bytes = [&Client::new().begin(1, RESPONDER, KEEP)[..], &record.repeat(12)].concat();
    let t = check(&bytes);
    assert_eq!(t.params(1).len(), 8 * 65_000, "the default limit is 512 KiB");
    assert!(t.story().ends_with("REJECTED#1(ParamsTooLong)"));
    assert_eq!(t.answers(), too_large(1));
}

#[test]
fn a_value_that_claims_2_gib_reserves_nothing_and_is_no_pair() {
    let claim = b"\x01\xff\xff\xff\xffAvalue";
    let mut params = ParamsBuf::new(1_000);
    for _ in 0..90 {
        params.push(claim).unwrap();
    }
    assert_eq!(params.finish(), Err(TruncatedPair { whole: 0, left: 990 }));
    let error = params.push(claim).unwrap_err();
    assert_eq!((error.capacity, error.needed), (1_000, 1_001));
    assert_eq!(params.iter().count(), 0);
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, claim).params(1, b"");
    assert_eq!(check(&client.stdin(1, b"")).answers(), malformed(1));
}

#[test]
fn storage_takes_exactly_its_limit() {
    let bytes = pairs(&[("NAME", "value")]);
    let (mut fixed, mut growing) = (Params::<11>::new(), ParamsBuf::new(bytes.len()));
    assert_eq!((fixed.push(&bytes), growing.push(&bytes)), (Ok(()), Ok(())));
    assert!(fixed.push(b"x").is_err() && growing.push(b"x").is_err());
    assert_eq!((fixed.finish(), growing.finish()), (Ok(()), Ok(())));
}

#[test]
fn the_callers_storage_refuses_what_does_not_fit_and_keeps_what_it_has() {
    let mut params = Params::<16>::new();
    params.push(&pairs(&[("NAME", "value")])).unwrap();
    let error = params.push(b"123456").unwrap_err();
    assert_eq!((error.capacity, error.needed), (16, 17));
    assert_eq!(params.get(b"NAME"), Some(&b"value"[..]));
    params.push(&pairs(&[("A", "xy")])).unwrap();
    assert_eq!((params.finish(), params.get(b"A")), (Ok(()), Some(&b"xy"[..])));
}

#[test]
fn a_pipelined_request_that_is_there_needs_no_more_bytes() {
    let mut client = Client::new();
    for number in 1..=20 {
        client = client.request(number, KEEP);
    }
    let t = check(&client);
    assert_eq!(t.answers(), (1..=20).map(answered).collect::<Vec<_>>().join(" "));
}

#[test]
fn an_unknown_role_with_keep_conn_clear_closes_the_connection() {
    let t = check(&Client::new().begin(1, 42, CLOSE));
    assert!(t.is_finished);
    assert_eq!(t.answers(), refused(1, 3));
}

#[test]
fn an_abort_during_params_with_keep_conn_clear_closes_the_connection() {
    let t = check(&Client::new().begin(1, RESPONDER, CLOSE).params(1, &get()[..5]).abort(1));
    assert!(t.is_finished);
    assert_eq!(t.answers(), "STDOUT#1:0 END#1(0,0)");
}

#[test]
fn a_value_that_is_not_utf8_does_not_hide_the_later_ones() {
    let list: [(&[u8], &[u8]); 3] = [(b"A", b"\xff\xfe\x80"), (b"\xc3", b""), (b"B", b"later")];
    let client = Client::new().begin(1, RESPONDER, KEEP).params(1, &pairs(&list)).params(1, b"");
    let params = check_with::<1>(App::Early, &client).params(1);
    assert!(Pairs::new(&params).eq(list));
}

#[test]
fn an_abort_after_the_end_gives_no_second_end() {
    let t = check(&Client::new().request(1, KEEP).abort(1).abort(1));
    assert_eq!(t.answers(), answered(1));
}

#[test]
fn late_and_doubled_stdin_keep_the_connection() {
    let client = Client::new().head(1, KEEP).stdin(1, b"body").stdin(1, b"").stdin(1, b"").stdin(1, b"late");
    let t = check(&client.stdin(1, b"").request(1, KEEP));
    assert_eq!(t.answers(), format!("{} {}", answered(1), answered(1)));
    assert_eq!(t.error, None);
}

#[test]
fn an_empty_stdin_for_an_authorizer_keeps_the_connection() {
    let authorizer = |client: Client| client.begin(1, AUTHORIZER, KEEP).params(1, b"").stdin(1, b"");
    let t = check(&authorizer(authorizer(Client::new())));
    assert_eq!(t.answers(), format!("{} {}", answered(1), answered(1)));
}

#[test]
fn the_second_begin_of_a_multiplexing_client_gets_cant_mpx_conn_and_a_503() {
    let t = check(&Client::new().head(1, KEEP).request(2, KEEP).stdin(1, b""));
    assert_eq!(t.answers(), format!("{} {}", refused(2, 1), answered(1)));
    assert!(t.output(STDOUT, 2).starts_with(b"Status: 503 "));
}

#[test]
fn a_connection_of_one_does_not_claim_to_multiplex() {
    assert_eq!(check(&Client::new().get_values(&["FCGI_MPXS_CONNS"])).values(0), ["FCGI_MPXS_CONNS=0"]);
    let t = check_with::<2>(App::Complete, &Client::new().get_values(&["FCGI_MPXS_CONNS"]));
    assert_eq!(t.values(0), ["FCGI_MPXS_CONNS=1"]);
}
