//! The wire: record headers, types, ids, roles, flags, the fixed bodies, and every constant of section 8.
//!
//! Everything on a connection is records (FastCGI 1.0, section 3.3): an 8-byte [`Header`], 0 to 65535 bytes
//! of content, 0 to 255 bytes of padding. Numbers are big-endian. What arrives is cut into records by
//! [`crate::decoder`]; what is sent is a [`Record`] that borrows its content or an owned [`Control`].

mod bodies;
mod control;
mod header;
mod names;
mod pair;
mod stream;

pub use bodies::{BeginRequest, EndRequest, UnknownType};
pub use control::Control;
pub use header::{HEADER_LEN, Header, MAX_CONTENT, MAX_LENGTH, VERSION_1, WrongVersion};
pub use names::{
    Flags, KEEP_CONN, LISTENSOCK_FILENO, MAX_CONNS, MAX_REQS, MAXTYPE, MPXS_CONNS, NULL_REQUEST_ID,
    ProtocolStatus, RecordType, RequestId, Role, UnknownNumber,
};
pub use pair::PairRecord;
pub use stream::Record;
