//! FastCGI over any stream of embedded-io-async, without a heap. Here it runs on the host, a connection a task:
//! `cargo run --example embedded_server ADDRESS`, which is `127.0.0.1:9000` if it is left out.

mod serve;

use std::time::{Duration, Instant};
use std::{env, future, io};

use embedded_io_adapters::tokio_1::FromTokio;
use fcgi_proto::embedded_io_async_07::Platform;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::{select, time::sleep};

struct Host(Instant);

impl Platform<FromTokio<TcpStream>> for Host {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    async fn wait(&self, until: Option<Duration>) {
        match until {
            Some(until) => sleep(until.saturating_sub(self.0.elapsed())).await,
            None => future::pending().await,
        }
    }

    async fn shut_down(&self, stream: &mut FromTokio<TcpStream>) -> io::Result<bool> {
        stream.inner_mut().shutdown().await?;
        Ok(true)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind(env::args().nth(1).unwrap_or("127.0.0.1:9000".to_owned())).await?;
    let (mut terminate, tasks) = (signal(SignalKind::terminate())?, tokio::task::LocalSet::new());
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let mut stream = FromTokio::new(stream);
            tokio::task::spawn_local(
                async move { serve::connection(&mut stream, &Host(Instant::now())).await },
            );
        }
    };
    select! {
        result = tasks.run_until(accept) => result,
        _ = terminate.recv() => Ok(()), // as if it were switched off
    }
}
