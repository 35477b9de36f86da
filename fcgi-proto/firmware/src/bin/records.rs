//! Records, read from bytes in any chunks.
//!
//! It is built for its size only, and links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box as any;

use cortex_m_rt::entry;
use fcgi_proto::decoder::Decoder;
use panic_never as _;

#[entry]
fn main() -> ! {
    static mut STATE: Decoder = Decoder::new();

    let decoder = any(STATE);
    loop {
        let input = &mut any::<&[u8]>(&[]);
        let _ = any((decoder.next(input), decoder.at_boundary()));
    }
}
