//! What the adapter keeps of one request: its parameters as they come, its input that waits for the handler, its
//! answer on the way out, who is to be woken.

use fcgi_blocking::Spool;
use fcgi_proto::cgi::Answer;
use fcgi_proto::pair::ParamsBuf;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{Request, Stream};

use crate::server::settings::Settings;
use crate::server::wakers::{Wakers, Wakes};

/// Memory for parameters that is kept from request to request.
const KEPT: usize = 16 * 1024;

/// What a request begins with.
#[derive(Clone, Copy)]
pub(crate) struct Begin {
    pub(crate) request: Request,
    pub(crate) role: Role,
    pub(crate) keep_conn: bool,
}

/// Storage for parameters, empty.
pub(crate) fn params(settings: &Settings) -> ParamsBuf {
    ParamsBuf::new(usize::try_from(settings.limits.params).unwrap_or(usize::MAX))
}

pub(crate) struct Active {
    pub(crate) begin: Begin,
    pub(crate) params: ParamsBuf,
    /// Bytes of parameters that came.
    pub(crate) params_len: usize,
    pub(crate) stdin: Spool,
    pub(crate) data: Spool,
    /// Its reader was woken: what it does not take now is kept for it.
    pub(crate) offered: bool,
    pub(crate) reader: Wakers,
    pub(crate) writer: Wakers,
    pub(crate) aborted: Wakers,
    pub(crate) answer: Answer,
    /// What the handler ended with, once it did.
    pub(crate) status: Option<u32>,
}

impl Active {
    pub(crate) fn new(begin: Begin, settings: &Settings) -> Self {
        Self {
            begin,
            params: params(settings),
            params_len: 0,
            stdin: Spool::default(),
            data: Spool::default(),
            offered: false,
            reader: Wakers::default(),
            writer: Wakers::default(),
            aborted: Wakers::default(),
            answer: Answer::new(settings.head_limit),
            status: None,
        }
    }

    /// Forgets everything, and all memory but a little.
    pub(crate) fn clear(&mut self) {
        self.params.clear(KEPT);
        self.answer.reset(None);
        self.stdin.clear();
        self.data.clear();
        (self.params_len, self.offered, self.status) = (0, false, None);
    }

    pub(crate) fn kept(&mut self, stream: Stream) -> &mut Spool {
        match stream {
            Stream::Stdin => &mut self.stdin,
            Stream::Data => &mut self.data,
        }
    }

    /// Bytes of memory that came from the client.
    pub(crate) fn memory(&self) -> usize {
        self.params_len + self.stdin.in_memory() + self.data.in_memory()
    }

    /// Whoever waits for anything asks again.
    pub(crate) fn wake(&mut self, wakes: &mut Wakes) {
        for wakers in [&mut self.reader, &mut self.writer, &mut self.aborted] {
            wakers.wake(wakes);
        }
    }
}
