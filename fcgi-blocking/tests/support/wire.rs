//! A small FastCGI client: what it sends, what it finds in what comes.

#[path = "until.rs"]
mod until;

use std::fmt::{self, Debug};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use fcgi_blocking::{Endpoint, Stream};
use fcgi_proto::pair;
use fcgi_proto::record::{BeginRequest, EndRequest, Flags, Header, ProtocolStatus, RecordType, Role};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

pub(crate) use until::{PATIENCE, wait_until};

/// Whether one of these events, or the end, comes on a descriptor within this time.
pub(crate) fn happens_within(fd: impl AsFd, events: PollFlags, limit: Duration) -> bool {
    let limit = Timespec::try_from(limit).expect("not too long");
    let mut fds = [PollFd::new(&fd, events)];
    retry_on_intr(|| poll(&mut fds, Some(&limit))).expect("it can be waited for") > 0
}

/// One record, padded to 8 bytes.
pub(crate) fn record(record_type: RecordType, id: u16, content: &[u8]) -> Vec<u8> {
    raw_record(Header::new(record_type, id, content.len().try_into().expect("one record's content")), content)
}

/// One record with any header.
pub(crate) fn raw_record(header: Header, content: &[u8]) -> Vec<u8> {
    [&header.encode(), content, &[0; 255][..header.padding_length.into()]].concat()
}

/// A whole stream: records as large as they get, and the empty one that ends it.
pub(crate) fn stream(record_type: RecordType, id: u16, content: &[u8]) -> Vec<u8> {
    let records = content.chunks(65528).map(|chunk| record(record_type, id, chunk));
    records.chain([record(record_type, id, &[])]).flatten().collect()
}

/// Name-value pairs as they are on the wire.
pub(crate) fn pairs<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        let (name, value) = (name.as_ref(), value.as_ref());
        let mut len = bytes.len();
        bytes.resize(len + pair::encoded_len(name, value).expect("not too long"), 0);
        pair::encode(name, value, &mut bytes, &mut len).expect("there is room");
    }
    bytes
}

/// One request, as a client sends it. A Responder's with KEEP_CONN and id 1, unless told otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: u16,
    pub(crate) role: u16,
    pub(crate) keep_conn: bool,
    pub(crate) params: Vec<(Vec<u8>, Vec<u8>)>,
    /// None: no record of the stream is sent.
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) data: Option<Vec<u8>>,
}

impl Call {
    pub(crate) fn get(uri: &str) -> Self {
        let call = Self {
            id: 1,
            role: Role::Responder as u16,
            keep_conn: true,
            params: Vec::new(),
            stdin: Some(Vec::new()),
            data: None,
        };
        call.param("REQUEST_METHOD", "GET").param("REQUEST_URI", uri)
    }

    pub(crate) fn post(uri: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let mut call = Self::get(uri).param("CONTENT_LENGTH", body.len().to_string());
        call.params[0].1 = b"POST".to_vec();
        call.stdin = Some(body);
        call
    }

    pub(crate) fn param(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// With KEEP_CONN clear.
    pub(crate) fn closing(mut self) -> Self {
        self.keep_conn = false;
        self
    }

    pub(crate) fn authorizer(mut self) -> Self {
        (self.role, self.stdin) = (Role::Authorizer as u16, None);
        self
    }

    pub(crate) fn filter(mut self, data: &[u8]) -> Self {
        (self.role, self.data) = (Role::Filter as u16, Some(data.into()));
        self
    }

    pub(crate) fn begin(&self) -> Vec<u8> {
        let begin = BeginRequest { role: self.role, flags: Flags(self.keep_conn.into()) };
        record(RecordType::BeginRequest, self.id, &begin.encode())
    }

    /// Up to the end of PARAMS.
    pub(crate) fn opening(&self) -> Vec<u8> {
        let params = pairs(self.params.iter().map(|(name, value)| (name, value)));
        [self.begin(), stream(RecordType::Params, self.id, &params)].concat()
    }

    /// What follows the opening.
    pub(crate) fn bodies(&self) -> Vec<u8> {
        let bodies = [(RecordType::Stdin, &self.stdin), (RecordType::Data, &self.data)];
        let streams = bodies
            .iter()
            .filter_map(|(record_type, body)| body.as_ref().map(|body| stream(*record_type, self.id, body)));
        streams.flatten().collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.opening(), self.bodies()].concat()
    }
}

pub(crate) fn abort(id: u16) -> Vec<u8> {
    record(RecordType::AbortRequest, id, &[])
}

/// A record that came.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) record_type: RecordType,
    pub(crate) id: u16,
    pub(crate) content: Vec<u8>,
}

impl Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record_type, id, content } = self;
        let front = String::from_utf8_lossy(&content[..content.len().min(200)]);
        write!(f, "{record_type:?} {id}: {} bytes {front:?}", content.len())
    }
}

/// Reads one record; `None` at the end of input, which may only be between records.
pub(crate) fn read_record(mut from: impl Read) -> io::Result<Option<Received>> {
    let mut header = [0; 8];
    // Not read_exact: nothing at all is no error.
    let count = loop {
        match from.read(&mut header) {
            // A socket with a time limit is interrupted when the process starts children.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if count == 0 {
        return Ok(None);
    }
    from.read_exact(&mut header[count..])?;
    let header = Header::parse(&header).expect("version 1");
    let mut content = vec![0; header.content_length.into()];
    from.read_exact(&mut content)?;
    from.read_exact(&mut vec![0; header.padding_length.into()])?;
    let record_type = RecordType::from_wire(header.record_type).expect("a type of version 1");
    Ok(Some(Received { record_type, id: header.request_id, content }))
}

/// One request's answer.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) records: Vec<Received>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) app_status: u32,
    pub(crate) protocol_status: u8,
}

