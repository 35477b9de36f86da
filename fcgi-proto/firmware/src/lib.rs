//! A FastCGI responder on a Cortex-M3, the LM3S6965 of QEMU's `lm3s6965evb`: no heap, all memory static.
//!
//! | file | what |
//! |---|---|
//! | [`responder`] | the handler of one connection: [`Peer`](responder::Peer), which both programs share |
//! | [`page`] | the texts that it answers |
//! | [`clock`] | milliseconds, and how much stack was ever left |
//! | [`chip`], [`uart`], [`ethernet`] | the drivers, each with one line of unsafe code |
//! | `bin/ethernet.rs` | TCP with smoltcp, a connection a socket |
//! | `bin/serial.rs` | one stream on the UART |
//! | `bin/connection.rs` | a connection without a session, for its size |
#![no_std]

pub mod chip;
pub mod clock;
pub mod ethernet;
pub mod page;
pub mod responder;
pub mod uart;
