//! What became of a request, for those who watch a server: access logs, slow logs, counters.

use core::fmt;
use core::time::Duration;

use super::Session;
use super::exchange::Exchange;
use super::life::{Life, Phase, Request, Stop};
use super::report::Stopped;
use crate::cgi::Status;
use crate::life::Seconds;
use crate::pair::Pairs;
use crate::record::Role;
use crate::server::slots::Slots;

/// A request that is over. As text it is a line for a log:
/// `GET /page 200, 0 bytes in, 1069 bytes out, 0.012 s`, and behind that what went wrong, if anything did.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Account<'a> {
    /// What this side was asked to be (FastCGI 1.0, section 6).
    pub role: Role,
    /// Its parameters: those that came, if it was refused before they were whole.
    pub params: Pairs<'a>,
    /// The status of its answer, if one was sent that has one.
    pub status: Option<Status>,
    /// Bytes of its bodies, STDIN and DATA, that came.
    pub received: u64,
    /// Bytes of its answer that were sent, the head among them. What the protocol adds is not counted, nor the answer
    /// to a request that was refused.
    pub sent: u64,
    /// How long it took, from its first record to the moment when its end was handed to the transport.
    pub took: Duration,
    /// How long its handler took of that; `None` if it was not run.
    pub ran: Option<Duration>,
    /// What ended it.
    pub outcome: Outcome,
}

impl<'a> Account<'a> {
    /// REQUEST_METHOD, such as `GET`; nothing if there is none.
    #[must_use]
    pub fn method(&self) -> &'a [u8] {
        self.params.clone().get(b"REQUEST_METHOD").unwrap_or_default()
    }

    /// REQUEST_URI, such as `/page?id=1`; nothing if there is none.
    #[must_use]
    pub fn uri(&self) -> &'a [u8] {
        self.params.clone().get(b"REQUEST_URI").unwrap_or_default()
    }
}

impl fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { params, received, sent, took, .. } = self;
        write!(f, "{} {}", Name(params.clone()), self.status.map_or(0, Status::code))?;
        write!(f, ", {received} bytes in, {sent} bytes out, {} s", Seconds(*took))?;
        match self.outcome {
            Outcome::Finished => Ok(()),
            failed => write!(f, ", {failed}"),
        }
    }
}

/// What ended a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Outcome {
    /// Its handler, with an answer that was sent.
    Finished,
    /// Its handler, which failed or panicked: it was answered with a 500, if nothing had been sent before.
    Failed,
    /// The client, a limit or the transport.
    Stopped(Stopped),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.pad("finished"),
            Self::Failed => f.pad("the handler failed"),
            Self::Stopped(why) => why.fmt(f),
        }
    }
}

/// A request in a line of a log, by its method and URI; what is no text in them is escaped.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Name<'p>(pub Pairs<'p>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &[u8]| self.0.clone().get(name).unwrap_or(b"-").escape_ascii();
        write!(f, "{} {}", text(b"REQUEST_METHOD"), text(b"REQUEST_URI"))
    }
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// What became of the request, to be asked as soon as it is over: its end was handed out, or an
    /// [`Over`](super::Input::Over) told. `None` if the exchange is not its own.
    #[must_use]
    pub fn account<'a>(
        &self,
        request: Request,
        exchange: &'a Exchange,
        now: Duration,
    ) -> Option<Account<'a>> {
        let begin = exchange.begin.filter(|begin| begin.request == request)?;
        let life = self.lives().get(request.slot()).filter(|life| life.number == request.number)?;
        let (answer, outcome) = (&exchange.answer, self.outcome(life, exchange));
        let status = match outcome {
            Outcome::Stopped(Stopped::Refused(why)) if answer.bytes() == 0 => Some(why.status()),
            _ => answer.status().filter(|_| answer.bytes() > 0),
        };
        Some(Account {
            role: begin.role,
            params: exchange.told_params(),
            status,
            received: exchange.received + u64::from(life.drained),
            sent: answer.bytes(),
            took: now.saturating_sub(begin.at),
            ran: exchange.ended.map(|ended| ended.at.saturating_sub(exchange.started)),
            outcome,
        })
    }

    fn outcome(&self, life: &Life, exchange: &Exchange) -> Outcome {
        let stopped = match (life.phase, life.stop, self.cut) {
            (Phase::Refusing(why), ..) | (_, Some(Stop::Refused(why)), _) => Some(Stopped::Refused(why)),
            (_, _, Some(ended)) => Some(self.told(ended)),
            (_, Some(Stop::Aborted), _) => Some(Stopped::Aborted),
            _ if exchange.ended.is_some_and(|ended| !ended.failed) => return Outcome::Finished,
            // Perhaps that is why its handler failed.
            _ => self.stopped(life),
        };
        stopped.map_or(Outcome::Failed, Outcome::Stopped)
    }
}
