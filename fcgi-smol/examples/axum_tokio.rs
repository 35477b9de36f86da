//! An axum `Router` on tokio, over FastCGI: `axum_tokio ADDR`. Its handlers have what they need of tokio's runtime.
//!
//! With `--front PORT` it is the other side too: a web server on tokio whose requests a pool of connections hands on to
//! that application.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::extract::{ConnectInfo, Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use fcgi_smol::{ClientError, Endpoint, Listener, Pool, PoolSettings, Server, tower};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};

#[path = "common/mod.rs"]
mod common;

fn main() -> ExitCode {
    common::run("axum_tokio [ADDR [--front PORT]]", parse, |(address, front)| {
        Ok(Runtime::new()?.block_on(serve(address.listen()?, front))?)
    })
}

fn parse(mut arguments: common::Arguments) -> Result<(common::Address, Option<u16>), Box<dyn Error>> {
    let address = common::Address::parse(&mut arguments)?;
    let Some(option) = arguments.next() else { return Ok((address, None)) };
    if option != "--front" {
        return Err(format!("{option:?}: no such option").into());
    }
    let port = arguments.next().ok_or("--front: no value")?;
    common::no_more(arguments)?;
    Ok((address, Some(port.parse().map_err(|_| format!("--front: {port:?} is not a port"))?)))
}

async fn serve(listener: Listener, port: Option<u16>) -> std::io::Result<()> {
    if let Some(port) = port {
        let browsers = TcpListener::bind(("127.0.0.1", port)).await?;
        tokio::spawn(front(browsers, listener.local_endpoint()?));
    }
    let app = app(database().await?);
    let server = Server::new(listener)?;
    server.serve_until_signal(Handle::current(), move |request| tower::answer(app.clone(), request)).await
}

fn app(database: SocketAddr) -> Router {
    Router::new()
        .route("/", get(async || "See /sleep/MS, /names/NUMBER and /whoami\n"))
        .route("/sleep/{millis}", get(sleep))
        .route("/names/{number}", get(name))
        .route("/whoami", get(async |Extension(tower::Peer(peer))| format!("{}\n", peer.ip())))
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

/// A web server on tokio: the pool is a service of `http` requests. It may fail, as no service of a `Router` may:
/// `HandleError` makes an answer of that.
async fn front(browsers: TcpListener, application: Endpoint) -> std::io::Result<()> {
    let pool = Pool::new([application], PoolSettings::default());
    let hand_on = HandleError::new(pool, failed);
    let front = Router::new().fallback_service(hand_on).layer(middleware::from_fn(with_peer));
    axum::serve(browsers, front.into_make_service_with_connect_info::<SocketAddr>()).await
}

async fn failed(error: ClientError) -> (StatusCode, String) {
    let status = StatusCode::from_u16(error.status().code()).unwrap_or(StatusCode::BAD_GATEWAY);
    (status, format!("{error}\n"))
}

/// Has the application told where the browser is.
async fn with_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(tower::Peer(peer));
    next.run(request).await
}
