//! `gateway [--listen 127.0.0.1:8080] [--app ADDR]… [--root DIR [--index /index.php] [--links DIR]…]
//! [--connections N] [--queue N] [--wait SECONDS] [--keep N] [--stream] [--access-log FILE]`: a web server in front of
//! FastCGI applications.
//!
//! Without `--app` it runs the `inspect` application inside itself: one command, a page.
//!
//! - `--listen`: an address, a name with a port (`localhost:8080`), or `unix:/path`.
//! - `--root`: run the PHP scripts in this folder, and show the files beside them. Hidden ones are not shown, nor any
//!   script's source.
//! - `--index`: the script that is run for what is no file, such as `/index.php`.
//! - `--links`: a folder outside of the root to which symbolic links may lead; it may come several times, and is `/` if
//!   they may lead anywhere.
//! - `--connections`: to each application, 32; more requests than that wait in a queue.
//! - `--queue`: how many wait, 256; further ones are answered with 503 at once.
//! - `--wait`: how long each of them waits, 10 seconds; then it is answered with 503.
//! - `--keep`: connections to each application that are kept from request to request, none.
//! - `--stream`: send a request's body to the application as it comes, rather than when it is there.
//! - `--access-log`: a line for each request in the combined format, behind what is in this file; `-` is stdout.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use fcgi_smol::tower::Buffered;
use fcgi_smol::{Endpoint, Listener, Pool, Server};
use smol::Executor;
use tempfile::TempDir;

use answer::Gateway;
use arguments::{Arguments, USAGE};
use listen::Front;

mod access;
mod answer;
mod arguments;
mod body;
#[path = "../common/mod.rs"]
mod common;
mod file;
mod front;
#[path = "../inspect/app.rs"]
mod inspect;
mod listen;
mod page;
mod params;
mod patience;
mod places;
mod site;

fn main() -> ExitCode {
    let parse = |arguments| Arguments::parse(lexopt::Parser::from_args(arguments));
    common::run(USAGE, parse, |arguments| {
        let Arguments { listen, mut apps, site, settings, streams, access_log } = arguments;
        let executor = Arc::new(Executor::new());
        // Its folder is there as long as this.
        let inspect = if apps.is_empty() { Some(Inspect::start(&executor)?) } else { None };
        apps.extend(inspect.iter().map(Inspect::endpoint));

        let front = Front::new(&listen)?;
        let (stop, stopped) = smol::channel::bounded(1);
        common::on_signals(move || {
            stop.close();
        })?;
        println!("{front}");

        let pool = Buffered::new(Pool::new(apps, settings), Arc::clone(&executor));
        let gateway = Gateway { pool, site, streams, access_log };
        common::block_on(&executor, front::serve(front, &executor, gateway, stopped));
        Ok(())
    })
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
