//! The server that every peer is measured as, in tokio-fastcgi, on a listening socket on descriptor 0.

use std::io;

use benches::request::{BODY, HEAD};
use fcgi_blocking::{Listener, StdListener};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_fastcgi::{RequestResult, Requests};

#[tokio::main]
async fn main() -> io::Result<()> {
    let (listener, _file) = Listener::inherited()?.into_std();
    match listener {
        StdListener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(serve(stream.into_split()));
            }
        }
        StdListener::Unix(listener) => {
            listener.set_nonblocking(true)?;
            let listener = UnixListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(serve(stream.into_split()));
            }
        }
    }
}

async fn serve<R, W>(halves: (R, W))
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let mut requests = Requests::from_split_socket(halves, 255, 1);
    let page = [HEAD, &BODY].concat();
    while let Ok(Some(request)) = requests.next().await {
        let answered = request.process(async |request| {
            let written = request.get_stdout().write(&page).await;
            RequestResult::Complete(u32::from(written.is_err()))
        });
        if answered.await.is_err() {
            return;
        }
    }
}
