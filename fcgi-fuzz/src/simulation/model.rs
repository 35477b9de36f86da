//! What each side may see, from what came and what was sent, with no code of the core: the oracles.

use std::collections::VecDeque;
use std::time::Duration;

use super::wire::*;

/// An oracle was contradicted.
#[track_caller]
pub(super) fn hold(holds: bool, oracle: &str, what: impl FnOnce() -> String) {
    assert!(holds, "[{oracle}] {}", what());
}

/// What a handler ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    With(u32),
    Failed,
}

/// A request as the server's side got it and answered it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) id: u16,
    pub(super) role: u16,
    pub(super) keeps: bool,
    /// PARAMS, STDIN, DATA, and whether each has ended.
    pub(super) input: [Vec<u8>; 3],
    pub(super) ended: [bool; 3],
    pub(super) aborted: bool,
    /// Input came that its role has not, or not then.
    pub(super) disorder: bool,
    pub(super) last_input: Duration,
    pub(super) stdin_ended: Duration,
    /// Its handler: whether it runs or ran, what it wrote, what it ended with.
    pub(super) started: bool,
    pub(super) wrote: Vec<u8>,
    /// Bytes that it wrote to a HEAD, of which no body leaves.
    pub(super) wrote_of_head: usize,
    pub(super) wrote_stderr: Vec<u8>,
    pub(super) done: Option<Done>,
    /// Its end was handed out before its input was in.
    pub(super) cut_short: bool,
    /// What has left: STDOUT, STDERR, whether STDOUT has ended, END_REQUEST.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) stdout_ended: bool,
    pub(super) end: Option<(u32, u8)>,
}

impl Taken {
    /// Whether all of its input came.
    pub(super) fn is_complete(&self) -> bool {
        match self.role {
            1 => self.ended[1],
            3 => self.ended[2],
            _ => self.ended[0],
        }
    }
}

/// What the server's side took in and sent.
#[derive(Debug, Default)]
pub(super) struct ServerModel {
    reader: Reader,
    begin: Vec<u8>,
    pub(super) requests: Vec<Taken>,
    sent: Reader,
    end: Vec<u8>,
    /// Management records that came, and that were answered.
    pub(super) questions: usize,
    pub(super) answers: usize,
    /// What came is no FastCGI.
    pub(super) is_dead: bool,
    /// Limits of streams are set, or a hostile client: requests may be refused while they run.
    pub(super) refuses: bool,
}

impl ServerModel {
    /// The newest request with this id.
    pub(super) fn newest(&self, id: u16) -> Option<usize> {
        self.requests.iter().rposition(|request| request.id == id)
    }

