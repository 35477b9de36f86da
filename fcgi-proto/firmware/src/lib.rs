//! A FastCGI responder on a Cortex-M3, the LM3S6965 of QEMU's `lm3s6965evb`: no heap, all memory static.
//!
//! | file | what |
//! |---|---|
//! | [`responder`] | what is answered; [`Peer`](responder::Peer), a connection that is polled |
//! | [`handler`] | the same as a handler of `fcgi_proto`'s loop |
//! | [`line`] | the UART as a stream of framed connections, for that loop |
//! | [`page`] | the texts that it answers |
//! | [`clock`] | milliseconds, and how much stack was ever left |
//! | [`chip`], [`uart`], [`ethernet`] | the drivers, each with one line of unsafe code |
//! | `bin/ethernet.rs` | TCP with smoltcp, a connection a socket |
//! | `bin/serial.rs` | a connection at a time on the UART, by the loop |
//! | `framed-line` | the frames, and the program for the other end of the line |
//! | `bin/connection.rs` | a connection without a session, for its size |
//! | `bin/session.rs`, `bin/serve.rs`, `bin/client.rs`, `bin/client_session.rs` | the same of a session, the loop and a client |
//! | `bin/records.rs`, `bin/pairs.rs`, `bin/written_heads.rs`, `bin/heads.rs`, `bin/variables.rs`, `bin/peers.rs` | parts of `fcgi_proto` alone, for their sizes |
#![no_std]

pub mod chip;
pub mod clock;
pub mod ethernet;
pub mod handler;
pub mod line;
pub mod page;
pub mod responder;
pub mod uart;
