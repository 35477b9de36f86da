//! What a caller with memory keeps of a request: its parameters as they come, its answer on the way out.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::end::End;
use super::life::{Life, Request};
use super::told::Input;
use super::write::Output;
use super::{Session, Started};
use crate::cgi::{Answer, Front, HEAD_LIMIT};
use crate::life::Level;
use crate::limits::Limits;
use crate::pair::{Pairs, ParamsBuf};
use crate::record::Role;
use crate::server::slots::Slots;

/// Bytes of memory for parameters that are kept from request to request.
const KEPT_PARAMS: usize = 16 * 1024;

/// What a request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Begin {
    /// The request.
    pub request: Request,
    /// What this side is asked to be (FastCGI 1.0, section 6).
    pub role: Role,
    /// Whether the client keeps the connection after it (section 5.1).
    pub keep_conn: bool,
    /// When its first record was taken in, by the caller's clock.
    pub at: Duration,
}

/// What a handler ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Ended {
    app_status: u32,
    pub(super) failed: bool,
    pub(super) at: Duration,
}

/// A request and its answer. Its memory serves one request after the other.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Exchange {
    /// What the request began with, if one did.
    pub begin: Option<Begin>,
    /// Its parameters: whole, once it [starts](Input::Start).
    pub params: ParamsBuf,
    /// Its answer.
    pub answer: Answer,
    /// The web server that answers are for, where it is not the one that SERVER_SOFTWARE names.
    pub front: Option<Front>,
    /// Whether it keeps a copy of its parameters while its handler has them.
    watched: bool,
    copy: Vec<u8>,
    /// Whether parameters may stay where they came, and where these are, from the front of that input.
    stays: bool,
    place: Option<Range<usize>>,
    /// Bytes of its bodies that were taken for its handler.
    pub(super) received: u64,
    /// When its handler was to be run.
    pub(super) started: Duration,
    pub(super) ended: Option<Ended>,
}

impl Exchange {
    /// Room for a request with as many bytes of parameters as these limits allow, and an answer with a head of up to
    /// `head_limit` bytes for this web server.
    #[must_use]
    pub fn new(limits: &Limits, head_limit: usize, front: Option<Front>) -> Self {
        let params = usize::try_from(limits.params).unwrap_or(usize::MAX);
        Self {
            begin: None,
            params: ParamsBuf::new(params),
            answer: Answer::new(head_limit),
            front,
            watched: false,
            copy: Vec::new(),
            stays: false,
            place: None,
            received: 0,
            started: Duration::ZERO,
            ended: None,
        }
    }

    /// Whether an [account](Session::account) of its requests is to have their parameters, of which a copy is kept then
    /// while their handlers have them.
    #[must_use]
    pub fn watched(self, watched: bool) -> Self {
        Self { watched, ..self }
    }

    /// Parameters that came as [all of the input](Session::receive_whole) stay there, and are not copied. Its caller has
    /// to take them with [`take_params_from`](Self::take_params_from): [`take_params`](Self::take_params) and
    /// [`params`](Self::params) have only those that came otherwise.
    #[must_use]
    pub fn in_place(self) -> Self {
        Self { stays: true, ..self }
    }

    /// Forgets the request, and all memory but a little.
    pub fn clear(&mut self) {
        self.begin = None;
        self.forget();
        self.answer.reset(None);
    }

    #[inline]
    fn forget(&mut self) {
        self.params.clear(KEPT_PARAMS);
        self.copy.clear();
        self.copy.shrink_to(KEPT_PARAMS);
        (self.received, self.ended, self.place) = (0, None, None);
    }

    /// Its parameters, for its handler. [`params`](Self::params) may get them back, for their memory.
    #[inline]
    pub fn take_params(&mut self) -> ParamsBuf {
        if self.watched && self.copy.is_empty() {
            self.copy.extend_from_slice(self.params.iter().rest());
        }
        self.params.take()
    }

