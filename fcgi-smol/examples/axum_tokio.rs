//! An axum `Router` on tokio, over FastCGI: `axum_tokio ADDRESS`. Its handlers have what they need of tokio's runtime.
//!
//! With `--front PORT` it is the other side too: a web server on tokio whose requests a pool of connections hands on to
//! that application.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use fcgi_smol::{BoxError, Listener, Pool, PoolSettings, Server, tower};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:9000".to_owned());
    if arguments.next().as_deref() == Some("--front") {
        let port = arguments.next().ok_or("a port")?.parse()?;
        tokio::spawn(front(port, address.clone()));
    }

    let app = app(database().await?);
    let server = Server::new(Listener::bind(&address)?)?;
    let handle = server.handle();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        handle.shutdown();
    });
    server.serve(Handle::current(), move |request| tower::answer(app.clone(), request)).await?;
    Ok(())
}

fn app(database: SocketAddr) -> Router {
    Router::new()
        .route("/", get(async || "See /sleep/MS and /names/NUMBER\n"))
        .route("/sleep/{millis}", get(sleep))
        .route("/names/{number}", get(name))
        .with_state(database)
}

/// Tokio's timer.
async fn sleep(Path(millis): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    "ok\n"
}

/// A driver of a database, whose sockets are tokio's.
async fn name(State(database): State<SocketAddr>, Path(number): Path<u32>) -> Result<String, StatusCode> {
    let ask = async {
        let mut stream = TcpStream::connect(database).await?;
        stream.write_all(format!("{number}\n").as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await?;
        Ok::<_, std::io::Error>(line)
    };
    ask.await.map_err(|_| StatusCode::BAD_GATEWAY)
}

/// A stand-in for a database: it has a name for each number.
async fn database() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (reader, mut writer) = stream.split();
                let mut line = String::new();
                BufReader::new(reader).read_line(&mut line).await?;
                writer.write_all(format!("the name of {line}").as_bytes()).await
            });
        }
    });
    Ok(address)
}

/// A web server on tokio: the pool is a service of `http` requests.
async fn front(port: u16, application: String) -> Result<(), BoxError> {
    let pool = Pool::new([application.parse()?], PoolSettings::default());
    let hand_on = move |request: Request| {
        let mut pool = pool.clone();
        async move {
            match pool.call(request).await {
                Ok(response) => response.map(axum::body::Body::new).into_response(),
                Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
            }
        }
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, Router::new().fallback(hand_on)).await?)
}
