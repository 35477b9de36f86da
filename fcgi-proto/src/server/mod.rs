//! The server's (application's) side of one connection: which records are events, which are answered here,
//! which are ignored, and what may be sent when.
//!
//! [`Connection::next_event`] eats what the client sent; [`Connection::whole_request`] takes a request at once
//! that is all there. [`Connection::poll_reply`] hands out what this side owes by protocol alone.
//! [`Connection::stdout`], [`stderr`](Connection::stderr) and [`finish`](Connection::finish) make the records of
//! an answer.
//!
//! # What the specification leaves open, decided
//!
//! | | open point | here |
//! |---|---|---|
//! | Z1 | another version | fatal, [`ConnectionError::Version`] |
//! | Z2 | BEGIN_REQUEST for an active id | fatal, [`ConnectionError::RequestActive`]: an END_REQUEST would name the running request; a [`Session`] waits for that, if all its input is in |
//! | Z3 | an application record with id 0 | fatal, [`ConnectionError::NullRequestId`]; a known management type with another id is ignored |
//! | Z4 | an unknown type with a request's id | ignored |
//! | Z5 | a type of the wrong direction | ignored |
//! | Z6 | content after a stream's end, a second end | ignored |
//! | Z7 | PARAMS that end inside a pair | never run: the caller answers [`Refusal::Malformed`] |
//! | Z8 | STDIN beyond CONTENT_LENGTH | handed over as it comes; [`Limits::stdin`] bounds it |
//! | Z9 | STDIN for an Authorizer | not waited for, ignored if it comes |
//! | Z10 | when UNKNOWN_ROLE is sent | at once, at BEGIN_REQUEST |
//! | Z11 | KEEP_CONN of a refused request | counts like any other's: if clear, the connection closes once nothing is active |
//! | Z12 | reserved bytes, unknown flags | ignored, and zero when sent |
//! | Z13 | mixed KEEP_CONN on one connection | one that is clear closes the connection, but only when no request is active any more; a request that begins after all of these have their input is thrown away without a word |
//! | Z14 | END_REQUEST without STDOUT's end | [`finish`](Connection::finish) always sends both |
//!
//! "Ignored" is within a budget, [`Limits::ignored`]. Input streams out of their role's order (STDIN before
//! the end of PARAMS, section 6.1) cost that one request: it is refused as malformed.
//!
//! [`ConnectionError::NullRequestId`]: crate::ConnectionError::NullRequestId
//! [`ConnectionError::RequestActive`]: crate::ConnectionError::RequestActive
//! [`ConnectionError::Version`]: crate::ConnectionError::Version
//! [`Limits::ignored`]: crate::Limits::ignored
//! [`Limits::stdin`]: crate::Limits::stdin

mod connection;
mod event;
mod order;
pub mod session;
mod slots;

pub use connection::{Connection, Whole};
pub use event::{Event, Refusal, SendError};
pub use session::Session;
pub use slots::{Slot, Slots};
