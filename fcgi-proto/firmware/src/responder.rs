//! One connection of the responder: bytes that came in, bytes of answers out, as far as there is room.
//!
//! Its session decides what FastCGI asks for, and how long anything may take. What is here is the handler.

use core::time::Duration;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use fcgi_proto::cgi::Status;
use fcgi_proto::embedded_io_07::WriteTo;
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::Role;
use fcgi_proto::server::session::{End, Input, Patience, Read, Request, Session, Stream};
use fcgi_proto::{Limits, Next};

use crate::page::{self, Board, Window};

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

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What a request gets.
pub(crate) enum Answer {
    /// The page; how the board was when the request came.
    Page(Board),
    /// STDIN as it comes.
    Echo,
    /// STDIN's length in bytes and its CRC-32.
    Sum(u32, Digest<'static, u32, Table<1>>),
    /// That many bytes.
    Bytes(u32),
    NotFound,
}

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

/// Whether the answer to the request with these parameters has a body.
pub(crate) fn has_body(params: Pairs<'_>) -> bool {
    Status::OK.has_body(params.get(b"REQUEST_METHOD"))
}

impl Answer {
    /// The first segment of the path that is a word known here decides.
    pub(crate) fn to(uri: &[u8], board: &Board) -> Self {
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut segments = path.split(|byte| *byte == b'/');
        while let Some(segment) = segments.next() {
            match segment {
                b"echo" => return Self::Echo,
                b"sum" => return Self::Sum(0, CRC.digest()),
                b"bytes" => return segments.next().and_then(number).map_or(Self::NotFound, Self::Bytes),
                _ => {}
            }
        }
        Self::Page(*board)
    }

    /// Takes in what is posted.
    pub(crate) fn take_in(&mut self, posted: &[u8]) {
        if let Self::Sum(bytes, crc) = self {
            *bytes = bytes.wrapping_add(posted.len() as u32);
            crc.update(posted);
        }
    }

    /// Writes head and body, but for the body that is STDIN.
    pub(crate) fn write(&self, window: &mut Window<'_>, params: Pairs<'_>, has_body: bool) {
        window.text(match self {
            Self::Page(_) => page::HTML,
            Self::Echo | Self::Bytes(_) => page::BYTES,
            Self::Sum(..) => page::TEXT,
            Self::NotFound => page::NOT_FOUND,
        });
        if let Self::Bytes(count) = self {
            window.text(b"Content-Length: ");
            window.decimal(*count);
            window.text(b"\r\n");
        }
        window.text(b"\r\n");
        if !has_body {
            return;
        }
        match self {
            Self::Page(board) => page::dashboard(window, board, params),
            Self::Echo => {}
            Self::Sum(bytes, crc) => {
                window.decimal(*bytes);
                window.text(b" ");
                window.hexadecimal(crc.clone().finalize());
                window.text(b"\n");
            }
            Self::Bytes(count) => window.repeat(b'x', *count),
            Self::NotFound => window.text(b"Not Found\n"),
        }
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}
