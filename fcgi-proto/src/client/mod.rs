//! The client's (web server's) side of one connection.
//!
//! [`Connection`] knows which records make a request, in the one order that all applications take (PARAMS, one
//! STDIN stream whatever the role, DATA for a Filter), and what the answers' records mean. A [`Session`] stands on
//! it and decides the rest of the connection's life: when what is sent, how long anything may take, what is sent
//! again, whether the connection carries the next request; see [`session`] for a loop that drives one. A [`Page`]
//! makes a response of what comes on STDOUT.
//!
//! # What real applications force
//!
//! - A pair is never split over two PARAMS records, and one that fits none is an error
//!   ([`SendError::TooLong`]): PHP closes on a split pair, others stall, and some read the value's tail as
//!   further names.
//! - BEGIN_REQUEST and the ends of streams are never padded, content and padding stay within 65535 bytes, and
//!   every request, of an Authorizer too, has exactly one empty STDIN record.
//! - END_REQUEST alone ends an answer; an empty STDOUT record does not, and need not come (open point Z14).
//! - After anything odd the connection [is not used again](Connection::is_reusable): an abort, a refusal, an
//!   END_REQUEST before the input was sent whole or of another length than 8 bytes, a record for a request that
//!   is not active, any record while nothing is asked. A late or doubled answer can come after the next
//!   request began. So ids are taken in turn, from 1 to 200: such an answer then names no active request.
//!
//! Records for inactive ids, of unknown types or the wrong direction are ignored within
//! [`Limits::ignored`], which empty STDOUT and STDERR records and UNKNOWN_TYPE count against too: a flood of
//! them ends. Application records with id 0, a wrong version and an END_REQUEST that is not 8 bytes and has no
//! answer before it are fatal.
//!
//! [`Limits::ignored`]: crate::Limits::ignored

mod connection;
mod event;
mod page;
pub mod session;

pub use connection::Connection;
pub use event::{Event, Odd, Oddity, SendError};
pub use page::{Page, PageError};
#[cfg(feature = "alloc")]
pub use session::Stderr;
pub use session::{
    Again, Ask, End, Failure, Input, Manners, Piece, Request, Resend, Session, Settings, Wait,
};
