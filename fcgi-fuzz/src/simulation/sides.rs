//! The sessions of all capacities and kinds of table behind one trait a side.

use std::time::Duration;

use fcgi_proto::Next;
use fcgi_proto::cgi::{Answer, HeadError};
use fcgi_proto::client::{self, Again, Ask, Failure, Manners, Odd, Piece, SendError};
use fcgi_proto::record::{Control, Record};
use fcgi_proto::server::session::{
    End, Input, Leave, Life, Read, Report, Request, Session, Started, Stopped, Stream, Waiting, Write,
    WriteError,
};

/// A trait with methods of a session, and the sessions that have them.
macro_rules! side {
    ($name:ident: $($(#[$note:meta])* fn $call:ident(&$($mutable:ident)?, $($arg:ident: $of:ty),*) -> $result:ty;)* for $($session:ty),*) => {
        #[allow(clippy::extra_unused_lifetimes, reason = "some calls lend nothing")]
        pub(super) trait $name {
            $(fn $call<'a>(&$($mutable)? self, $($arg: $of),*) -> $result;)*
        }
        side!(@each $name [$($session),*] $(fn $call(&$($mutable)?, $($arg: $of),*) -> $result;)*);
    };
    (@each $name:ident [$session:ty $(, $rest:ty)*] $($calls:tt)*) => {
        side!(@impl $name $session, $($calls)*);
        side!(@each $name [$($rest),*] $($calls)*);
    };
    (@each $name:ident [] $($calls:tt)*) => {};
    (@impl $name:ident $session:ty, $(fn $call:ident(&$($mutable:ident)?, $($arg:ident: $of:ty),*) -> $result:ty;)*) => {
        #[allow(clippy::extra_unused_lifetimes, reason = "some calls lend nothing")]
        impl $name for $session {
            $(fn $call<'a>(&$($mutable)? self, $($arg: $of),*) -> $result {
                <$session>::$call(self, $($arg),*)
            })*
        }
    };
}

side! { ServerSession:
    fn receive(&mut, input: &mut &'a [u8], now: Duration) -> Option<Input<'a>>;
    fn receive_whole(&mut, input: &mut &'a [u8]) -> Option<Started<'a>>;
    fn took(&mut, count: usize) -> ();
    fn room(&mut, request: Request) -> bool;
    fn refuse_full(&mut, request: Request) -> ();
    fn refuse_malformed(&mut, request: Request) -> ();
    fn refuse_role(&mut, request: Request) -> ();
    fn read(&mut, request: Request, stream: Stream, now: Duration) -> Result<Read, Stopped>;
    fn is_gone(&mut, request: Request) -> bool;
    fn is_alive(&, request: Request) -> bool;
    fn requests(&,) -> usize;
    fn end_of_input(&mut,) -> ();
    fn broken(&mut,) -> ();
    fn unwritable(&mut,) -> ();
    fn poll_output(&mut,) -> Option<Control>;
    fn sent(&mut, count: usize, now: Duration) -> ();
    fn stdout(&mut, request: Request, data: &'a [u8]) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped>;
    fn stderr(&mut, request: Request, data: &'a [u8]) -> Result<Option<(Record<'a>, &'a [u8])>, Stopped>;
    fn write(&mut, request: Request, answer: &'a mut Answer, data: &'a [u8], now: Duration) -> Result<Write<'a>, WriteError>;
    fn write_stderr(&mut, request: Request, answer: &'a mut Answer, data: &'a [u8], now: Duration) -> Result<Write<'a>, WriteError>;
    fn flush(&mut, request: Request, answer: &'a mut Answer, now: Duration) -> Result<Write<'a>, WriteError>;
    fn finish(&mut, request: Request, now: Duration) -> ();
    fn finish_answer(&mut, request: Request, answer: &mut Answer, failed: Option<&str>, now: Duration) -> Result<(), HeadError>;
    fn end(&mut, request: Request, app_status: u32) -> End<Control>;
    fn end_answer(&mut, request: Request, answer: &'a mut Answer, app_status: u32) -> End<&'a [u8]>;
    fn next(&mut, now: Duration) -> Next;
    fn shut(&mut, now: Duration) -> ();
    fn expire(&mut, now: Duration) -> bool;
    fn deadline(&,) -> Option<Duration>;
    fn leave(&mut, why: Leave, now: Duration) -> ();
    fn waiting(&,) -> Option<Waiting>;
    fn poll_report(&mut,) -> Option<Report>;
    for Session<1>, Session<3>, Session<1, Vec<Life>>, Session<3, Vec<Life>>
}

side! { ClientCalls:
    fn get_values(&mut, now: Duration) -> Result<(client::Request, Control), SendError>;
    fn wants(&, request: client::Request) -> u64;
    fn write(&mut, request: client::Request, data: &'a [u8], now: Duration) -> Result<(Piece<'a>, &'a [u8]), SendError>;
    fn sent(&mut, count: usize, now: Duration) -> ();
    fn unwritable(&mut, now: Duration) -> ();
    fn end_of_input(&mut,) -> ();
    fn broken(&mut,) -> ();
    fn receive(&mut, input: &mut &'a [u8], now: Duration) -> Option<client::Input<'a>>;
    fn took(&mut, request: client::Request, count: usize, now: Duration) -> ();
    fn poll(&mut, request: client::Request, now: Duration) -> Result<Option<client::End>, Failure>;
    fn head(&mut, request: client::Request, status: u16) -> ();
    fn may_be_refused(&, request: client::Request) -> bool;
    fn leave(&mut, request: client::Request, now: Duration) -> Control;
    fn next(&,) -> Next;
    fn open(&,) -> usize;
    fn again(&, request: client::Request) -> Again;
    fn take_odd(&mut,) -> Option<Odd>;
    fn expire(&mut, now: Duration) -> bool;
    for client::Session<1>, client::Session<3>
}

/// A client's session: its calls, and those that are generic for one type each.
pub(super) trait ClientSession: ClientCalls {
    fn begin(
        &mut self,
        ask: Ask<'_>,
        pairs: &[(&[u8], &[u8])],
        out: &mut Vec<u8>,
        now: Duration,
    ) -> Result<client::Request, SendError>;
    fn learns(&self, manners: &mut Manners, request: client::Request, now: Duration);
    fn may_be_used(&self, manners: &mut Manners, ask: &Ask<'_>, idle: Duration, now: Duration) -> bool;
}

impl<const N: usize> ClientSession for client::Session<N>
where
    Self: ClientCalls,
{
    fn begin(
        &mut self,
        ask: Ask<'_>,
        pairs: &[(&[u8], &[u8])],
        out: &mut Vec<u8>,
        now: Duration,
    ) -> Result<client::Request, SendError> {
        self.begin_with(ask, pairs.iter().copied(), out, now)
    }

    fn learns(&self, manners: &mut Manners, request: client::Request, now: Duration) {
        manners.learn(self, request, now);
    }

    fn may_be_used(&self, manners: &mut Manners, ask: &Ask<'_>, idle: Duration, now: Duration) -> bool {
        manners.may_use(self, ask, idle, now)
    }
}