    /// Its parameters, for its handler, as [`take_params`](Self::take_params). If they stayed [in
    /// place](Self::in_place), `memory`, which has the input from its byte `from` on, is taken with them.
    #[inline]
    pub fn take_params_from(&mut self, memory: &mut Box<[u8]>, from: usize) -> ParamsBuf {
        let Some(Range { start, end }) = self.place.take() else { return self.take_params() };
        let params = self.params.within(core::mem::take(memory), from + start..from + end);
        if self.watched {
            self.copy.extend_from_slice(params.iter().rest());
        }
        params
    }

    /// Its handler is done with the parameters: their memory serves the next request, and so does that of the input.
    #[inline]
    pub fn give_back(&mut self, params: ParamsBuf, memory: &mut Box<[u8]>) {
        match params.into_memory() {
            Ok(own) if memory.is_empty() => *memory = own,
            Ok(_) => {}
            Err(params) => self.params = params,
        }
    }

    /// Its parameters, also while its handler has them if it is [watched](Self::watched).
    pub(super) fn told_params(&self) -> Pairs<'_> {
        if self.copy.is_empty() { self.params.iter() } else { Pairs::new(&self.copy) }
    }

    /// So many bytes of its bodies were [taken](Session::took), for its [account](Session::account).
    pub fn took(&mut self, count: usize) {
        self.received += count as u64;
    }

    /// Whether its answer keeps what is written there, so that nothing of it has to leave yet and no time counts.
    #[must_use]
    pub fn keeps(&self, what: Output<'_>) -> bool {
        matches!(what, Output::Stdout(data) if self.answer.has_room(data))
    }

    /// Whether its handler is done.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it is this request's.
    #[must_use]
    pub fn is_of(&self, request: Request) -> bool {
        self.begin.is_some_and(|begin| begin.request == request)
    }
}

/// Where a caller keeps its [`Exchange`]s. One alone keeps that of a connection with one request at a time.
pub trait Exchanges {
    /// A request begins. `false`: there is no room for it.
    fn begin(&mut self, begin: Begin) -> bool;

    /// That of the request; `None` if there is none, or no memory for so many bytes more of its parameters.
    fn room(&mut self, request: Request, bytes: usize) -> Option<&mut Exchange>;
}

impl Exchanges for Exchange {
    fn begin(&mut self, begin: Begin) -> bool {
        self.forget();
        self.begin = Some(begin);
        true
    }

    fn room(&mut self, request: Request, _: usize) -> Option<&mut Exchange> {
        self.is_of(request).then_some(self)
    }
}

/// Those of Responders, by their [slots](Request::slot): each is made as its request begins, with the default limits,
/// and its handler may take it. Requests of other roles are refused: a page in answer to an Authorizer would let
/// somebody in.
impl Exchanges for Vec<Option<Exchange>> {
    fn begin(&mut self, begin: Begin) -> bool {
        if begin.role != Role::Responder {
            return false;
        }
        let slot = begin.request.slot();
        self.resize_with(self.len().max(slot + 1), || None);
        let Some(place) = self.get_mut(slot) else { return false };
        place.get_or_insert_with(|| Exchange::new(&Limits::new(), HEAD_LIMIT, None)).begin(begin)
    }

    fn room(&mut self, request: Request, bytes: usize) -> Option<&mut Exchange> {
        self.get_mut(request.slot())?.as_mut()?.room(request, bytes)
    }
}

