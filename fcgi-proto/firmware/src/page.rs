//! What is answered, as texts that are written anew for each piece of them that is sent: no memory holds one
//! whole.

use core::mem::size_of;
use core::time::Duration;

use fcgi_proto::pair::Pairs;
use fcgi_proto::server::{Connection, Session};

/// The piece of a text that begins behind its first `skip` bytes and fits `piece`.
pub struct Window<'a> {
    skip: usize,
    piece: &'a mut [u8],
    len: usize,
}

impl<'a> Window<'a> {
    /// An empty one.
    pub fn new(skip: usize, piece: &'a mut [u8]) -> Self {
        Self { skip, piece, len: 0 }
    }

    /// What fell into the window.
    pub fn into_piece(self) -> &'a [u8] {
        self.piece.get(..self.len).unwrap_or_default()
    }

    /// Writes the text's next bytes.
    pub fn text(&mut self, text: &[u8]) {
        let seen = text.get(self.skip..).unwrap_or_default();
        self.skip = self.skip.saturating_sub(text.len());
        let free = self.piece.get_mut(self.len..).unwrap_or_default();
        for (to, from) in free.iter_mut().zip(seen) {
            *to = *from;
        }
        self.len += seen.len().min(free.len());
    }

    /// Writes `byte` so many times.
    pub fn repeat(&mut self, byte: u8, count: u32) {
        let count = count as usize;
        let seen = count.saturating_sub(self.skip);
        self.skip = self.skip.saturating_sub(count);
        let free = self.piece.get_mut(self.len..).unwrap_or_default();
        let fits = seen.min(free.len());
        free.get_mut(..fits).unwrap_or_default().fill(byte);
        self.len += fits;
    }

    /// Writes a number in decimal.
    pub fn decimal(&mut self, mut number: u32) {
        let mut digits = [b'0'; 10];
        let mut first = 9;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            if *digit != b'0' {
                first = at;
            }
        }
        self.text(digits.get(first..).unwrap_or_default());
    }

    /// Writes a number as 8 hexadecimal digits.
    pub fn hexadecimal(&mut self, number: u32) {
        for shift in (0..32).step_by(4).rev() {
            let digit = (number >> shift & 15) as u8;
            self.text(&[digit + if digit < 10 { b'0' } else { b'a' - 10 }]);
        }
    }

    /// Writes text for HTML: what is special there escaped, what is not ASCII left out.
    fn escaped(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                b'&' => self.text(b"&amp;"),
                b'<' => self.text(b"&lt;"),
                b'>' => self.text(b"&gt;"),
                b' '..=b'~' => self.text(&[*byte]),
                _ => self.text(b"?"),
            }
        }
    }
}

/// What the page shows of the board.
#[derive(Clone, Copy)]
pub struct Board {
    /// What the requests come by.
    pub name: &'static str,
    /// Time since reset.
    pub uptime: Duration,
    /// Requests whose parameters came whole.
    pub served: u32,
    /// The least bytes of stack that were free.
    pub free_stack: u32,
}

/// The head of an answer of plain bytes.
pub const BYTES: &[u8] = b"Status: 200 OK\r\nContent-Type: application/octet-stream\r\n";
/// The head of an answer of text.
pub const TEXT: &[u8] = b"Status: 200 OK\r\nContent-Type: text/plain\r\n";
/// The head of an answer to a path that means nothing.
pub const NOT_FOUND: &[u8] = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n";
/// The head of the page.
pub const HTML: &[u8] =
    b"Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n";

const START: &[u8] = b"<!DOCTYPE html>
<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">
<meta http-equiv=\"refresh\" content=\"10\"><title>fcgi-proto on a Cortex-M3</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;background:#f4f6f8;color:#123}
dl{display:flex;flex-wrap:wrap;gap:1em}
dl div{flex:1;min-width:9em;padding:.8em 1em;background:#fff;border-top:4px solid #089;border-radius:4px}
dt{color:#567}dd{margin:0;font-size:1.7em}small{font-size:.5em;color:#567}
table{border-collapse:collapse;width:100%;background:#fff}
td{padding:.2em .8em;border-bottom:1px solid #dde;font-family:monospace}td+td{word-break:break-all}
</style>
<h1>fcgi-proto on a Cortex-M3</h1>
<p>LM3S6965, 64 KiB of RAM, no heap, no operating system. This request came by ";

const END: &[u8] = b"</table>
<p><a href=\"/sum\">sum</a>: length and CRC-32 of what is posted.
<a href=\"/echo\">echo</a>: what is posted. <a href=\"/bytes/1000\">bytes/N</a>: N bytes.</p>
</html>
";

/// Writes the page.
pub fn dashboard(window: &mut Window<'_>, board: &Board, params: Pairs<'_>) {
    window.text(START);
    window.text(board.name.as_bytes());
    window.text(b".</p>\n<dl>\n");
    value(window, b"uptime", board.uptime.as_secs() as u32, b"s");
    value(window, b"requests", board.served, b"");
    value(window, b"free stack", board.free_stack, b"bytes");
    value(window, b"connection", size_of::<Connection<1>>() as u32, b"bytes");
    value(window, b"session", size_of::<Session<1>>() as u32, b"bytes");
    window.text(b"</dl>\n<h2>Parameters</h2>\n<table>\n");
    for (name, value) in params {
        window.text(b"<tr><td>");
        window.escaped(name);
        window.text(b"<td>");
        window.escaped(value);
        window.text(b"\n");
    }
    window.text(END);
}

fn value(window: &mut Window<'_>, name: &[u8], number: u32, unit: &[u8]) {
    window.text(b"<div><dt>");
    window.text(name);
    window.text(b"<dd>");
    window.decimal(number);
    window.text(b" <small>");
    window.text(unit);
    window.text(b"</small></div>\n");
}
