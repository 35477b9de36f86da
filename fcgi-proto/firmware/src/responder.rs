//! One connection of the responder: bytes that came in, bytes of answers out, as far as there is room.
//!
//! Its session decides what FastCGI asks for, and how long anything may take. What is here moves bytes.

use core::time::Duration;

use fcgi_proto::embedded_io_07::WriteTo;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{End, Input, Patience, Read, Request, Session, Stream};
use fcgi_proto::{Limits, Next};

use crate::answer::{Answer, has_body};
use crate::page::{Board, Window};

/// Where the programs on Ethernet are asked.
pub const PORT: u16 = 9000;

/// How long they wait.
pub const PATIENCE: Patience = {
    let mut patience = Patience::new();
    // Longer than the 60 s for which nginx keeps a connection, so that it is not closed when a request is on its way.
    patience.idle = Duration::from_secs(75);
    // A socket is soon free for another client.
    patience.write = Duration::from_secs(10);
    patience.drain = Duration::from_secs(2);
    patience
};

/// Room for the parameters of a request.
pub type Params = fcgi_proto::pair::Params<2048>;

/// Content bytes of a record, at most. Every head fits one.
pub(crate) const PIECE: usize = 512;
/// Bytes of room that [`Peer::serve`] needs to do anything: for one record of an answer with its header and its
/// padding, or a reply of the core.
pub const ROOM: usize = PIECE + 16;

/// One connection, but for the parameters of its request.
pub struct Peer {
    /// Its life.
    pub session: Session<1>,
    /// Whose handler runs, what it answers, and how many bytes of that were written.
    running: Option<Request>,
    answer: Answer,
    written: usize,
}

impl Peer {
    /// A new connection, one of `max_conns` that the board takes.
    #[must_use]
    pub const fn new(max_conns: u32, patience: &Patience) -> Self {
        let mut limits = Limits::new();
        limits.max_conns = max_conns;
        let session = Session::new(limits, patience);
        Self { session, running: None, answer: Answer::NotFound, written: 0 }
    }

    /// Takes from the front of `input` and makes answers at the front of `room`, as far as there are [`ROOM`] bytes
    /// of it. Returns how many bytes were taken, and what the transport is to do besides.
    // Inlined into `main` it would be larger.
    #[inline(never)]
    pub fn serve(
        &mut self,
        params: &mut Params,
        input: &[u8],
        room: &mut &mut [u8],
        board: &mut Board,
    ) -> (usize, Next) {
        // An echo of all that is taken at once fits.
        let mut rest = input.get(..PIECE).unwrap_or(input);
        self.session.expire(board.uptime);
        if self.running.is_some_and(|request| self.session.may_answer(request).is_err()) {
            // It ends without an answer, and without room for one.
            self.answer(params, room, board);
        }
        while room.len() >= ROOM {
            // Where there is room again, all that was made has left.
            self.session.sent(usize::MAX, board.uptime);
            if let Some(mut reply) = self.session.poll_output() {
                reply.write_to(room).unwrap_or_default();
            } else if !self.answer(params, room, board) {
                let Some(event) = self.session.receive(&mut rest, board.uptime) else { break };
                self.take_in(event, params, room, board);
            }
        }
        (input.len().min(PIECE) - rest.len(), self.session.next(board.uptime))
    }

    fn take_in(&mut self, event: Input<'_>, params: &mut Params, room: &mut &mut [u8], board: &mut Board) {
        match event {
            Input::Begin { role: Role::Responder, .. } => params.clear(),
            Input::Begin { request, .. } => self.session.refuse_role(request),
            Input::Params { request, data } if params.push(data).is_err() => {
                self.session.refuse_full(request);
            }
            Input::Start { request } if params.finish().is_err() => self.session.refuse_malformed(request),
            Input::Start { request } => {
                board.served = board.served.wrapping_add(1);
                self.answer = Answer::to(params.get(b"REQUEST_URI").unwrap_or_default(), board);
                (self.running, self.written) = (Some(request), 0);
            }
            Input::Body { request, data, .. } => match &mut self.answer {
                Answer::Echo if has_body(params.iter()) => {
                    if let Ok(Some((mut record, _))) = self.session.stdout(request, data) {
                        record.write_to(room).unwrap_or_default();
                    }
                }
                answer => answer.take_in(data),
            },
            _ => {}
        }
    }

    /// Makes the next record of the answer, or its end; false if there is nothing to make now.
    fn answer(&mut self, params: &Params, room: &mut &mut [u8], board: &Board) -> bool {
        let Some(request) = self.running else { return false };
        match self.session.read(request, Stream::Stdin, board.uptime) {
            // But the head of an echo goes before what comes.
            Ok(Read::Wait) if self.written > 0 || !matches!(self.answer, Answer::Echo) => return false,
            Ok(_) => {
                let mut memory = [0; PIECE];
                let mut window = Window::new(self.written, &mut memory);
                self.answer.write(&mut window, params.iter(), has_body(params.iter()));
                let piece = window.into_piece();
                match self.session.stdout(request, piece) {
                    Ok(None) => return false,
                    Ok(Some((mut record, _))) if record.remaining() > 0 => {
                        record.write_to(room).unwrap_or_default();
                        self.written += piece.len();
                        return true;
                    }
                    // It is whole, or nobody wants it.
                    _ => {}
                }
            }
            // Half a request is not answered.
            Err(stopped) if !stopped.is_gone() => self.session.unwritable(),
            Err(_) => {}
        }
        self.session.finish(request, board.uptime);
        match self.session.end(request, 0) {
            End::Wait => return false,
            End::Last(mut end) => end.write_to(room).unwrap_or_default(),
            _ => {}
        }
        self.running = None;
        true
    }
}
