//! One connection of the responder: bytes that came in, bytes of answers out, as far as there is room.

use core::mem::size_of;

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use embedded_io::{ErrorKind, ErrorType, Write};
use fcgi_proto::cgi::Status;
use fcgi_proto::embedded_io_07::WriteTo;
use fcgi_proto::pair::Params;
use fcgi_proto::record::{RequestId, Role};
use fcgi_proto::server::{Connection, Event, Refusal, SendError};
use fcgi_proto::{ConnectionError, Limits};

use crate::page::{self, Board, Window};

/// Bytes of parameters that a request may have.
pub const PARAMS: usize = 2048;

/// Bytes of a connection's state, without the parameters.
pub const CONNECTION: usize = size_of::<Connection<1>>();
const _: () = assert!(CONNECTION <= 128, "the budget of a connection's state");

/// Content bytes of a record, at most. Every head fits one.
const PIECE: usize = 512;
/// A record's header, and its padding at most.
const FRAME: usize = 16;
/// Bytes of room that [`handle`] needs to do anything: for one record of an answer, or a reply of the core.
pub const ROOM: usize = PIECE + FRAME;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What a request gets.
enum Answer {
    /// The page; how the board was when the request came.
    Page(Board),
    /// STDIN as it comes.
    Echo,
    /// STDIN's length in bytes and its CRC-32.
    Sum {
        bytes: u32,
        crc: Digest<'static, u32, Table<1>>,
    },
    /// That many bytes.
    Bytes(u32),
    NotFound,
}

/// A request whose parameters are there.
struct Request {
    id: RequestId,
    answer: Answer,
    /// STDIN has ended.
    complete: bool,
    /// Bytes of the answer's text that were sent.
    sent: usize,
}

/// The state of one connection, but for the parameters of its request.
pub struct Peer {
    connection: Connection<1>,
    request: Option<Request>,
}

/// The connection cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// What came is not FastCGI.
    Input(ConnectionError),
    /// The core was called out of order.
    Output(SendError),
    /// A record met less room than [`ROOM`].
    Full,
}

impl From<ConnectionError> for Broken {
    fn from(error: ConnectionError) -> Self {
        Self::Input(error)
    }
}

impl From<SendError> for Broken {
    fn from(error: SendError) -> Self {
        Self::Output(error)
    }
}

impl From<ErrorKind> for Broken {
    fn from(_: ErrorKind) -> Self {
        Self::Full
    }
}

/// Room for what is to be sent.
pub struct Output<'a> {
    memory: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    /// Nothing in `memory` yet.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, len: 0 }
    }

    /// What is to be sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    fn room(&self) -> usize {
        self.memory.len() - self.len
    }
}

impl ErrorType for Output<'_> {
    type Error = ErrorKind;
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let free = self.memory.get_mut(self.len..).unwrap_or_default();
        let count = bytes.len().min(free.len());
        if count == 0 {
            return Err(ErrorKind::WriteZero);
        }
        for (to, from) in free.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len += count;
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Peer {
    /// A new connection, one of `max_conns` that the board takes.
    #[must_use]
    pub const fn new(max_conns: u32) -> Self {
        let limits = Limits { params: PARAMS as u32, max_conns, ..Limits::new() };
        Self { connection: Connection::new(limits), request: None }
    }

    /// Whether an answer is being made that needs no more input.
    #[must_use]
    pub fn is_answering(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.complete)
    }

    /// Whether this side is to close the connection now.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.connection.is_finished()
    }
}

/// Takes from the front of `input` and makes answers at the front of `output`, until the one is used up and
/// nothing is left to answer, or the other has less than [`ROOM`] bytes left.
///
/// # Errors
/// [`Broken`]: close the connection, after `output` was sent.

// Inlined into `main` it would be larger.
#[inline(never)]
pub fn handle(
    peer: &mut Peer,
    params: &mut Params<PARAMS>,
    input: &mut &[u8],
    output: &mut Output<'_>,
    board: &mut Board,
) -> Result<(), Broken> {
    while output.room() >= ROOM {
        if let Some(mut reply) = peer.connection.poll_reply() {
            reply.write_to(output)?;
        } else if !input.is_empty() {
            // An echo of all that is taken fits.
            let (mut front, _) = input.split_at_checked(PIECE).unwrap_or((input, &[]));
            let before = front.len();
            let event = peer.connection.next_event(&mut front);
            *input = input.get(before - front.len()..).unwrap_or_default();
            if let Some(event) = event? {
                peer.on_event(event, params, output, board)?;
            }
        } else if !peer.answer(params, output)? {
            break;
        }
    }
    Ok(())
}

