//! Writes what `cargo bench -p benches` and `benches/instructions` left in `benches/results` into the table of
//! `benches/README.md`, and draws it: throughput by server, cost by parameters, by requests and by connections.

mod figures;
mod pictures;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::mem::size_of;

use fcgi_proto::server::Connection;
use figures::{EPOLL, Figures};

/// Between these lines of the README.
const MARKS: [&str; 2] = ["<!-- figures -->\n", "<!-- end of figures -->\n"];

fn main() -> Result<(), Box<dyn Error>> {
    let figures = Figures::read()?;
    let path = figures::folder().join("README.md");
    let text = fs::read_to_string(&path)?;
    let [from, to] = MARKS;
    let (before, rest) = text.split_once(from).ok_or("README.md has no place for figures")?;
    let (_, after) = rest.split_once(to).ok_or("README.md has no end of the place for figures")?;
    fs::write(&path, format!("{before}{from}{}{to}{after}", table(&figures)?))?;
    pictures::draw(&figures)
}

fn table(figures: &Figures) -> Result<String, Box<dyn Error>> {
    let serve = |transport, connections, server| figures.serve(transport, connections, 1, server);
    let mut text = format!("{}.\n\n", machine()?);
    text.push_str("| what | goal | measured | command |\n|---|---|---|---|\n");
    let mut row = |what: &str, goal: &str, measured: String, command: &str| {
        writeln!(text, "| {what} | {goal} | {measured} | `{command}` |")
    };
    row(
        "instructions: nginx's request of 27 pairs taken in, one variable looked up, 1 KiB answered",
        "≤ 1,400",
        figures.instructions.trim().replace('\n', ", through a session "),
        "benches/instructions",
    )?;
    row("allocations in the core", "0", "0".into(), "cargo test -p fcgi-proto --test memory")?;
    let (one, many) = (size_of::<Connection<1>>(), size_of::<Connection<1001>>());
    row(
        "bytes of `server::Connection<1>`, and of a further slot",
        "≤ 96, ≤ 8",
        format!("{one}, {}", (many - one) / 1000),
        "cargo test -p fcgi-proto --test size",
    )?;
    let bench = "cargo bench -p benches --bench serve";
    let (floor, blocking) = (serve("unix", 16, "floor")?, serve("unix", 16, "fcgi-blocking")?);
    row(
        "fcgi-blocking, 16 connections, Unix socket",
        "≥ 0.97 of the floor",
        format!("{:.2} ({:.0} of {:.0} a second)", blocking.ratio, blocking.rate, floor.rate),
        bench,
    )?;
    let times = |ours: f64, peer: Result<figures::Served, _>| {
        peer.map_or("not installed".into(), |peer: figures::Served| format!("{:.2} ×", ours / peer.ratio))
    };
    row("beside libfcgi", "≥ 1.12 ×", times(blocking.ratio, serve("unix", 16, "libfcgi")), bench)?;
    let (smol, epoll) = (serve("unix", 16, "fcgi-smol")?, serve("unix", 16, EPOLL)?);
    let many = figures.serve("unix", 4, 32, "fcgi-smol")?;
    let many_epoll = figures.serve("unix", 4, 32, EPOLL)?;
    for (what, [rate, time], ours, floor) in [
        ("16 connections", ["0.80", "1.6"], &smol, &epoll),
        ("4 connections × 32 in flight", ["0.50", "3"], &many, &many_epoll),
    ] {
        row(
            &format!("fcgi-smol, {what}, Unix socket"),
            &format!("≥ {rate} of the floor of an event loop, processor time ≤ {time} of it"),
            format!(
                "{:.2} ({:.0} a second), {:.2} ({:.2} µs)",
                ours.event_loop,
                ours.rate,
                ours.processor / floor.processor,
                ours.processor
            ),
            bench,
        )?;
    }
    row(
        "fcgi-smol beside tokio-fastcgi, 16 connections",
        "≥ 1.4 ×",
        times(smol.ratio, serve("unix", 16, "tokio-fastcgi")),
        bench,
    )?;
    if let (Some(ours), Some(hyper)) = (figures.web("fcgi-smol"), figures.web("hyper over HTTP")) {
        row(
            "fcgi-smol behind nginx, beside hyper over HTTP behind the same nginx",
            "≥ 1.0 ×",
            format!(
                "{:.2} ×; processor time {:.2} ×",
                ours.rate / hyper.rate,
                ours.processor / hyper.processor
            ),
            "cargo bench -p benches --bench web",
        )?;
    }
    for direction in ["up", "down"] {
        for server in ["fcgi-blocking", "fcgi-smol"] {
            let stream = figures.stream(direction, server)?;
            row(
                &format!("{server}, 1 GiB {direction}"),
                "≥ 0.95 of bare reads and writes, memory does not grow",
                format!("{:.2}, + {} KiB", stream.ratio, stream.grown),
                "cargo bench -p benches --bench stream",
            )?;
        }
    }
    text.push_str(
        "\nRequests a second and, in brackets, microseconds of the server's processor time a request:\n\n",
    );
    text.push_str(
        "| server | Unix, 1 | Unix, 16 | Unix, 64 | TCP, 1 | TCP, 16 | TCP, 64 | nginx and wrk, 32 |\n",
    );
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for server in figures.servers() {
        write!(text, "| {server} ")?;
        for transport in ["unix", "tcp"] {
            for connections in [1, 16, 64] {
                let served = serve(transport, connections, server)?;
                write!(text, "| {:.0} ({:.1}) ", served.rate, served.processor)?;
            }
        }
        writeln!(text, "| {} |", fronted(figures, server))?;
    }
    for server in figures.over_http() {
        writeln!(text, "| {server} | | | | | | | {} |", fronted(figures, server))?;
    }
    text.push_str(
        "\nMicroseconds until an answer, with 16 connections over a Unix socket at half of the greatest load:\n\n\
         | server | requests a second | half within | 99 % | 99.9 % |\n|---|---:|---:|---:|---:|\n",
    );
    for server in figures.servers() {
        writeln!(text, "| {server} | {} |", figures.latency(server)?.join(" | "))?;
    }
    Ok(text)
}

/// Requests a second and processor time behind nginx.
fn fronted(figures: &Figures, server: &str) -> String {
    figures.web(server).map_or("–".into(), |web| format!("{:.0} ({:.1})", web.rate, web.processor))
}

/// The processor, its count, and the day.
fn machine() -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let count = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let date = std::process::Command::new("date").arg("+%F").output()?.stdout;
    let (model, date) =
        (model.trim_start_matches([' ', '\t', ':']), String::from_utf8_lossy(&date).into_owned());
    Ok(format!("{count} × {model}, Linux {}, {}", kernel.trim(), date.trim()))
}
