//! What the adapter keeps of a connection's requests: what they began with, input that waits for the handler, the
//! answer on its way out, who is to be woken.

use std::io;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use fcgi_blocking::{Span, Spool};
use fcgi_proto::server::session::{Begin, Exchange, Exchanges, Life, Request, Stopped, Stream};

use crate::server::connections::{Common, SLOTS};
use crate::server::settings::Settings;
use crate::server::wakers::{Wakers, Wakes};

/// A connection's session.
pub(crate) type Session = fcgi_proto::server::Session<SLOTS, Vec<Life>>;

pub(crate) struct Active {
    pub(crate) exchange: Exchange,
    /// Of its handler, if that was started.
    pub(crate) span: Span,
    /// Bytes of parameters that came.
    params_len: usize,
    /// Its bodies.
    pub(crate) kept: [Spool; 2],
    /// Its handler was started, and counts from then on.
    pub(crate) started: bool,
    /// Its reader was woken: what it does not take now is kept for it.
    pub(crate) offered: bool,
    pub(crate) reader: Wakers,
    pub(crate) writer: Wakers,
    pub(crate) aborted: Wakers,
}

impl Active {
    fn new(common: &Common) -> Box<Self> {
        let Settings { limits, head_limit, front, watcher, .. } = &common.settings;
        Box::new(Self {
            exchange: Exchange::new(limits, *head_limit, *front).watched(watcher.is_some()),
            span: Span::default(),
            params_len: 0,
            kept: Default::default(),
            started: false,
            offered: false,
            reader: Wakers::default(),
            writer: Wakers::default(),
            aborted: Wakers::default(),
        })
    }

    /// Bytes of memory that came from the client.
    pub(crate) fn memory(&self) -> usize {
        self.params_len + self.kept.iter().map(Spool::in_memory).sum::<usize>()
    }

    /// Whoever waits for anything asks again.
    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        for wakers in [&mut self.reader, &mut self.writer, &mut self.aborted] {
            wakers.wake(wakes);
        }
    }
}

/// Those of a connection, by the slots that the session gave them.
pub(crate) struct Requests {
    pub(crate) slots: Vec<Option<Box<Active>>>,
    /// Of the request that ended last, for the next of those that were read together.
    spare: Option<Box<Active>>,
    pub(crate) common: Arc<Common>,
    /// Who is to be woken.
    pub(crate) wakes: Wakes,
}

impl Requests {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        Self { slots: Vec::new(), spare: None, common, wakes: Wakes::new() }
    }

    pub(crate) fn get(&mut self, request: Request) -> Option<&mut Active> {
        find(&mut self.slots, request)
    }

    /// Has the request's reader woken for what is there, if one waits that was not woken since it last came.
    pub(crate) fn offer(&mut self, request: Request) -> bool {
        let Some(active) = find(&mut self.slots, request) else { return false };
        if active.offered || active.reader.is_empty() {
            return false;
        }
        active.offered = true;
        active.reader.wake(&mut self.wakes);
        true
    }

    /// Keeps what has room of one of the request's bodies for its handler; how much that is.
    pub(crate) fn keep(&mut self, request: Request, stream: Stream, data: &[u8], spool: bool) -> usize {
        let Some(active) = find(&mut self.slots, request) else { return data.len() };
        let Common { settings, .. } = &*self.common;
        let before = active.memory();
        let memory = self.common.take(data.len());
        let room = if memory { settings.body_room.max(1) } else { 0 };
        let count = active.kept[stream as usize].keep(data, room, if spool { settings.spool } else { 0 });
        if memory {
            self.common.release(before + data.len() - active.memory());
        }
        active.reader.wake(&mut self.wakes);
        count
    }

    /// Takes what was kept of one of its bodies; 0 bytes if there are none.
    pub(crate) fn take(&mut self, request: Request, stream: Stream, into: &mut [u8]) -> io::Result<usize> {
        let Some(active) = find(&mut self.slots, request) else { return Err(Stopped::Over.into()) };
        active.offered = false;
        let before = active.memory();
        let count = active.kept[stream as usize].take(into)?;
        self.common.release(before - active.memory());
        Ok(count)
    }

    /// The request is over: whoever still waits finds that.
    pub(crate) fn remove(&mut self, request: Request, session: &Session, now: Duration) {
        let slot = self.slots.get_mut(request.slot());
        let active = slot.and_then(|slot| slot.take_if(|active| active.exchange.is_of(request)));
        let Some(mut active) = active else { return };
        let span = std::mem::take(&mut active.span);
        self.common.ends.note(&span, || session.account(request, &active.exchange, now));
        self.common.release(active.memory());
        if !active.started {
            self.common.end();
        }
        active.wake(&mut self.wakes);
        active.exchange.clear();
        active.kept.iter_mut().for_each(Spool::clear);
        (active.params_len, active.started, active.offered) = (0, false, false);
        let before = self.spare.replace(active);
        before.into_iter().for_each(|active| self.common.requests.put(active));
    }

    /// The connection's task rests: the spare memory is for other connections meanwhile.
    pub(crate) fn rest(&mut self) {
        self.spare.take().into_iter().for_each(|active| self.common.requests.put(active));
    }

    /// Has whoever waits for anything of the request look.
    pub(crate) fn wake(&mut self, request: Request) {
        find(&mut self.slots, request).into_iter().for_each(|active| active.wake(&mut self.wakes));
    }

    pub(crate) fn wake_all(&mut self) {
        self.slots.iter_mut().flatten().for_each(|active| active.wake(&mut self.wakes));
    }

    /// Has this task woken with others that wait for the same of the request.
    pub(crate) fn register(
        &mut self,
        request: Request,
        of: fn(&mut Active) -> &mut Wakers,
        cx: &Context<'_>,
    ) {
        let wakers = find(&mut self.slots, request).map(of);
        wakers.into_iter().for_each(|wakers| wakers.register(cx.waker(), &mut self.wakes));
    }
}

impl Exchanges for Requests {
    fn begin(&mut self, begin: Begin) -> bool {
        let slot = begin.request.slot();
        if !self.common.begin() {
            return false;
        }
        // Most connections have one request at a time.
        self.slots.reserve_exact(usize::from(self.slots.is_empty()));
        self.slots.resize_with(self.slots.len().max(slot + 1), || None);
        let spare = self.spare.take();
        let mut active = spare.unwrap_or_else(|| self.common.requests.get(|| Active::new(&self.common)));
        active.exchange.begin = Some(begin);
        self.slots[slot] = Some(active);
        true
    }

    fn room(&mut self, request: Request, bytes: usize) -> Option<&mut Exchange> {
        let active = find(&mut self.slots, request).filter(|_| self.common.take(bytes))?;
        active.params_len += bytes;
        Some(&mut active.exchange)
    }
}

pub(crate) fn find(slots: &mut [Option<Box<Active>>], request: Request) -> Option<&mut Active> {
    let active = slots.get_mut(request.slot())?.as_mut()?;
    active.exchange.is_of(request).then_some(&mut **active)
}
