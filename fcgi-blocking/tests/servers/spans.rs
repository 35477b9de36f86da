//! The feature `tracing`: a handler runs within a span that names its request, and that tells in the end what became
//! of it.

use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};

use tracing_subscriber::fmt::format::FmtSpan;

use crate::handler;
use crate::support::{Call, PATIENCE, Running, Settings};

/// What a subscriber writes, line by line.
struct Lines(Sender<String>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The test may be over.
        let _ = self.0.send(String::from_utf8_lossy(line).trim().to_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handler_runs_within_the_span_of_its_request_which_tells_in_the_end_what_became_of_it() {
    const HEAD: usize = "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n".len();
    let (tell, told) = mpsc::channel();
    tracing_subscriber::fmt()
        .without_time()
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || Lines(tell.clone()))
        .init();
    let next = || told.recv_timeout(PATIENCE).expect("a line");
    let servers = Running::both(Settings::default(), handler);
    for (server, peer) in servers.iter().zip(["peer on a Unix socket", "127.0.0.1"]) {
        let mut client = server.connect();
        for (call, asked, end) in [
            (
                Call::get("/"),
                "GET uri=/",
                format!("status=200 received=0 sent={} outcome=finished", HEAD + 2),
            ),
            (
                Call::post("/?a\n", "four"),
                r"POST uri=/?a\n",
                format!("status=200 received=4 sent={} outcome=finished", HEAD + 2),
            ),
            (
                Call::get("/fail"),
                "GET uri=/fail",
                "status=500 received=0 sent=85 outcome=the handler failed".into(),
            ),
        ] {
            client.call(&call);
            let span = format!("INFO fastcgi_request{{method={asked} id=1 peer={peer} role=Responder");
            assert_eq!(next(), format!("{span}}}: spans: in the handler"));
            assert_eq!(next(), format!("{span} {end}}}: fastcgi: close"));
        }
    }
}
