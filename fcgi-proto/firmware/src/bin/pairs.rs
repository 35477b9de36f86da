//! Name-value pairs, written and read.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::pair::{Decoder, Pairs, encode};
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Decoder = Decoder::new();

    let decoder = any(STATE);
    loop {
        let (input, bytes) = (&mut any::<&[u8]>(&[]), any::<&[u8]>(&[]));
        let _ = any(encode(bytes, bytes, any(&mut []), any(&mut 0)));
        any(Pairs::new(bytes).get(bytes));
        any((decoder.next(input), decoder.at_boundary()));
    }
}
