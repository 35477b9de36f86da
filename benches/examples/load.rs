//! `load ADDR [CONNECTIONS [IN-FLIGHT [SECONDS]]]`: keeps any application busy that answers 1 KiB of `x`, and
//! prints how it did.

use std::error::Error;
use std::time::Duration;

use benches::load::{Shape, run};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("load ADDR [CONNECTIONS [IN-FLIGHT [SECONDS]]]")?.parse()?;
    let connections = arguments.next().map_or(Ok(16), |text| text.parse())?;
    let in_flight = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let seconds = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let time = Duration::try_from_secs_f64(seconds)?;
    let seen = run(&address, Shape { connections, in_flight }, time, || Duration::ZERO)?;
    let [median, p99] = [seen.latency.median, seen.latency.p99].map(|time| time.as_micros());
    println!(
        "{} requests, {:.0} a second; half within {median} µs, 99 % within {p99} µs",
        seen.requests,
        seen.rate()
    );
    Ok(())
}