impl<const N: usize, S: Slots<Entry = Life>> Session<N, S> {
    /// As [`receive`](Self::receive), with what requests begin with kept in `exchanges`: parameters are gathered, and
    /// requests that have no room or are not whole are refused, before their [`Start`](Input::Start). Of those it
    /// tells nothing but that they are [`Over`](Input::Over), and of the others no parameters.
    pub fn take_in<'i>(
        &mut self,
        exchanges: &mut impl Exchanges,
        input: &mut &'i [u8],
        now: Duration,
    ) -> Option<Input<'i>> {
        if input.is_empty() && self.looks.is_empty() {
            // Nothing comes, and what was handed out before is taken.
            self.pending.lent = 0;
            return None;
        }
        let all = *input;
        let whole = if all.is_empty() { None } else { self.receive_whole(input) };
        if let Some(Started { request, keep_conn, params, .. }) = whole {
            let begun = exchanges.begin(Begin { request, role: Role::Responder, keep_conn, at: now });
            // Parameters are never at the front: a record comes before them.
            let at = params.as_ptr().addr() - all.as_ptr().addr();
            let stays = begun && input.is_empty() && stay(exchanges, request, at..at + params.len());
            return Some(if stays || begun && keep(exchanges, request, params) {
                self.start(exchanges, request, params, now)
            } else {
                self.turn_away(request)
            });
        }
        self.take_in_parts(exchanges, input, now)
    }

    /// As [`take_in`](Self::take_in), of what is not a whole request; apart, so that those are quick.
    #[inline(never)]
    fn take_in_parts<'i>(
        &mut self,
        exchanges: &mut impl Exchanges,
        input: &mut &'i [u8],
        now: Duration,
    ) -> Option<Input<'i>> {
        loop {
            return Some(match self.receive(input, now)? {
                Input::Begin { request, role, keep_conn } => {
                    if exchanges.begin(Begin { request, role, keep_conn, at: now }) {
                        continue;
                    }
                    self.turn_away(request)
                }
                Input::Params { request, data } => {
                    if keep(exchanges, request, data) {
                        continue;
                    }
                    self.turn_away(request)
                }
                Input::Start { request } => self.start(exchanges, request, &[], now),
                other => other,
            });
        }
    }

    /// The request's parameters are all there: these, or the ones that were kept.
    #[inline]
    fn start<'i>(
        &mut self,
        exchanges: &mut impl Exchanges,
        request: Request,
        whole: &[u8],
        now: Duration,
    ) -> Input<'i> {
        let exchange = exchanges.room(request, 0);
        let starts = exchange.is_some_and(|Exchange { params, place, answer, front, started, .. }| {
            *started = now;
            let pairs = if whole.is_empty() { params.iter() } else { Pairs::new(whole) };
            let starts = answer.reset_for(pairs, *front).is_ok();
            if !starts && place.take().is_some() {
                // Its name is told to a log. There is room, or it would not stay.
                let _ = params.push(whole);
            }
            starts
        });
        if starts {
            return Input::Start { request };
        }
        self.refuse_malformed(request);
        Input::Over { request }
    }

    fn turn_away<'i>(&mut self, request: Request) -> Input<'i> {
        self.refuse_full(request);
        Input::Over { request }
    }

    /// The handler is done, with an application status or failed with this text: as
    /// [`finish_answer`](Self::finish_answer), with what is to be told to a log, if anything.
    #[inline]
    pub fn complete(
        &mut self,
        request: Request,
        exchange: &mut Exchange,
        outcome: Result<u32, String>,
        now: Duration,
    ) -> Option<(Level, String)> {
        let (app_status, failed) = outcome.map_or_else(|why| (0, Some(why)), |status| (status, None));
        let finished = self.finish_answer(request, &mut exchange.answer, failed.as_deref(), now);
        let why = failed.or_else(|| finished.err().map(|error| error.to_string()));
        exchange.ended = Some(Ended { app_status, failed: why.is_some(), at: now });
        why.map(|why| (self.failure_level(request), why))
    }

    /// What ends the request, with what its answer holds: as [`end_answer`](Self::end_answer), once its handler is
    /// [done](Self::complete).
    #[inline]
    pub fn end_exchange<'a>(&mut self, request: Request, exchange: &'a mut Exchange) -> End<&'a [u8]> {
        let Some(Ended { app_status, .. }) = exchange.ended else { return End::Wait };
        self.end_answer(request, &mut exchange.answer, app_status)
    }
}

/// Leaves parameters where they came; whether their caller takes them from there, and as many.
fn stay(exchanges: &mut impl Exchanges, request: Request, place: Range<usize>) -> bool {
    let exchange = exchanges.room(request, 0);
    let exchange = exchange.filter(|exchange| exchange.stays && exchange.params.takes(place.len()));
    exchange.is_some_and(|exchange| exchange.place.replace(place).is_none())
}

/// Keeps parameters; whether there was room for them.
fn keep(exchanges: &mut impl Exchanges, request: Request, data: &[u8]) -> bool {
    let exchange = exchanges.room(request, data.len());
    exchange.is_some_and(|exchange| exchange.params.push(data).is_ok())
}
