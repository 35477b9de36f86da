//! The client's (web server's) side of one connection: which records make a request, and what the answers'
//! records mean.
//!
//! [`Connection::begin`], [`params`](Connection::params), [`stdin`](Connection::stdin) and their ends make a
//! request's records, in the one order that all applications take: PARAMS, one STDIN stream whatever the
//! role, DATA for a Filter. [`Connection::next_event`] eats what the server sent.
//!
//! # What real applications force
//!
//! - A pair is never split over two PARAMS records, and one that fits none is an error
//!   ([`SendError::TooLong`]): PHP closes on a split pair, others stall, and some read the value's tail as
//!   further names.
//! - BEGIN_REQUEST and the ends of streams are never padded, content and padding stay within 65535 bytes, and
//!   every request, of an Authorizer too, has exactly one empty STDIN record.
//! - END_REQUEST alone ends an answer; an empty STDOUT record does not, and need not come (open point Z14).
//! - After anything odd the connection [is not used again](Connection::is_reusable), so that a late or doubled
//!   answer never meets the next request: an abort, a refusal, an END_REQUEST before the input was sent whole,
//!   a record for a request that is not active.
//!
//! Records for inactive ids, of unknown types or the wrong direction are ignored within
//! [`Limits::ignored`](crate::Limits::ignored), which empty STDOUT and STDERR records and UNKNOWN_TYPE count
//! against too: a flood of them ends. Application records with id 0, a wrong version and an END_REQUEST that is not 8 bytes
//! are fatal.

mod connection;

pub use connection::{Connection, Event, SendError};
