//! The core allocates nothing: a counting allocator watches a session of both sides, from a request's variables
//! to its answer, whose users have all their memory from the start. With the feature `alloc`, `begin_with`
//! allocates one buffer.

use allocation_counter::measure;
use fcgi_proto::cgi::{Head, ResponseHead, Status, Variables, VariablesError};
use fcgi_proto::pair::{Decoder, Packer, Params, ParamsBuf};
use fcgi_proto::record::{Control, Header, Record, RecordType, Role};
use fcgi_proto::server::Refusal;
use fcgi_proto::{Limits, client, server};

/// Bytes on their way from one side to the other.
struct Pipe {
    bytes: Vec<u8>,
    len: usize,
}

impl Pipe {
    fn new() -> Self {
        Self { bytes: vec![0; 600_000], len: 0 }
    }

    fn record(&mut self, mut record: Record<'_>) {
        self.len += record.copy_to(&mut self.bytes[self.len..]);
        assert_eq!(record.remaining(), 0);
    }

    fn control(&mut self, mut control: Control) {
        self.len += control.copy_to(&mut self.bytes[self.len..]);
        assert_eq!(control.remaining(), 0);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Everything, in chunks that cut most records.
    fn drain(&mut self) -> impl Iterator<Item = &[u8]> {
        let len = std::mem::take(&mut self.len);
        self.bytes[..len].chunks(1000)
    }
}

/// Sends a Filter's request, the question for the values, and a record of a type that nobody knows.
fn ask(client: &mut client::Connection<3>, up: &mut Pipe, body: &[u8]) {
    up.control(client.get_values());
    up.bytes(&Header::new(RecordType::UnknownType, 1, 7).encode());
    up.bytes(b"unasked\0");
    let (id, begin) = client.begin(Role::Filter, true).unwrap();
    up.control(begin);
    let mut packer = Packer::new([0; 4096]);
    let mut request = Variables::new(b"POST", b"/a?b");
    request.peer = Some(([192, 0, 2, 1], 50_000).into());
    let headers = [(&b"Cookie"[..], &b"a=1"[..]), (b"cookie", b"b=2"), (b"X-Other", b"c")];
    let emitted = request.emit(Role::Filter, &headers, |name, value| {
        packer.push(name, value.whole(&mut [0; 100]).unwrap()).unwrap();
        Ok::<(), VariablesError>(())
    });
    emitted.unwrap();
    up.record(client.params(id, packer.bytes()).unwrap());
    let mut long = client.param(id, b"LONG", &body[..60_000]).unwrap();
    up.len += long.copy_to(&mut up.bytes[up.len..]);
    up.control(client.params_end(id).unwrap());
    let mut rest = body;
    while !rest.is_empty() {
        let (record, left) = client.stdin(id, rest).unwrap();
        up.record(record);
        rest = left;
    }
    up.control(client.stdin_end(id).unwrap());
    up.record(client.data(id, &body[..5_000]).unwrap().0);
    up.control(client.data_end(id).unwrap());
}

/// Bytes of STDIN and of DATA that came.
type Came = [usize; 2];

/// Answers what waits in `up`: requests with a `LONG` parameter with all of `body`, others with a refusal.
fn serve(
    server: &mut server::Connection<3>,
    params: &mut Params<70_000>,
    [up, down]: [&mut Pipe; 2],
    body: &[u8],
) -> Came {
    use server::Event;
    let (mut came, mut pairs) = ([0, 0], Decoder::new());
    for mut input in up.drain() {
        while let Some(event) = server.next_event(&mut input).unwrap() {
            match event {
                Event::Begin { .. } => params.clear(),
                Event::Params { mut data, .. } => {
                    params.push(data).unwrap();
                    while pairs.next(&mut data).is_some() {}
                }
                Event::ParamsEnd { id } => {
                    assert!(params.finish().is_ok() && pairs.at_boundary());
                    if params.get(b"LONG").is_none() {
                        down.control(server.reject(id, Refusal::Overloaded).unwrap());
                    }
                }
                Event::Stdin { data, .. } => came[0] += data.len(),
                Event::Data { data, .. } => came[1] += data.len(),
                Event::DataEnd { id } => {
                    let mut head = Head::new([0; 200]);
                    head.start(Status::CREATED).unwrap();
                    head.field(b"Location", b"/new").unwrap();
                    down.record(server.stdout(id, head.finish().unwrap()).unwrap().0);
                    down.record(server.stderr(id, b"a line\n").unwrap().0);
                    let mut rest = body;
                    while !rest.is_empty() {
                        let (record, left) = server.stdout(id, rest).unwrap();
                        down.record(record);
                        rest = left;
                    }
                    down.control(server.finish(id, 3).unwrap());
                }
                Event::Abort { id } => down.control(server.finish(id, 4).unwrap()),
                _ => {}
            }
            while let Some(reply) = server.poll_reply() {
                down.control(reply);
            }
        }
        while let Some(reply) = server.poll_reply() {
            down.control(reply);
        }
    }
    came
}

/// What the answers were.
#[derive(Debug, Default, PartialEq)]
struct Answers {
    body: usize,
    stderr: usize,
    values: usize,
    /// Application and protocol statuses of the requests that ended.
    ends: [Option<(u32, u8)>; 3],
}

fn read(client: &mut client::Connection<3>, down: &mut Pipe) -> Answers {
    use client::Event;
    let (mut answers, mut head, mut ended) = (Answers::default(), ResponseHead::new([0; 300]), 0);
    for mut input in down.drain() {
        while let Some(event) = client.next_event(&mut input).unwrap() {
            match event {
                Event::Stdout { data, .. } => {
                    answers.body += head.push(data).unwrap().map_or(0, <[u8]>::len);
                }
                Event::Stderr { data, .. } => answers.stderr += data.len(),
                Event::Values { data, .. } => answers.values += data.len(),
                Event::End { app_status, protocol_status, .. } => {
                    assert!(
                        ended > 0 || head.get(b"location") == Some(b"/new") && head.status().code() == 201
                    );
                    answers.ends[ended] = Some((app_status, protocol_status));
                    ended += 1;
                }
                _ => {}
            }
        }
    }
    answers
}

#[test]
fn a_session_of_both_sides_allocates_nothing() {
    let body = vec![7; 150_000];
    let (mut up, mut down, mut params) = (Pipe::new(), Pipe::new(), Box::<Params<70_000>>::default());
    let mut client = client::Connection::<3>::new(Limits::default());
    let mut server = server::Connection::<3>::new(Limits::default());
    let (mut came, mut answers) = ([0, 0], Answers::default());
    let counted = measure(|| {
        ask(&mut client, &mut up, &body);
        came = serve(&mut server, &mut params, [&mut up, &mut down], &body);
        // Two more: one without parameters, and one that is aborted.
        let (refused, begin) = client.begin(Role::Responder, true).unwrap();
        up.control(begin);
        up.control(client.params_end(refused).unwrap());
        let (aborted, begin) = client.begin(Role::Responder, true).unwrap();
        up.control(begin);
        up.control(client.abort(aborted).unwrap());
        serve(&mut server, &mut params, [&mut up, &mut down], &body);
        answers = read(&mut client, &mut down);
        assert!(client.eof().is_ok() && server.eof().is_ok());
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    assert_eq!(came, [150_000, 5_000]);
    let ends = [Some((3, 0)), Some((0, 2)), Some((4, 0))];
    let refusal =
        b"Status: 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nService Unavailable\n".len();
    assert_eq!(answers, Answers { body: 150_000 + refusal, stderr: 7, values: 51, ends });
}

#[test]
fn a_request_that_begins_with_its_pairs_allocates_one_buffer_of_a_record_at_most() {
    for (value, buffer) in [(&[b'v'; 10][..], 3 * 13), (&[b'v'; 60_000], 65_535)] {
        let mut client = client::Connection::<1>::new(Limits::default());
        let mut out = Vec::with_capacity(200_000);
        let pairs = [(&b"A"[..], value); 3].into_iter();
        let counted = measure(|| {
            client.begin_with(Role::Responder, true, pairs, &mut out).unwrap();
        });
        assert!(out.len() > 3 * value.len());
        assert_eq!((counted.count_total, counted.bytes_total), (1, buffer));
    }
}

#[test]
fn an_allocation_is_counted() {
    let counted = measure(|| ParamsBuf::new(100).push(b"\0\0").unwrap());
    assert_eq!(counted.count_total, 1);
}
