//! The server that the crate's guide makes: `cargo run --example guide [ADDRESS]`.

mod connection;
mod serve;

use std::net::TcpListener;
use std::sync::{Arc, atomic::AtomicBool};
use std::time::Duration;
use std::{env, io, thread};

use signal_hook::{consts::SIGTERM, flag::register_conditional_shutdown};

fn main() -> io::Result<()> {
    register_conditional_shutdown(SIGTERM, 0, Arc::new(AtomicBool::new(true)))?; // as if it were switched off
    let address = env::args().nth(1).unwrap_or("127.0.0.1:9000".to_owned());
    for stream in TcpListener::bind(address)?.incoming() {
        let mut stream = stream?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        thread::spawn(move || serve::serve(&mut stream));
    }
    Ok(())
}
