//! A response head, written.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::cgi::{Head, Status};
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Head<[u8; 256]> = Head::new([0; 256]);

    let head = any(STATE);
    loop {
        let text = any::<&[u8]>(&[]);
        let _ = any((head.start(Status::OK), head.field(text, text)));
        let _ = any(head.finish());
        any(head.bytes());
    }
}
