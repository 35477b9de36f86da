//! `gateway [--listen 127.0.0.1:8080] [--app ADDR]… [--root DIR] [--connections N] [--queue N] [--wait SECONDS]
//! [--keep N] [--stream]`: a web server in front of FastCGI applications.
//!
//! Without `--app` it runs the `inspect` application inside itself: one command, a page.
//!
//! - `--connections`: to each application, 32; more requests than that wait in a queue.
//! - `--queue`: how many wait, 256; further ones are answered with 503 at once.
//! - `--wait`: how long each of them waits, 10 seconds; then it is answered with 503.
//! - `--keep`: connections to each application that are kept from request to request, none.
//! - `--stream`: send a request's body to the application as it comes, rather than when it is there.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fcgi_smol::tower::Buffered;
use fcgi_smol::{Endpoint, Listener, Pool, PoolSettings, Server, StdListener};
use lexopt::{Arg, ValueExt};
use smol::{Async, Executor};
use tempfile::TempDir;

use answer::Gateway;
use site::Site;

mod answer;
#[path = "../common/mod.rs"]
mod common;
mod front;
#[path = "../inspect/app.rs"]
mod inspect;
mod patience;
mod places;
mod site;

/// Where browsers connect unless told.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

const USAGE: &str = "gateway [--listen 127.0.0.1:8080] [--app ADDR]... [--root DIR] [--connections N] \
                     [--queue N] [--wait SECONDS] [--keep N] [--stream]";

fn main() -> ExitCode {
    let parse = |arguments| Arguments::parse(lexopt::Parser::from_args(arguments));
    common::run(USAGE, parse, |arguments| {
        let Arguments { listen, mut apps, site, settings, streams } = arguments;
        let executor = Arc::new(Executor::new());
        // Its folder is there as long as this.
        let inspect = if apps.is_empty() { Some(Inspect::start(&executor)?) } else { None };
        apps.extend(inspect.iter().map(Inspect::endpoint));

        let listener = match passed()? {
            Some(socket) if listen.is_none() => Async::new(socket)?,
            _ => {
                let address = listen.unwrap_or(LISTEN);
                Async::<TcpListener>::bind(address).map_err(|error| format!("{address}: {error}"))?
            }
        };
        let (stop, stopped) = smol::channel::bounded(1);
        common::on_signals(move || {
            stop.close();
        })?;
        println!("Open http://{}/ in a browser", listener.get_ref().local_addr()?);

        let pool = Buffered::new(Pool::new(apps, settings), Arc::clone(&executor));
        let gateway = Gateway { pool, site, streams };
        common::block_on(&executor, front::serve(listener, &executor, gateway, stopped));
        Ok(())
    })
}

/// The listening socket that systemd passes, in LISTEN_FDS.
fn passed() -> Result<Option<TcpListener>, Box<dyn Error>> {
    match Listener::systemd()?.into_iter().next().map(Listener::into_std) {
        None => Ok(None),
        Some((StdListener::Tcp(socket), _)) => Ok(Some(socket)),
        Some((StdListener::Unix(_), _)) => Err("LISTEN_FDS: browsers connect over TCP".into()),
    }
}

struct Arguments {
    listen: Option<SocketAddr>,
    apps: Vec<Endpoint>,
    site: Option<Site>,
    settings: PoolSettings,
    streams: bool,
}

impl Arguments {
    fn parse(mut parser: lexopt::Parser) -> Result<Self, Box<dyn Error>> {
        let mut settings = PoolSettings::default();
        settings.client.spool_limit = answer::BODY_LIMIT;
        let mut arguments = Self { listen: None, apps: Vec::new(), site: None, settings, streams: false };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("listen") => arguments.listen = Some(parser.value()?.parse()?),
                Arg::Long("app") => match parser.value()?.string()?.parse()? {
                    Endpoint::Inherited => return Err("fd:0 is not to be connected to".into()),
                    app => arguments.apps.push(app),
                },
                Arg::Long("root") => arguments.site = Some(Site::new(parser.value()?)?),
                Arg::Long("connections") => arguments.settings.max_connections = parser.value()?.parse()?,
                Arg::Long("queue") => arguments.settings.max_waiting = parser.value()?.parse()?,
                Arg::Long("wait") => {
                    arguments.settings.wait_timeout = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("keep") => arguments.settings.max_idle = parser.value()?.parse()?,
                Arg::Long("stream") => arguments.streams = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(arguments)
    }
}

/// The application `inspect`, on a Unix socket in a folder of its own.
struct Inspect {
    folder: TempDir,
}

impl Inspect {
    fn start(executor: &Arc<Executor<'static>>) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let server = Server::new(Listener::bind_unix(folder.path().join("socket"), 0o600)?)?;
        executor.spawn(server.serve(Arc::clone(executor), inspect::handle)).detach();
        Ok(Self { folder })
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.folder.path().join("socket"))
    }
}
