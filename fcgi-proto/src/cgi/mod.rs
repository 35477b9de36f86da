//! CGI/1.1 on top of the streams (RFC 3875): response heads, as a server writes and a web server reads them,
//! and the variables that a web server makes of an HTTP request.
//!
//! | side | what | section |
//! |---|---|---|
//! | server | [`Head`], [`HeadEnd`]: a response head, written; `Answer` (feature `alloc`): with its body; [`Front`]: for whom | 6 |
//! | client | [`ResponseHead`], [`Decision`]: a response head, read from STDOUT in any chunks | 6 |
//! | client | [`ResponseBody`]: what of the rest is body | 6.3.4 |
//! | client | [`Variables`], [`Target`], [`decode_path`]: what goes into PARAMS | 4.1 |
//! | both | [`Status`], [`is_hop_by_hop`] | |
//!
//! A response head that cannot be sent is a [`HeadError`], one that cannot be taken a [`ResponseHeadError`],
//! a request that cannot be passed on a [`VariablesError`] or a [`PathError`].

#[cfg(feature = "alloc")]
mod answer;
mod body;
mod field;
mod front;
mod head;
mod response;
mod status;
mod target;
mod variables;

#[cfg(feature = "alloc")]
pub use answer::Answer;
pub use body::{ResponseBody, ResponseTooLong};
pub use field::is_hop_by_hop;
pub use front::Front;
pub use head::{HEAD_LIMIT, Head, HeadEnd, HeadError};
pub use response::{
    AuthorizerVariables, Decision, Location, ResponseFields, ResponseHead, ResponseHeadError,
};
pub use status::Status;
pub use target::{PathError, Target, decode_path};
pub use variables::{NAME_LIMIT, Value, Variables, VariablesError};
