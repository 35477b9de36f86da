use core::task::Poll;
use core::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::cgi::HEAD_LIMIT;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{Exchange, Input, Patience, Request, Session, Stream};

/// A connection without its socket. Its one handler answers how long a body was.
pub(crate) struct Connection {
    pub(crate) session: Session<1>,
    /// What is to be sent.
    pub(crate) out: Vec<u8>,
    exchange: Exchange,
    body: Vec<u8>,
    running: Option<Request>,
    length: usize,
    answered: bool,
}

impl Connection {
    pub(crate) fn new() -> Self {
        let session = Session::new(Limits::new(), &Patience::new());
        let exchange = Exchange::new(&Limits::new(), HEAD_LIMIT, None);
        let (out, body) = (Vec::new(), Vec::new());
        Self { session, out, exchange, body, running: None, length: 0, answered: false }
    }

    /// Takes in what came, and tells how many bytes of it are used up.
    pub(crate) fn take_in(&mut self, bytes: &[u8], now: Duration) -> usize {
        let mut rest = bytes;
        loop {
            self.handle(now);
            match self.session.take_in(&mut self.exchange, &mut rest, now) {
                Some(Input::Start { request }) if !self.is_responder() => self.session.refuse_role(request),
                Some(Input::Start { request }) => {
                    self.body.clear();
                    (self.running, self.length, self.answered) = (Some(request), 0, false);
                }
                Some(Input::Body { data, .. }) => {
                    let over = self.session.keep_into(data, &mut self.body, 64 * 1024);
                    rest = &bytes[bytes.len() - rest.len() - over..]; // it has no room yet
                }
                Some(_) => {} // the handler asks again
                None => break,
            }
        }
        self.session.output_into(&mut self.out);
        bytes.len() - rest.len()
    }

    /// Whether the request is for its handler: an answer to an Authorizer would let somebody in.
    fn is_responder(&self) -> bool {
        self.exchange.begin.is_some_and(|begin| begin.role == Role::Responder)
    }

    /// Lets the handler go on, until it has to wait.
    fn handle(&mut self, now: Duration) {
        let Some(request) = self.running else { return };
        let Self { session, exchange, out, .. } = self;
        while !self.answered {
            match session.read_from(request, Stream::Stdin, &mut self.body, now) {
                Poll::Pending => return,
                Poll::Ready(Ok(data)) if !data.is_empty() => self.length += data.len(),
                Poll::Ready(end) => {
                    let page = format!("Content-Type: text/plain\n\n{} bytes\n", self.length);
                    // It has room. A body that stopped before its end makes a 500 of it.
                    let _ = exchange.answer.write(page.as_bytes());
                    let failed = end.err().map(|stopped| stopped.to_string());
                    let _ = session.finish_answer(request, &mut exchange.answer, failed.as_deref(), now);
                    self.answered = true;
                }
            }
        }
        if session.end_into(request, &mut exchange.answer, 0, out).is_ready() {
            self.running = None;
        }
    }
}
