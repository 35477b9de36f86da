//! The same servers behind nginx, with wrk as the browser, and beside them the same handler on hyper and axum, to which
//! nginx talks HTTP: skipped, with a line that says so, where nginx or wrk is not installed. nginx is most of what a
//! request costs here.

mod support;

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fcgi_blocking::Endpoint;
use support::is_test;
use support::results::{Results, median};
use support::server::{Built, OVER_HTTP, SERVERS, Server};

/// How long nginx may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    for (program, flag) in [("nginx", "-v"), ("wrk", "-v")] {
        let found = Command::new(program).arg(flag).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            eprintln!("web: skipped, {program} is not installed");
            return;
        }
    }
    let programs = SERVERS.iter().chain(&OVER_HTTP);
    let built: Vec<Built> = programs.filter_map(|program| program.build()).collect();
    let servers: Vec<Server> = built.iter().map(|built| built.start_unix()).collect();
    let dir = tempfile::tempdir().expect("a folder can be made");
    // Bound all at once, so that no port is given twice.
    let ports: Vec<TcpListener> =
        servers.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
    let addresses: Vec<SocketAddr> =
        ports.iter().map(|port| port.local_addr().expect("it has an address")).collect();
    drop(ports);
    let path = dir.path().join("nginx.conf");
    fs::write(&path, configuration(&dir.path().display().to_string(), &servers, &addresses)).expect("room");
    let _nginx = Running::start(Command::new("nginx").arg("-c").arg(&path), &addresses);

    let mut results = Results::new("web", "server,requests a second,of the floor,µs of processor a request");
    let (rounds, time) = if is_test() { (1, "1s") } else { (7, "1s") };
    let mut rates: Vec<Vec<[f64; 3]>> = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        let mut floor = f64::NAN;
        for ((server, address), rates) in servers.iter().zip(&addresses).zip(&mut rates) {
            let before = server.processor();
            let (requests, rate) = load(*address, time);
            if server.name == "floor" {
                floor = rate;
            }
            let processor = server.processor().saturating_sub(before).as_secs_f64() * 1e6 / requests;
            rates.push([rate, rate / floor, processor]);
        }
    }
    for (server, rates) in servers.iter().zip(rates) {
        let [rate, ratio, processor] = [0, 1, 2].map(|of| median(rates.iter().map(|all| all[of]).collect()));
        results.add(format!("{},{rate:.0},{ratio:.3},{processor:.2}", server.name));
    }
    results.save();
}

fn configuration(dir: &str, servers: &[Server], addresses: &[SocketAddr]) -> String {
    let mut text = format!(
        "daemon off; worker_processes 1; pid {dir}/pid; error_log stderr crit; user root;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000;\n"
    );
    for kind in ["client_body", "fastcgi", "proxy", "scgi", "uwsgi"] {
        writeln!(text, "{kind}_temp_path {dir}/{kind};").expect("a String grows");
    }
    for (number, (server, address)) in servers.iter().zip(addresses).enumerate() {
        let Endpoint::Unix(socket) = &server.endpoint else { panic!("not a Unix socket") };
        let pass = if OVER_HTTP.iter().any(|program| program.name == server.name) {
            format!(
                "proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://app{number};"
            )
        } else {
            format!("include fastcgi_params; fastcgi_pass app{number}; fastcgi_keep_conn on;")
        };
        writeln!(
            text,
            "upstream app{number} {{ server unix:{}; keepalive 64; keepalive_requests 1000000; }}\n\
             server {{ listen {address}; location / {{ {pass} }} }}",
            socket.display()
        )
        .expect("a String grows");
    }
    // nginx looks for included files beside this one.
    fs::copy("/etc/nginx/fastcgi_params", format!("{dir}/fastcgi_params")).expect("nginx brings this file");
    text + "}\n"
}

/// How many requests wrk says that it made, all in all and a second; every answer has to be a 200.
fn load(address: SocketAddr, time: &str) -> (f64, f64) {
    let output = Command::new("wrk")
        .args(["-t1", "-c32", "-d", time, &format!("http://{address}/app/index?a=1&b=2")])
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{text}");
    let requests = text.lines().find_map(|line| line.split_once(" requests in ")).map(|(count, _)| count);
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let [requests, rate] =
        [requests, rate].map(|number| number.and_then(|number| number.trim().parse().ok()));
    requests.zip(rate).unwrap_or_else(|| panic!("{text}"))
}

/// A child process; killed and reaped when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, addresses: &[SocketAddr]) -> Self {
        let running = Self(command.spawn().expect("it was found before"));
        let begun = Instant::now();
        while addresses.iter().any(|address| TcpStream::connect(address).is_err()) {
            assert!(begun.elapsed() < PATIENCE, "nginx does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's worker is told by its master, which a kill would not let it do.
        let _ = Command::new("kill").args(["-s", "QUIT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}
