//! Applications that play a script: a thread a connection reads a request record by record, checks what holds
//! for every request, and writes chosen bytes in chosen pieces.
#![allow(dead_code)] // Each file of tests uses a part.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fcgi_blocking::{ClientError, ClientSettings, Endpoint, Params, Stream};
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::{BeginRequest, EndRequest, Header, RecordType, Role};
use tempfile::TempDir;

use crate::adapter::{Client, Response};
use crate::support::{PATIENCE, record};

/// More than any socket's buffers hold.
pub(crate) const MUCH: usize = 16 << 20;

/// The answer to a GET request.
#[track_caller]
pub(crate) fn ask(client: &mut Client) -> Response<'_> {
    client.request(Params::get("/")).send().expect("an answer")
}

/// Why a GET request has none.
#[track_caller]
pub(crate) fn fail(client: &mut Client) -> ClientError {
    client.request(Params::get("/")).send().expect_err("no answer")
}

/// What came of the body, and the error after it.
#[track_caller]
pub(crate) fn cut(mut response: Response<'_>) -> (String, ClientError) {
    let mut body = Vec::new();
    let error = response.read_to_end(&mut body).expect_err("cut short");
    assert_eq!(response.end(), None);
    response.read(&mut [0]).expect_err("a failure is no end the second time either");
    let error = error.into_inner().expect("the client's error").downcast().expect("the client's error");
    (String::from_utf8(body).expect("text"), *error)
}

/// Limits that are only reached when something is wrong, with something changed.
pub(crate) fn limits(change: impl FnOnce(&mut ClientSettings)) -> ClientSettings {
    let mut settings = ClientSettings::default();
    settings.connect_timeout = PATIENCE;
    settings.write_timeout = PATIENCE;
    settings.first_byte_timeout = PATIENCE;
    settings.read_timeout = PATIENCE;
    settings.kept_first_byte_timeout = PATIENCE;
    settings.body_timeout = PATIENCE;
    change(&mut settings);
    settings
}

/// A client that connects when it has something to ask.
pub(crate) fn client(endpoint: &Endpoint) -> Client {
    Client::with_settings(endpoint.clone(), limits(|_| ()))
}

/// What is left of the body.
#[track_caller]
pub(crate) fn text(response: &mut Response<'_>) -> String {
    let mut text = String::new();
    response.read_to_string(&mut text).expect("a whole body");
    text
}

pub(crate) fn stdout(content: impl AsRef<[u8]>) -> Vec<u8> {
    record(RecordType::Stdout, 1, content.as_ref())
}

pub(crate) fn end(app_status: u32, protocol_status: u8) -> Vec<u8> {
    record(RecordType::EndRequest, 1, &EndRequest { app_status, protocol_status }.encode())
}

/// A head and a body, and their end.
pub(crate) fn answer(output: impl AsRef<[u8]>) -> Vec<u8> {
    [stdout(output), stdout(""), end(0, 0)].concat()
}

/// A short page.
pub(crate) fn page(text: &str) -> Vec<u8> {
    answer(format!("Content-Type: text/plain\r\n\r\n{text}"))
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) role: u16,
    pub(crate) keep_conn: bool,
    pub(crate) params: Vec<(String, Vec<u8>)>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// The types of its records, in their order.
    pub(crate) records: Vec<RecordType>,
}

impl Asked {
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(found, _)| found == name)?;
        Some(std::str::from_utf8(value).expect("a value of text"))
    }

    /// How many STDIN records there are.
    pub(crate) fn stdins(&self) -> usize {
        self.records.iter().filter(|record_type| **record_type == RecordType::Stdin).count()
    }
}