impl Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records.fmt(f)
    }
}

impl Answer {
    /// Reads up to END_REQUEST, and checks that all of it is for `id` and STDOUT ends, once, before.
    pub(crate) fn read(mut from: impl Read, id: u16) -> io::Result<Self> {
        let mut answer = Self::default();
        let mut stdout_ended = false;
        loop {
            let Some(record) = read_record(&mut from)? else {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, format!("no END_REQUEST: {answer:?}")));
            };
            assert_eq!(record.id, id, "a record of another request: {record:?}");
            answer.records.push(record.clone());
            match record.record_type {
                RecordType::Stdout => {
                    assert!(!stdout_ended, "STDOUT after its end: {record:?}");
                    stdout_ended = record.content.is_empty();
                    answer.stdout.extend(record.content);
                }
                RecordType::Stderr => answer.stderr.extend(record.content),
                RecordType::EndRequest => {
                    let body = record.content.as_slice().try_into().expect("8 bytes of END_REQUEST");
                    let EndRequest { app_status, protocol_status } = EndRequest::parse(body);
                    (answer.app_status, answer.protocol_status) = (app_status, protocol_status);
                    return Ok(answer);
                }
                _ => panic!("not a record of an answer: {record:?}"),
            }
        }
    }

    /// The head and the body.
    pub(crate) fn parts(&self) -> (&str, &[u8]) {
        let end = self.stdout.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = self.stdout.split_at(4 + end.unwrap_or_else(|| panic!("no head: {self:?}")));
        (std::str::from_utf8(head).expect("a head of ASCII"), body)
    }

    pub(crate) fn head(&self) -> &str {
        self.parts().0
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.parts().1
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body()).expect("a body of text")
    }

    pub(crate) fn log(&self) -> &str {
        std::str::from_utf8(&self.stderr).expect("a log of text")
    }

    /// The HTTP status, which is in the first line of the head.
    pub(crate) fn status(&self) -> u16 {
        let line = self.head().strip_prefix("Status: ").unwrap_or_else(|| panic!("{self:?}"));
        line[..3].parse().expect("three digits")
    }

    /// Whether the request was executed; a refused one has the status 503 on STDOUT as well.
    #[track_caller]
    pub(crate) fn assert_ended(&self, status: u16, protocol_status: ProtocolStatus) {
        let found = (self.status(), self.protocol_status, self.app_status);
        assert_eq!(found, (status, protocol_status as u8, 0), "{self:?}");
    }

    #[track_caller]
    pub(crate) fn assert_ok(&self, body: impl AsRef<[u8]>) {
        self.assert_ended(200, ProtocolStatus::RequestComplete);
        assert_eq!(self.body().len(), body.as_ref().len(), "{self:?}");
        assert!(self.body() == body.as_ref(), "{self:?}");
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) stream: Stream,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(endpoint: &Endpoint) -> Self {
        Self::from(Stream::connect_timeout(endpoint, PATIENCE).expect("the server listens"))
    }

    pub(crate) fn from(stream: Stream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a limit can be set");
        Self { stream }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
    }

    #[track_caller]
    pub(crate) fn record(&mut self) -> Received {
        read_record(&mut self.stream).expect("a record in time").expect("a record, not the end")
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, id: u16) -> Answer {
        Answer::read(&mut self.stream, id).expect("a whole answer in time")
    }

    /// What comes of an answer until the connection closes, in good order, in its end's stead.
    #[track_caller]
    pub(crate) fn cut_answer(&mut self) -> Answer {
        let mut answer = Answer::default();
        while let Some(record) = read_record(&mut self.stream).expect("the end of input in time") {
            match record.record_type {
                RecordType::Stdout if !record.content.is_empty() => answer.stdout.extend(&record.content),
                RecordType::Stderr if !record.content.is_empty() => answer.stderr.extend(&record.content),
                _ => panic!("an end: {record:?}"),
            }
            answer.records.push(record);
        }
        answer
    }

    #[track_caller]
    pub(crate) fn call(&mut self, call: &Call) -> Answer {
        self.send(call.bytes());
        self.answer(call.id)
    }

    /// The server closed, in good order and without another byte.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let record = read_record(&mut self.stream).expect("the end of input in time");
        assert_eq!(record, None);
    }

    /// Nothing came so far.
    #[track_caller]
    pub(crate) fn assert_silent(&mut self) {
        self.assert_silent_for(Duration::from_millis(50));
    }

    /// Nothing comes within this time, not even the end.
    #[track_caller]
    pub(crate) fn assert_silent_for(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).expect("a limit can be set");
        let error = loop {
            match self.stream.read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.expect_err("nothing"),
            }
        };
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
    }

    pub(crate) fn end_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the server is there");
    }

    /// Sends from another thread, so that a large answer can be read meanwhile.
    pub(crate) fn send_meanwhile(&self, bytes: Vec<u8>) -> thread::JoinHandle<io::Result<()>> {
        let mut stream = self.stream.try_clone().expect("a descriptor is free");
        thread::spawn(move || stream.write_all(&bytes))
    }
}
