//! `one_session COUNT`: as `one_request`, through a session: the request as a whole, its parameters where they came,
//! and the connection by the session's rules.

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use benches::request::{BODY, REQUEST};
use fcgi_proto::Limits;
use fcgi_proto::cgi::{Head, Status};
use fcgi_proto::pair::Pairs;
use fcgi_proto::server::Session;
use fcgi_proto::server::session::{End, Patience};

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).ok_or("one_session COUNT")?.parse()?;
    let mut session: Session<1> = Session::new(Limits::default(), &Patience::new());
    let mut head = Head::new([0; 256]);
    let mut output = [0; 2048];
    let mut checksum = 0_usize;
    let now = black_box(Duration::from_secs(1));
    for _ in 0..count {
        // Each time anew, as far as the compiler can see.
        let mut input = *black_box(&REQUEST);
        let started = session.receive_whole(&mut input).ok_or("it is not whole")?;
        let request = started.request;
        let [path] = Pairs::new(started.params).values([b"DOCUMENT_URI"])?;
        head.start(Status::OK)?;
        head.field(b"Content-Type", b"text/plain")?;
        let mut len = 0;
        for part in [head.finish()?, black_box(&BODY)] {
            let (mut record, _) = session.stdout(request, part)?.ok_or("it has to wait")?;
            let count = record.copy_to(&mut output[len..]);
            session.sent(count, now);
            len += count;
        }
        session.finish(request, now);
        let End::Last(mut end) = session.end(request, 0) else { return Err("it does not end".into()) };
        let count = end.copy_to(&mut output[len..]);
        session.sent(count, now);
        len += count;
        if !session.next(now).read {
            return Err("it reads no more".into());
        }
        checksum += path.unwrap_or_default().len() + black_box(&output[..len]).len();
    }
    println!("{checksum}");
    Ok(())
}