    /// The session has taken these bytes in.
    pub(super) fn came(&mut self, bytes: &[u8], now: Duration) {
        let Self { reader, begin, requests, questions, is_dead, .. } = self;
        reader.read(bytes, |header, part| {
            if *is_dead {
                return;
            }
            let Header { version, kind, id, content, .. } = header;
            let place = match kind {
                PARAMS => 0,
                STDIN => 1,
                DATA => 2,
                _ => 3,
            };
            match (kind, part) {
                (_, Part::Header) if version != 1 => *is_dead = true,
                (BEGIN, Part::Header) => begin.clear(),
                (BEGIN, Part::Content(bytes, last)) => {
                    begin.extend(bytes);
                    if last && begin.len() == 8 && id > 0 {
                        let role = u16::from_be_bytes([begin[0], begin[1]]);
                        requests.push(Taken { id, role, keeps: begin[2] & 1 == 1, ..Taken::default() });
                    }
                }
                (ABORT, Part::Header) => {
                    // One that begins while nothing more may is ignored, and its abort is that of the one before.
                    let active =
                        requests.iter_mut().filter(|request| request.id == id && request.end.is_none());
                    active.for_each(|request| request.aborted = true);
                }
                (0 | 9.., Part::Header) if id == 0 => *questions += 1,
                (PARAMS | STDIN | DATA, Part::Header | Part::Content(..)) => {
                    let newest =
                        requests.iter_mut().rfind(|request| request.id == id && request.end.is_none());
                    let Some(request) = newest else { return };
                    let turn = request.ended.iter().position(|ended| !ended);
                    let has = match request.role {
                        1 => 2,
                        3 => 3,
                        _ => 1,
                    };
                    if turn.is_none_or(|turn| place > turn) && place < has {
                        request.disorder = true;
                    }
                    if turn != Some(place) || place >= has {
                        return;
                    }
                    match part {
                        Part::Header if content == 0 => {
                            (request.ended[place], request.last_input) = (true, now);
                            if place == 1 {
                                request.stdin_ended = now;
                            }
                        }
                        Part::Content(bytes, _) => {
                            request.input[place].extend(bytes);
                            request.last_input = now;
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        });
    }

    /// The server's side has sent these bytes.
    pub(super) fn sends(&mut self, bytes: &[u8]) {
        let Self { sent, end, requests, questions, answers, refuses, .. } = self;
        sent.read(bytes, |header, part| {
            let Header { version, kind, id, content, padding, reserved } = header;
            if let Part::Padding(bytes) = part {
                hold(bytes.iter().all(|byte| *byte == 0), "records", || {
                    format!("{header:?}: padding is not zero")
                });
                return;
            }
            if matches!(part, Part::Header) {
                let padded = (content + padding) % 8 == 0 && padding <= 8;
                hold((version, reserved) == (1, 0) && padded, "records", || format!("{header:?}"));
            }
            if let (GET_VALUES_RESULT | UNKNOWN_TYPE, 0) = (kind, id) {
                *answers += usize::from(matches!(part, Part::Header));
                return hold(*answers <= *questions, "one end", || "an answer to no question".to_owned());
            }
            let request = requests.iter_mut().find(|request| request.id == id && request.end.is_none());
            let Some(request) = request else { panic!("[nothing after the end] {header:?} for no request") };
            match (kind, part) {
                (STDOUT, _) => {
                    hold(!request.stdout_ended, "nothing after the end", || {
                        format!("{header:?} after STDOUT's end")
                    });
                    match part {
                        Part::Content(bytes, _) => {
                            request.stdout.extend(bytes);
                            request.check_stdout(*refuses);
                        }
                        _ => request.stdout_ended = content == 0,
                    }
                }
                (STDERR, Part::Content(bytes, _)) => {
                    request.stderr.extend(bytes);
                    let whole = request.done == Some(Done::Failed)
                        || request.wrote_stderr.starts_with(&request.stderr);
                    hold(whole, "whole bodies", || format!("STDERR of {id} is not what its handler wrote"));
                }
                (STDERR, _) => {}
                (END, Part::Header) => {
                    hold(content == 8 && request.stdout_ended, "records", || {
                        format!("{header:?}: STDOUT goes on")
                    });
                    end.clear();
                }
                (END, Part::Content(bytes, last)) => {
                    end.extend(bytes);
                    if last {
                        request.end = Some((u32::from_be_bytes([end[0], end[1], end[2], end[3]]), end[4]));
                        request.check_end(*refuses);
                    }
                }
                _ => panic!("[records] a server does not send {header:?}"),
            }
        });
    }
}

impl Taken {
    fn is_library(&self) -> bool {
        ["Status: 503", "Status: 400", "Status: 431", "Status: 500"]
            .iter()
            .any(|head| self.stdout.starts_with(head.as_bytes()))
    }

    /// What left is what the handler wrote, or a refusal.
    fn check_stdout(&self, refuses: bool) {
        let own = self.started && self.wrote.starts_with(&self.stdout);
        let failed = self.done == Some(Done::Failed);
        let short = self.stdout.len() < 11;
        let refused = (refuses || !self.started || failed || self.cut_short) && (short || self.is_library());
        hold(own || refused, "whole bodies", || {
            format!(
                "STDOUT of {} is not what its handler wrote: {:?}",
                self.id,
                String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(60)])
            )
        });
    }

    /// An end is that of its handler, or a refusal.
    fn check_end(&self, refuses: bool) {
        let (app, protocol) = self.end.unwrap_or_default();
        let refusal = self.stdout.is_empty() || self.is_library();
        let what = || {
            format!(
                "request {} ends with {app}, {protocol} and {} bytes, its handler wrote {} and {:?}, aborted {}, role {}, input {:?} ended {:?}",
                self.id,
                self.stdout.len(),
                self.wrote.len(),
                self.done,
                self.aborted,
                self.role,
                self.input.each_ref().map(Vec::len),
                self.ended
            )
        };
        let fits = match self.done {
            _ if self.aborted && protocol == 0 => true,
            // The protocol refused it while its input was drained.
            Some(_) if refuses && protocol != 0 => self.wrote.starts_with(&self.stdout) || self.is_library(),
            Some(Done::With(status)) if !self.is_library() => {
                (app, protocol) == (status, 0)
                    && self.stdout == self.wrote
                    && self.stderr == self.wrote_stderr
            }
            Some(Done::Failed) if protocol == 0 => {
                app <= 1 && self.wrote.starts_with(&self.stdout) || self.is_library()
            }
            // A refusal: its handler has not run, or what it is to have read never came.
            Some(_) => refusal && (refuses || self.cut_short),
            None => refuses || !self.started && refusal,
        };
        hold(fits, "one end", what);
    }
}

/// A request as the client's side made it and saw it answered.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) id: u16,
    pub(super) tag: u8,
    pub(super) stdin: usize,
    pub(super) data: usize,
    pub(super) is_filter: bool,
    /// What was sent of it: STDIN, DATA, whether PARAMS and both have ended, whether it was aborted.
    pub(super) sent: [usize; 2],
    pub(super) ended: [bool; 3],
    pub(super) aborted: bool,
    /// What came.
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: usize,
    pub(super) end: Option<(u32, u8)>,
}

/// What the client's side sent and got.
#[derive(Debug, Default)]
pub(super) struct ClientModel {
    sent: Reader,
    got: Reader,
    end: Vec<u8>,
    /// Requests whose BEGIN_REQUEST has not left.
    pub(super) to_begin: VecDeque<usize>,
    pub(super) asked: Vec<Asked>,
    /// How many were asked when the record that comes began, and whose it is: who asks later has nothing of it.
    asked_before: usize,
    of: Option<usize>,
    pub(super) is_dead: bool,
}

impl ClientModel {
    /// The client's side sends these bytes.
    pub(super) fn sends(&mut self, bytes: &[u8]) {
        let Self { sent, to_begin, asked, .. } = self;
        sent.read(bytes, |header, part| {
            let Header { version, kind, id, content, padding, reserved } = header;
            if matches!(part, Part::Header) {
                let padded = (content + padding) % 8 == 0 && padding <= 8;
                hold((version, reserved) == (1, 0) && padded, "records", || format!("{header:?}"));
            }
            match (kind, part) {
                (GET_VALUES, _) => return hold(id == 0, "records", || format!("{header:?}")),
                (BEGIN, Part::Header) => {
                    let next = to_begin.pop_front().map(|next| &mut asked[next]);
                    let Some(next) = next else { panic!("[records] {header:?} for no request") };
                    return hold(next.id == id, "records", || format!("{header:?} begins {}", next.id));
                }
                (BEGIN, _) | (_, Part::Padding(_)) => return,
                _ => {}
            }
            // The newest one: one that had ended may be sent no more.
            let newest = asked.iter_mut().rfind(|request| request.id == id);
            let Some(request) = newest else { panic!("[records] {header:?} for no request") };
            hold(!request.aborted, "nothing after the end", || format!("{header:?} after ABORT_REQUEST"));
            let place = match kind {
                ABORT => return request.aborted = true,
                PARAMS => 0,
                STDIN => 1,
                DATA if request.is_filter => 2,
                _ => panic!("[records] a client does not send {header:?}"),
            };
            let turn = request.ended.iter().position(|ended| !ended);
            hold(turn == Some(place), "records", || format!("{header:?} is not its turn, {turn:?} is"));
            match part {
                Part::Header => request.ended[place] = content == 0,
                Part::Content(bytes, _) if place > 0 => {
                    let stream = if place == 1 { stdin_of(request.tag) } else { data_of(request.tag) };
                    let from = &mut request.sent[place - 1];
                    hold(is_pattern(stream, *from, bytes), "whole bodies", || {
                        format!("{header:?} is not what was given")
                    });
                    *from += bytes.len();
                }
                _ => {}
            }
            let whole = [true, request.sent[0] == request.stdin, request.sent[1] == request.data];
            hold(!request.ended[place] || whole[place], "whole bodies", || {
                format!("{header:?} ends a body too early")
            });
        });
    }

