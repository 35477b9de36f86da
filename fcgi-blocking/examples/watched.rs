//! `watched [ADDR]`: an application that can be watched. It has an access log on stdout, each line with the seconds
//! since 1970, a slow log on stderr, and counters: `/status` tells them as php-fpm does, `/metrics` to Prometheus. Any
//! other path sleeps for as many milliseconds as its last segment says, and answers `ok`.
//!
//! ```sh
//! watched 127.0.0.1:9000 >> access.log
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use fcgi_blocking::{Account, BoxError, Request, Server, Settings, Status, Watcher};

mod common;

/// What takes longer is a line on stderr.
const SLOW: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    common::run("watched [ADDR]", common::Address::alone, |address| {
        LazyLock::force(&COUNTERS);
        let mut settings = Settings::default();
        settings.watcher = Some(Watcher::new(&|request| {
            let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
            println!("{now:.3} {request}");
            if request.took > SLOW {
                log::warn!("slow: {request}");
            }
            COUNTERS.count(request);
        }));
        Ok(Server::with_settings(address.listen()?, settings).serve_until_signal(handle)?)
    })
}

/// What was counted since the start.
struct Counters {
    start: Instant,
    /// Requests whose handlers run.
    active: AtomicU64,
    /// Those that are over: without a status, then by its first digit.
    over: [AtomicU64; 6],
    slow: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    micros: AtomicU64,
}

static COUNTERS: LazyLock<Counters> = LazyLock::new(|| Counters {
    start: Instant::now(),
    active: AtomicU64::new(0),
    over: Default::default(),
    slow: AtomicU64::new(0),
    received: AtomicU64::new(0),
    sent: AtomicU64::new(0),
    micros: AtomicU64::new(0),
});

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    fn count(&self, request: &Account<'_>) {
        let class = request.status.map_or(0, |status| status.code() / 100);
        self.over.get(usize::from(class)).into_iter().for_each(|over| add(over, 1));
        add(&self.slow, u64::from(request.took > SLOW));
        add(&self.received, request.received);
        add(&self.sent, request.sent);
        add(&self.micros, u64::try_from(request.took.as_micros()).unwrap_or(u64::MAX));
    }

    fn over(&self) -> u64 {
        self.over.iter().map(get).sum()
    }

    /// As php-fpm's `pm.status_path` has it.
    fn status(&self) -> String {
        let Self { start, active, slow, received, sent, .. } = self;
        let (since, over) = (start.elapsed().as_secs(), self.over());
        let [active, slow, received, sent] = [active, slow, received, sent].map(get);
        format!(
            "start since:          {since}\n\
             requests:             {over}\n\
             active requests:      {active}\n\
             slow requests:        {slow}\n\
             bytes in:             {received}\n\
             bytes out:            {sent}\n"
        )
    }

    /// Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, samples: &[(&str, String)]| {
            text += &format!("# HELP fastcgi_{name} {help}\n# TYPE fastcgi_{name} {kind}\n");
            text.extend(samples.iter().map(|(labels, value)| format!("fastcgi_{name}{labels} {value}\n")));
        };
        let classes =
            ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| format!("{{status=\"{class}\"}}"));
        let over = classes.iter().zip(&self.over).map(|(labels, over)| (&labels[..], get(over).to_string()));
        metric("requests_total", "counter", "Requests that are over.", &over.collect::<Vec<_>>());
        let active = get(&self.active).to_string();
        metric("requests_active", "gauge", "Requests whose handlers run.", &[("", active)]);
        let received = get(&self.received).to_string();
        metric("received_bytes_total", "counter", "Bytes of bodies that came.", &[("", received)]);
        let sent = get(&self.sent).to_string();
        metric("sent_bytes_total", "counter", "Bytes of answers that were sent.", &[("", sent)]);
        let seconds = Duration::from_micros(get(&self.micros)).as_secs_f64().to_string();
        metric("request_seconds_total", "counter", "How long requests took.", &[("", seconds)]);
        text
    }
}

fn handle(request: &mut Request<'_>) -> Result<(), BoxError> {
    add(&COUNTERS.active, 1);
    let result = answer(request);
    COUNTERS.active.fetch_sub(1, Ordering::Relaxed);
    result
}

fn answer(request: &mut Request<'_>) -> Result<(), BoxError> {
    let uri = request.param_str("REQUEST_URI").unwrap_or_default();
    let path = uri.split('?').next().unwrap_or_default();
    let (kind, text) = match path.rsplit('/').next().unwrap_or_default() {
        "status" => ("text/plain", COUNTERS.status()),
        "metrics" => ("text/plain; version=0.0.4", COUNTERS.metrics()),
        last => {
            thread::sleep(last.parse().map_or(Duration::ZERO, Duration::from_millis));
            ("text/plain", "ok\n".to_owned())
        }
    };
    Ok(request.respond(Status::OK).header("Content-Type", kind)?.write_all(text.as_bytes())?)
}
