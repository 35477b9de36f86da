//! How small the state of a connection is on a 64-bit machine: many connections that wait cost little, and a
//! microcontroller has room for one.

#![cfg(target_pointer_width = "64")]

use core::mem::size_of;

use fcgi_proto::pair;
use fcgi_proto::server::{Connection, Event};

#[test]
fn a_connection_of_one_request_is_at_most_96_bytes() {
    assert!(size_of::<Connection<1>>() <= 96, "{} bytes", size_of::<Connection<1>>());
}

#[test]
fn each_further_request_is_at_most_8_bytes() {
    let growth = size_of::<Connection<1001>>() - size_of::<Connection<1>>();
    assert!(growth <= 8 * 1000, "{growth} bytes for 1000 requests");
    assert!(size_of::<Connection<2>>() <= size_of::<Connection<1>>() + 8);
}

#[test]
fn an_event_is_at_most_32_bytes() {
    assert!(size_of::<Event<'_>>() <= 32, "{} bytes", size_of::<Event<'_>>());
    assert_eq!(size_of::<Option<Event<'_>>>(), size_of::<Event<'_>>());
}

#[test]
fn a_decoder_of_pairs_holds_two_lengths_and_no_bytes() {
    assert!(size_of::<pair::Decoder>() <= 12, "{} bytes", size_of::<pair::Decoder>());
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_session_takes_what_the_guide_says() {
    use fcgi_proto::server::session::Session;
    let (one, growth) = (size_of::<Session<1>>(), size_of::<Session<101>>() - size_of::<Session<1>>());
    assert!(one < 400, "{one} bytes");
    assert!(growth <= 64 * 100, "{growth} bytes for 100 requests");
}
