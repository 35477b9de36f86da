//! 1 GiB up and 1 GiB down through both adapters, against a program that only reads and writes the socket with
//! the same buffer, in turn, round after round. The peak of resident memory is the program's own account.

mod support;

use std::io::{self, Read, Write};
use std::time::Instant;

use benches::load::Answer;
use benches::request::request;
use fcgi_blocking::{Endpoint, Stream};
use fcgi_proto::pair;
use fcgi_proto::record::HEADER_LEN;
use support::is_test;
use support::results::{Results, median};
use support::server::{Program, Server};

const PROGRAMS: [Program; 3] = [
    Program::example("floor", "benches", "stream_floor"),
    Program::example("fcgi-blocking", "benches", "stream_blocking"),
    Program::example("fcgi-smol", "benches", "stream_smol"),
];

/// Bytes of STDIN that are written at once: two of nginx's records.
const CHUNK: usize = 64 * 1024;

/// What was seen of a server in a round; its peak of memory is in KiB.
struct Seen {
    rate: f64,
    ratio: f64,
    before: u64,
    after: u64,
}

fn main() {
    let (rounds, bytes) = if is_test() { (1, 1 << 26) } else { (9, 1 << 30) };
    let built = PROGRAMS.map(|program| program.build().expect("it is an example"));
    let mut results =
        Results::new("stream", "direction,server,MiB a second,of the floor,peak KiB before,peak KiB after");
    for (direction, up, down) in [("up", bytes, 0), ("down", 0, bytes)] {
        let mut seen: [Vec<Seen>; 3] = Default::default();
        for _ in 0..rounds {
            let mut floor = f64::NAN;
            for (built, seen) in built.iter().zip(&mut seen) {
                // One process stays faster or slower than its like for as long as it lives.
                let server = built.start_unix();
                let transfer = |up, down| {
                    let transferred = transfer(&server, up, down);
                    transferred.unwrap_or_else(|error| panic!("{}, {direction}: {error}", server.name));
                };
                // What a first transfer takes, any other takes too.
                transfer(up, down);
                let before = server.status("VmHWM");
                let begun = Instant::now();
                transfer(up, down);
                let rate = bytes as f64 / 1048576.0 / begun.elapsed().as_secs_f64();
                if server.name == "floor" {
                    floor = rate;
                }
                seen.push(Seen { rate, ratio: rate / floor, before, after: server.status("VmHWM") });
            }
        }
        for (built, seen) in built.iter().zip(seen) {
            let rate = median(seen.iter().map(|seen| seen.rate).collect());
            let ratio = median(seen.iter().map(|seen| seen.ratio).collect());
            // Of the round in which it grew most.
            let most = seen.iter().max_by_key(|seen| seen.after.saturating_sub(seen.before));
            let Seen { before, after, .. } = most.expect("there are rounds");
            results.add(format!("{direction},{},{rate:.0},{ratio:.3},{before},{after}", built.name()));
        }
    }
    results.save();
}

/// So many bytes up, so many down.
fn transfer(server: &Server, up: u64, down: u64) -> io::Result<()> {
    if server.name == "floor" {
        bare(&server.endpoint, up, down)
    } else {
        fastcgi(&server.endpoint, up, down)
    }
}

fn bare(endpoint: &Endpoint, up: u64, down: u64) -> io::Result<()> {
    let (mut stream, mut buffer) = (Stream::connect(endpoint)?, vec![b'b'; CHUNK]);
    stream.write_all([up, down].map(u64::to_be_bytes).as_flattened())?;
    for _ in 0..up / CHUNK as u64 {
        stream.write_all(&buffer)?;
    }
    let mut received = 0;
    while received <= down {
        received += some(stream.read(&mut buffer)?)?;
    }
    Ok(())
}

fn fastcgi(endpoint: &Endpoint, up: u64, down: u64) -> io::Result<()> {
    let (mut pairs, mut len) = ([0; 256], 0);
    for (name, value) in [("QUERY_STRING", down), ("CONTENT_LENGTH", up)] {
        pair::encode(name.as_bytes(), value.to_string().as_bytes(), &mut pairs, &mut len).expect("it fits");
    }
    let whole = request(&pairs[..len], CHUNK);
    let records = CHUNK + 2 * HEADER_LEN;
    let (head, rest) = whole.split_at(whole.len() - records - HEADER_LEN);
    let (body, end) = rest.split_at(records);
    let mut stream = Stream::connect(endpoint)?;
    stream.write_all(head)?;
    for _ in 0..up / CHUNK as u64 {
        stream.write_all(body)?;
    }
    stream.write_all(end)?;
    let (mut buffer, mut answer, mut received) = (vec![0; CHUNK], Answer::default(), 0);
    while !answer.ended() {
        let count = some(stream.read(&mut buffer)?)?;
        answer.take(&buffer[..count as usize], |data| received += data.len() as u64)?;
    }
    if received < down { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn some(count: usize) -> io::Result<u64> {
    if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count as u64) }
}
