//! A response head, read.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::cgi::ResponseHead;
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: ResponseHead<[u8; 256]> = ResponseHead::new([0; 256]);

    let head = any(STATE);
    loop {
        let text = any::<&[u8]>(&[]);
        let _ = any((head.push(text), head.finish(), head.content_length()));
        any((head.status(), head.get(text), head.has_body(text)));
        head.fields().for_each(|field| _ = any(field));
    }
}
