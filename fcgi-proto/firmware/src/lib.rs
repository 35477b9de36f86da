//! A FastCGI responder on a Cortex-M3, the LM3S6965 of QEMU's `lm3s6965evb`: no heap, all memory static.
//!
//! | file | what |
//! |---|---|
//! | `answer` | what is answered |
//! | [`responder`] | [`Peer`](responder::Peer), a connection that is polled |
//! | [`handler`], [`handler_async`] | the same as handlers of `fcgi_proto`'s loops |
//! | [`mod@line`] | the UART as a stream of framed connections, for the first of these |
//! | [`page`] | the texts that it answers |
//! | [`clock`] | milliseconds, and how much stack was ever left |
//! | [`last_words`] | what a panic tells |
//! | [`network`] | embassy-net on the board |
//! | [`ticks`], [`idle`] | the clock of embassy-time, and the sleep of its executor |
//! | [`chip`], [`uart`], [`ethernet`] | the drivers, each with one line of unsafe code |
//! | `bin/ethernet.rs` | TCP with smoltcp, a connection a socket |
//! | `bin/embassy.rs` | TCP with embassy-net, a connection a task, by the async loop |
//! | `bin/sensor.rs` | a client: it posts readings to an application, with embassy-net |
//! | `bin/serial.rs` | a connection at a time on the UART, by the loop |
//! | `framed-line` | the frames, and the program for the other end of the line |
//! | `bin/connection.rs` | a connection without a session, for its size |
//! | `bin/session.rs`, `bin/serve.rs`, `bin/client.rs`, `bin/client_session.rs` | the same of a session, the loop and a client |
//! | `bin/records.rs`, `bin/pairs.rs`, `bin/written_heads.rs`, `bin/heads.rs`, `bin/variables.rs`, `bin/peers.rs` | parts of `fcgi_proto` alone, for their sizes |
#![no_std]

mod answer;
pub mod chip;
pub mod clock;
pub mod ethernet;
pub mod handler;
pub mod handler_async;
pub mod idle;
pub mod last_words;
pub mod line;
pub mod network;
pub mod page;
pub mod responder;
pub mod ticks;
pub mod uart;
