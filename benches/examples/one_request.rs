//! `one_request COUNT`: takes in nginx's request COUNT times, looks one variable up, and emits the records of
//! a 1 KiB answer into a buffer. It prints a checksum. `benches/instructions` counts what one costs.

use std::error::Error;

use benches::request::{BODY, REQUEST};
use fcgi_proto::Limits;
use fcgi_proto::cgi::{Head, Status};
use fcgi_proto::pair::Params;
use fcgi_proto::server::{Connection, Event};

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).ok_or("one_request COUNT")?.parse()?;
    let mut connection = Connection::<1>::new(Limits::default());
    let mut params = Params::<2048>::new();
    let mut head = Head::new([0; 256]);
    let mut output = [0; 2048];
    let mut checksum = 0_usize;
    for _ in 0..count {
        // Each time anew, as far as the compiler can see.
        let mut input = *std::hint::black_box(&REQUEST);
        while let Some(event) = connection.next_event(&mut input)? {
            match event {
                Event::Begin { .. } => params.clear(),
                Event::Params { data, .. } => params.push(data)?,
                Event::StdinEnd { id } => {
                    // That all pairs are whole shows in the same walk.
                    let [path] = params.iter().values([b"DOCUMENT_URI"])?;
                    head.start(Status::OK)?;
                    head.field(b"Content-Type", b"text/plain")?;
                    let (mut first, _) = connection.stdout(id, head.finish()?)?;
                    let mut len = first.copy_to(&mut output);
                    let body = std::hint::black_box(&BODY);
                    let (mut body, _) = connection.stdout(id, body)?;
                    len += body.copy_to(&mut output[len..]);
                    len += connection.finish(id, 0)?.copy_to(&mut output[len..]);
                    checksum += path.unwrap_or_default().len() + std::hint::black_box(&output[..len]).len();
                }
                _ => {}
            }
        }
    }
    println!("{checksum}");
    Ok(())
}