impl Peer {
    fn on_event(
        &mut self,
        event: Event<'_>,
        params: &mut Params<PARAMS>,
        output: &mut Output<'_>,
        board: &mut Board,
    ) -> Result<(), Broken> {
        match event {
            Event::Begin { role: Role::Responder, .. } => params.clear(),
            Event::Begin { id, .. } => self.reject(id, Refusal::UnknownRole, output)?,
            Event::Params { id, data } => {
                if params.push(data).is_err() {
                    self.reject(id, Refusal::Overloaded, output)?;
                }
            }
            Event::ParamsEnd { id } => {
                if params.finish().is_err() {
                    return self.reject(id, Refusal::Malformed, output);
                }
                board.served = board.served.wrapping_add(1);
                let answer = Answer::to(params.get(b"REQUEST_URI").unwrap_or_default(), board);
                let echo = matches!(answer, Answer::Echo);
                self.request = Some(Request { id, answer, complete: false, sent: 0 });
                if echo {
                    // The head goes before what comes.
                    self.answer(params, output)?;
                }
            }
            Event::Stdin { id, data } => match self.request.as_mut().map(|request| &mut request.answer) {
                Some(Answer::Echo) if has_body(params) => {
                    self.connection.stdout(id, data)?.0.write_to(output)?;
                }
                Some(Answer::Sum { bytes, crc }) => {
                    *bytes = bytes.wrapping_add(data.len() as u32);
                    crc.update(data);
                }
                _ => {}
            },
            Event::StdinEnd { .. } => {
                if let Some(request) = &mut self.request {
                    request.complete = true;
                }
            }
            Event::Abort { id } => {
                self.request = None;
                self.connection.finish(id, 0)?.write_to(output)?;
            }
            Event::Rejected { .. } => self.request = None,
            _ => {}
        }
        Ok(())
    }

    fn reject(&mut self, id: RequestId, why: Refusal, output: &mut Output<'_>) -> Result<(), Broken> {
        Ok(self.connection.reject(id, why)?.write_to(output)?)
    }

    /// Makes the next record of the answer, or its end; false if there is nothing to make now.
    fn answer(&mut self, params: &Params<PARAMS>, output: &mut Output<'_>) -> Result<bool, Broken> {
        let Some(request) = &mut self.request else { return Ok(false) };
        if !request.complete && !matches!(request.answer, Answer::Echo) {
            return Ok(false);
        }
        let mut memory = [0; PIECE];
        let mut window = Window::new(request.sent, &mut memory);
        request.answer.write(&mut window, params);
        let piece = window.into_piece();
        if !piece.is_empty() {
            request.sent += piece.len();
            self.connection.stdout(request.id, piece)?.0.write_to(output)?;
            return Ok(true);
        }
        if !request.complete {
            return Ok(false);
        }
        self.connection.finish(request.id, 0)?.write_to(output)?;
        self.request = None;
        Ok(true)
    }
}

fn has_body(params: &Params<PARAMS>) -> bool {
    Status::OK.has_body(params.get(b"REQUEST_METHOD"))
}

impl Answer {
    /// The first segment of the path that is a word known here decides.
    fn to(uri: &[u8], board: &Board) -> Self {
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        let mut segments = path.split(|byte| *byte == b'/');
        while let Some(segment) = segments.next() {
            match segment {
                b"echo" => return Self::Echo,
                b"sum" => return Self::Sum { bytes: 0, crc: CRC.digest() },
                b"bytes" => return segments.next().and_then(number).map_or(Self::NotFound, Self::Bytes),
                _ => {}
            }
        }
        Self::Page(*board)
    }

    /// Writes head and body, but for the body that is STDIN.
    fn write(&self, window: &mut Window<'_>, params: &Params<PARAMS>) {
        window.text(match self {
            Self::Page(_) => page::HTML,
            Self::Echo | Self::Bytes(_) => page::BYTES,
            Self::Sum { .. } => page::TEXT,
            Self::NotFound => page::NOT_FOUND,
        });
        if let Self::Bytes(count) = self {
            window.text(b"Content-Length: ");
            window.decimal(*count);
            window.text(b"\r\n");
        }
        window.text(b"\r\n");
        if !has_body(params) {
            return;
        }
        match self {
            Self::Page(board) => page::dashboard(window, board, params),
            Self::Echo => {}
            Self::Sum { bytes, crc } => {
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