    /// The session has taken these bytes in.
    pub(super) fn came(&mut self, bytes: &[u8]) {
        let Self { got, end, asked, asked_before, of, is_dead, .. } = self;
        if !got.is_amid_header() {
            *asked_before = asked.len();
        }
        got.read(bytes, |header, part| {
            let Header { version, kind, id, content, .. } = header;
            *is_dead |= version != 1 || (1..=8).contains(&kind) && id == 0;
            if matches!(part, Part::Header) {
                let mut before = asked.iter().take(*asked_before);
                *of = before.rposition(|request| request.id == id && request.end.is_none());
                *asked_before = asked.len();
            }
            let active = of.and_then(|of| asked.get_mut(of)).filter(|request| request.end.is_none());
            let Some(request) = active.filter(|_| !*is_dead) else { return };
            match (kind, part) {
                (STDOUT, Part::Content(bytes, _)) => request.stdout.extend(bytes),
                (STDERR, Part::Content(bytes, _)) => request.stderr += bytes.len(),
                // Behind an answer one of another length is odd, and the answer stands.
                (END, Part::Header) if content != 8 && !request.stdout.is_empty() => {
                    request.end = Some((0, 0))
                }
                (END, Part::Header) => {
                    *is_dead |= content != 8;
                    end.clear();
                }
                (END, Part::Content(bytes, last)) => {
                    end.extend(bytes);
                    if last {
                        request.end = Some((u32::from_be_bytes([end[0], end[1], end[2], end[3]]), end[4]));
                    }
                }
                _ => {}
            }
        });
    }
}