/// The client at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: Stream,
    /// The id of the last request; 0 before.
    pub(crate) id: u16,
    /// Where what is sent is: so many bytes before the end of a record, or inside a header.
    left: usize,
    header: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, id: 0, left: 0, header: Vec::new() }
    }

    /// One record; `None` when the client has closed, which may be anywhere.
    pub(crate) fn record(&mut self) -> Option<(RecordType, Vec<u8>)> {
        let mut header = [0; 8];
        let (mut content, mut padding) = (Vec::new(), Vec::new());
        let mut read = || {
            self.stream.read_exact(&mut header)?;
            let header = Header::parse(&header).expect("version 1");
            content.resize(header.content_length.into(), 0);
            self.stream.read_exact(&mut content)?;
            padding.resize(header.padding_length.into(), 0);
            self.stream.read_exact(&mut padding)?;
            Ok(header)
        };
        let header = match read() {
            Ok(header) => header,
            Err(error) if is_close(&error) => return None,
            Err(error) => panic!("a record in time: {error}"),
        };
        let record_type = RecordType::from_wire(header.record_type).expect("a type of version 1");
        match record_type {
            RecordType::GetValues => assert_eq!(header.request_id, 0),
            RecordType::BeginRequest => {
                let is_next = (1..=200).contains(&header.request_id) && header.request_id != self.id;
                assert!(is_next, "{} follows {}", header.request_id, self.id);
                self.id = header.request_id;
            }
            _ => assert_eq!(header.request_id, self.id, "one request at a time"),
        }
        if content.is_empty() || record_type == RecordType::BeginRequest {
            assert!(padding.is_empty(), "{record_type:?} must not be padded");
        }
        assert!(content.len() + padding.len() <= 65535, "{record_type:?} is too long with its padding");
        assert!(padding.iter().all(|byte| *byte == 0), "memory leaks through padding");
        Some((record_type, content))
    }

    /// One request, whole and in order; `None` when the client closes before its end.
    pub(crate) fn try_request(&mut self) -> Option<Asked> {
        let (record_type, content) = loop {
            match self.record()? {
                // It crossed the end of the request before (FastCGI 1.0, section 5.4).
                (RecordType::AbortRequest, _) if self.id != 0 => {}
                record => break record,
            }
        };
        assert_eq!(record_type, RecordType::BeginRequest, "a request begins");
        let begin = BeginRequest::parse(content.as_slice().try_into().expect("8 bytes"));
        let mut asked = Asked {
            role: begin.role,
            keep_conn: begin.flags.keep_conn(),
            params: Vec::new(),
            stdin: Vec::new(),
            data: Vec::new(),
            records: vec![record_type],
        };
        let streams: &[RecordType] = if begin.role == Role::Filter as u16 {
            &[RecordType::Params, RecordType::Stdin, RecordType::Data]
        } else {
            &[RecordType::Params, RecordType::Stdin]
        };
        for stream in streams {
            loop {
                let (record_type, content) = self.record()?;
                assert_eq!(record_type, *stream, "the order is {streams:?}");
                asked.records.push(record_type);
                if content.is_empty() {
                    break;
                }
                match record_type {
                    // No pair is cut by the end of a record.
                    RecordType::Params => asked.params.extend(pairs_of(&content)),
                    RecordType::Stdin => asked.stdin.extend(content),
                    _ => asked.data.extend(content),
                }
            }
        }
        let names: HashSet<_> = asked.params.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), asked.params.len(), "a name comes twice: {:?}", asked.params);
        assert!(!names.contains(&"HTTP_PROXY".to_owned()));
        let length = asked.param("CONTENT_LENGTH").map_or(0, |length| length.parse().expect("a number"));
        assert_eq!(asked.stdin.len(), length, "CONTENT_LENGTH is true");
        Some(asked)
    }

    /// One request, whole and in order.
    pub(crate) fn request(&mut self) -> Asked {
        self.try_request().expect("a whole request")
    }

    /// Sends records, cut anywhere; those with the id 1 go to the last request.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the client takes what is sent");
    }

    /// The same to a client that may have closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut bytes = bytes.as_ref().to_vec();
        bytes.iter_mut().for_each(|byte| self.address(byte));
        self.stream.write_all(&bytes)
    }

    /// Puts the last request's id, below 256, in the place of the id 1.
    fn address(&mut self, byte: &mut u8) {
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        self.header.push(*byte);
        if let [1, _, 0, 1] = self.header[..] {
            *byte = self.id.max(1) as u8;
        }
        if let [version, .., length1, length0, padding, _] = self.header[..] {
            if self.header.len() == 8 {
                let content = usize::from(u16::from_be_bytes([length1, length0]));
                // Nothing is known of what is behind something else than a record.
                self.left = if version == 1 { content + usize::from(padding) } else { usize::MAX };
                self.header.clear();
            }
        }
    }

    /// Reads a request and answers it.
    pub(crate) fn serve(&mut self, bytes: impl AsRef<[u8]>) -> Asked {
        let asked = self.request();
        self.send(bytes);
        asked
    }

    /// Takes at most this many bytes, of whatever; whether there were any.
    pub(crate) fn take(&mut self, count: usize) -> bool {
        self.stream.read(&mut vec![0; count]).is_ok_and(|count| count > 0)
    }

    /// Whether the client closes within this time; another byte it must not send.
    pub(crate) fn closes_within(&mut self, limit: Duration) -> bool {
        self.stream.set_read_timeout(Some(limit)).expect("a limit can be set");
        let closes = loop {
            match self.stream.read(&mut [0]) {
                Ok(0) => break true,
                Err(error) if is_close(&error) => break true,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => panic!("neither closed nor silent: {result:?}"),
            }
        };
        self.stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
        closes
    }

    /// The client closes, without another byte.
    pub(crate) fn assert_closed(&mut self) {
        assert!(self.closes_within(PATIENCE), "it does not close");
    }

    /// The client waits: it sends nothing and has not closed either direction.
    pub(crate) fn assert_silent(&mut self) {
        assert!(!self.closes_within(PATIENCE / 400), "it closes");
    }
}

