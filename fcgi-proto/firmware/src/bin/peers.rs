//! The peers that are let in.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::process::WebServerAddrs;
use panic_never as _;

#[entry]
fn main() -> ! {
    loop {
        if let Ok(list) = WebServerAddrs::parse(any("")) {
            any(list.allows(any(None)));
        }
    }
}
