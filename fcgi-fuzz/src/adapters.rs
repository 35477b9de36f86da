//! The servers over a stream in memory: requests of all roles behind each other, and for the smol server in
//! turns as well, reads and writes that take as little as the plan says or have to wait, errors and the end of
//! the stream at any byte, handlers that read all of their input, some or none, that answer early or fail. A
//! handler sees whole requests or an error, never parts of two; an answer is whole or cut off, and never of
//! another request; what comes whole is answered whole; who waits is woken.

mod blocking;
mod case;
mod multiplexed;
mod polled;
mod stream;

use arbitrary::{Result, Unstructured};
use fcgi_proto::Limits;

use crate::plan::{Script, limit};

use case::Case;
use multiplexed::Plan;
use polled::Polled;
use stream::Stream;

/// Serves the requests that the input says, with both servers.
pub fn adapters(input: &[u8]) {
    for multiplexes in [false, true] {
        run(Unstructured::new(input), multiplexes).expect("a plan that is cut reads as zeros");
    }
}

fn run(mut u: Unstructured<'_>, multiplexes: bool) -> Result<()> {
    let mut limits = Limits::default();
    (limits.params, limits.stdin) = (limit(&mut u)?, limit(&mut u)?);
    let stream = Stream::new(&mut u)?;
    let patience: u8 = u.arbitrary()?;
    let plan = Plan {
        polled: Polled::new(&mut u, stream)?,
        order: Script::new(&mut u)?,
        turns: Script::new(&mut u)?,
        body_room: u.arbitrary()?,
        is_patient: patience & 1 != 0,
        waits_for_each: patience & 2 != 0,
    };
    let case = Case::new(&mut u, limits, multiplexes)?;
    if multiplexes {
        multiplexed::run(plan, &case, limits);
    } else {
        blocking::run(plan.polled.stream, &case, limits);
    }
    Ok(())
}