fn is_close(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn pairs_of(content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut size = 0;
    let pairs: Vec<_> = Pairs::new(content)
        .map(|(name, value)| {
            size += fcgi_proto::pair::encoded_len(name, value).expect("it was encoded");
            (String::from_utf8(name.to_vec()).expect("a name of text"), value.to_vec())
        })
        .collect();
    assert_eq!(size, content.len(), "a pair is split over records");
    pairs
}

/// An application that plays a script for every connection; what fails in it fails the test. Declare it before
/// its client, so that the client has closed when it is waited for.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) endpoint: Endpoint,
    accepted: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
    playing: Arc<Mutex<Vec<JoinHandle<()>>>>,
    _dir: TempDir,
}

impl App {
    /// `play` is told which connection it is, from 1.
    pub(crate) fn unix(play: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("the path is free");
        let accept = move || listener.accept().map(|(stream, _)| Stream::from(stream));
        Self::start(Endpoint::Unix(path), dir, accept, play)
    }

    pub(crate) fn tcp(play: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = Endpoint::Tcp(listener.local_addr().expect("it has an address"));
        let accept = move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(Stream::from(stream))
        };
        Self::start(endpoint, dir, accept, play)
    }

    /// One of each.
    pub(crate) fn both(play: impl Fn(usize, &mut Peer) + Send + Sync + Copy + 'static) -> [Self; 2] {
        [Self::unix(play), Self::tcp(play)]
    }

    fn start(
        endpoint: Endpoint,
        dir: TempDir,
        accept: impl Fn() -> io::Result<Stream> + Send + 'static,
        play: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
    ) -> Self {
        let (accepted, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let playing = Arc::new(Mutex::new(Vec::new()));
        let listening = thread::spawn({
            let (accepted, stopped, playing) = (accepted.clone(), stopped.clone(), playing.clone());
            let play = Arc::new(play);
            move || loop {
                let stream = accept().expect("a connection");
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                stream.set_read_timeout(Some(PATIENCE)).expect("a limit can be set");
                stream.set_write_timeout(Some(PATIENCE)).expect("a limit can be set");
                let number = 1 + accepted.fetch_add(1, Ordering::SeqCst);
                let play = Arc::clone(&play);
                let player = thread::spawn(move || play(number, &mut Peer::new(stream)));
                playing.lock().expect("nobody panics with it").push(player);
            }
        });
        Self { endpoint, accepted, stopped, listening: Some(listening), playing, _dir: dir }
    }

    /// A client that connects when it has something to ask.
    pub(crate) fn client(&self) -> Client {
        client(&self.endpoint)
    }

    pub(crate) fn client_with(&self, change: impl FnOnce(&mut ClientSettings)) -> Client {
        Client::with_settings(self.endpoint.clone(), limits(change))
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It fails if a connection that waited has woken it.
        let _ = Stream::connect_timeout(&self.endpoint, PATIENCE);
        if thread::panicking() {
            return; // What the script waits for will not come; its waits have limits.
        }
        let listening = self.listening.take().expect("it is waited for once");
        listening.join().expect("accepting goes on");
        let playing = std::mem::take(&mut *self.playing.lock().expect("nobody panics with it"));
        for player in playing {
            if let Err(panic) = player.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
