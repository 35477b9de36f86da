//! `ask [PATH]`: runs the `inspect` application on a Unix socket in a temporary folder, asks it for one page
//! the way a web server does, and prints the answer.

use std::error::Error;
use std::{env, io, thread};

use fcgi_blocking::{Client, Listener, Params, Server};

#[path = "inspect/app.rs"]
mod app;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).unwrap_or_else(|| "/env".to_owned());
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("inspect.sock");
    let server = Server::new(Listener::bind_unix(&socket, 0o600)?);
    let handle = server.handle();
    let application = thread::spawn(move || server.serve(app::handle));

    let answer = ask(&format!("unix:{}", socket.display()), &path);
    handle.shutdown();
    application.join().expect("the application does not panic")?;
    answer
}

fn ask(address: &str, path: &str) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(address)?;
    let mut response = client.request(Params::get(path)).send()?;
    println!("{}", response.status());
    for (name, value) in response.fields() {
        println!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    }
    println!();
    io::copy(&mut response, &mut io::stdout())?;
    Ok(())
}
