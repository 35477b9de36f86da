//! What the client cannot be made to do: a request of a role that does not exist; a relay that counts
//! connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fcgi_blocking::{Endpoint, RequestId, Stream};
use fcgi_proto::decoder::{Decoder, Part};
use fcgi_proto::pair::Packer;
use fcgi_proto::record::{BeginRequest, EndRequest, Flags, Header, ProtocolStatus, Record, RecordType};

use super::process::PATIENCE;
use super::setups::Refusal;
use super::site::Site;

const UNKNOWN_ROLE: u16 = 9;

/// What is said to a GET request with an unknown role.
pub(crate) fn refusal(site: &Site, keep_conn: bool) -> Refusal {
    let id = RequestId::ONE;
    let begin = BeginRequest { role: UNKNOWN_ROLE, flags: Flags(keep_conn.into()) };
    let mut pairs = Packer::new([0; 256]);
    for (name, value) in [("REQUEST_METHOD", "GET"), ("SERVER_PROTOCOL", "HTTP/1.1"), ("REQUEST_URI", "/")] {
        pairs.push(name.as_bytes(), value.as_bytes()).expect("there is room");
    }
    let end = |record_type| Header::new(record_type, id.get(), 0).encode();
    let mut request = Header::new(RecordType::BeginRequest, id.get(), 8).encode().to_vec();
    request.extend(begin.encode());
    request.extend(Record::stream(RecordType::Params, id, pairs.bytes()).0.slices().concat());
    request.extend([end(RecordType::Params), end(RecordType::Stdin)].concat());

    let mut stream = site.place.connect().expect("the back end accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.write_all(&request).expect("it reads");
    answer(stream)
}

/// Reads up to END_REQUEST, or the connection's end.
fn answer(mut stream: Stream) -> Refusal {
    let (mut stdout, mut end, mut buffer) = (Vec::new(), None, [0; 4096]);
    let mut decoder = Decoder::new();
    loop {
        let count = match stream.read(&mut buffer) {
            // It may close before it has read everything.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            // A socket with a time limit is interrupted when other tests start children.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.expect("an answer, or a close"),
        };
        if count == 0 {
            assert!(stdout.is_empty(), "an answer without its end: {stdout:?}");
            return Refusal::Closes;
        }
        let mut input = &buffer[..count];
        while let Some(part) = decoder.next(&mut input).expect("it speaks FastCGI") {
            match part {
                Part::Content { record_type, data, .. } if record_type == RecordType::Stdout as u8 => {
                    stdout.extend_from_slice(data);
                }
                Part::Body { record_type, body, .. } if record_type == RecordType::EndRequest as u8 => {
                    end = Some(EndRequest::parse(&body));
                }
                _ => {}
            }
        }
        if let Some(end) = end {
            assert_eq!(end.protocol_status, ProtocolStatus::UnknownRole as u8);
            let answers = stdout.starts_with(b"Status: 503");
            return if answers { Refusal::Answers } else { Refusal::Ends { app_status: end.app_status } };
        }
    }
}

/// Passes connections on to a site, and counts them, until the test process ends.
pub(crate) struct Relay {
    pub(crate) address: String,
    count: Arc<AtomicUsize>,
}

impl Relay {
    pub(crate) fn to(site: &Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let endpoint: Endpoint = site.place.address.parse().expect("an address");
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::SeqCst);
                let Ok(app) = Stream::connect(&endpoint) else { return };
                let (client, app) = (Arc::new(Stream::from(client)), Arc::new(app));
                for (from, to) in [(Arc::clone(&client), Arc::clone(&app)), (app, client)] {
                    thread::spawn(move || {
                        // However it ends, the other side learns that it has.
                        let _ = io::copy(&mut &*from, &mut &*to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { address, count }
    }

    pub(crate) fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}
