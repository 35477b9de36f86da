//! A sensor that posts its readings to a FastCGI application, with embassy-net, and prints what it is answered.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::pin::pin;
use core::time::Duration;

use cortex_m_rt::{entry, exception};
use embassy_executor::{Executor, task};
use embassy_net::tcp::{self, TcpSocket};
use embassy_net::{Ipv4Address, Runner, Stack, StackResources};
use embassy_time::{Instant, Ticker, with_deadline, with_timeout};
use fcgi_firmware::ethernet::{Ethernet, Frames};
use fcgi_firmware::idle::{self, busy};
use fcgi_firmware::page::Window;
use fcgi_firmware::uart::Uart;
use fcgi_firmware::{clock, last_words, network, ticks};
use fcgi_proto::client::{Ask, Failure, Input, Page, PageError, Request, SendError, Session, Settings};

/// Where the application is, and the name of its script.
const APPLICATION: (Ipv4Address, u16) = (Ipv4Address::new(10, 0, 2, 2), 9000);
const SCRIPT: &[u8] = b"reading.php";

const PERIOD: embassy_time::Duration = embassy_time::Duration::from_secs(1);
/// How long it may take to get a connection. The session knows how long all else may.
const CONNECT: embassy_time::Duration = embassy_time::Duration::from_secs(5);

/// Bytes of the socket's buffers, of what is read at once, and of the answer's head at most.
const RECEIVE: usize = 512;
const SEND: usize = 512;
const INPUT: usize = 128;
const HEAD: usize = 256;

#[entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    static mut RESOURCES: StackResources<1> = StackResources::new();
    static mut FRAMES: Frames = Frames::new();

    clock::start();
    let (stack, runner) = network::start(FRAMES, RESOURCES);
    EXECUTOR.insert(Executor::new()).run(|spawner| {
        // Each is spawned once, and has room.
        idle().into_iter().for_each(|task| spawner.spawn(task));
        network(runner).into_iter().for_each(|task| spawner.spawn(task));
        readings(stack).into_iter().for_each(|task| spawner.spawn(task));
    })
}

#[task]
async fn idle() -> ! {
    idle::idle().await
}

#[task]
async fn network(mut runner: Runner<'static, Ethernet>) -> ! {
    busy(pin!(runner.run())).await
}

#[task]
async fn readings(stack: Stack<'static>) -> ! {
    busy(pin!(one_after_the_other(stack))).await
}

/// Tells the readings, each on a connection of its own.
async fn one_after_the_other(stack: Stack<'_>) -> ! {
    let (mut receive, mut send) = ([0; RECEIVE], [0; SEND]);
    let mut console = Console(Uart::new());
    let mut period = Ticker::every(PERIOD);
    // In tenths of a degree: it gets warmer, and is cold again.
    for tenths in (200..300).cycle() {
        period.next().await;
        let mut text = [0; 16];
        let mut window = Window::new(0, &mut text);
        window.text(b"celsius=");
        window.decimal(tenths / 10);
        window.text(b".");
        window.decimal(tenths % 10);
        let mut socket = TcpSocket::new(stack, &mut receive, &mut send);
        let posted = post(&mut socket, &mut console, window.into_piece()).await;
        let _ = match posted {
            Ok(()) => writeln!(console),
            Err(trouble) => writeln!(console, "failed: {trouble}"),
        };
        network::end(&mut socket).await;
    }
    unreachable!("the readings have no end")
}

/// Posts a reading, and prints the status of the answer and its body.
async fn post(socket: &mut TcpSocket<'_>, console: &mut Console, reading: &[u8]) -> Result<(), Trouble> {
    let connected = with_timeout(CONNECT, socket.connect(APPLICATION)).await;
    connected.ok().and_then(Result::ok).ok_or(Trouble::NoConnection)?;
    let mut session = Session::<1>::new(Settings::new());
    let mut ask = Ask::new(b"POST");
    ask.keep_conn = false;
    ask.stdin = reading.len() as u64;
    let (request, begin) = session.begin(ask, now())?;
    send(&mut session, request, socket, &[&begin]).await?;
    let mut length = [0; 10];
    let mut window = Window::new(0, &mut length);
    window.decimal(reading.len() as u32);
    let variables: [(&[u8], &[u8]); 4] = [
        (b"REQUEST_METHOD", b"POST"),
        (b"SCRIPT_FILENAME", SCRIPT),
        (b"CONTENT_TYPE", b"application/x-www-form-urlencoded"),
        (b"CONTENT_LENGTH", window.into_piece()),
    ];
    for (name, value) in variables {
        let record = session.param(request, name, value)?;
        send(&mut session, request, socket, &record.slices()).await?;
    }
    let end = session.params_end(request)?;
    send(&mut session, request, socket, &[&end]).await?;
    let mut body = reading;
    while session.wants(request) > 0 {
        let (piece, rest) = session.write(request, body, now())?;
        send(&mut session, request, socket, &piece.slices()).await?;
        body = rest;
    }
    let mut page = Page::new([0; HEAD], b"POST");
    let mut buffer = [0; INPUT];
    loop {
        if let Some(end) = session.poll(request, now())? {
            return Ok(page.finish(&end)?);
        }
        match in_time(&session, socket.read(&mut buffer)).await {
            Some(Ok(0)) => session.end_of_input(),
            Some(Ok(count)) => {
                let mut input = buffer.get(..count).unwrap_or_default();
                while let Some(came) = session.receive(&mut input, now()) {
                    if let Input::Stdout { request, data } = came {
                        console.show(&mut page, data)?;
                        session.took(request, data.len(), now());
                    }
                }
            }
            Some(Err(_)) => session.broken(),
            None => _ = session.expire(now()),
        }
    }
}

/// Sends a record of the request.
async fn send(
    session: &mut Session<1>,
    request: Request,
    socket: &mut TcpSocket<'_>,
    record: &[&[u8]],
) -> Result<(), Failure> {
    for mut rest in record.iter().copied() {
        while !rest.is_empty() {
            session.poll(request, now())?;
            match in_time(session, socket.write(rest)).await {
                Some(Ok(count)) => {
                    session.sent(count, now());
                    rest = rest.get(count..).unwrap_or_default();
                }
                // There may be an answer nevertheless.
                Some(Err(_)) => {
                    session.unwritable(now());
                    return Ok(());
                }
                None => _ = session.expire(now()),
            }
        }
    }
    Ok(())
}

/// What comes of it, unless the session is to look at the time before.
async fn in_time<R>(
    session: &Session<1>,
    exchange: impl Future<Output = Result<R, tcp::Error>>,
) -> Option<Result<R, tcp::Error>> {
    match session.next().at {
        Some(at) => with_deadline(Instant::from_millis(at.as_millis() as u64), exchange).await.ok(),
        None => Some(exchange.await),
    }
}

/// The session's clock.
fn now() -> Duration {
    Duration::from_millis(Instant::now().as_millis())
}

/// The UART as a place for text.
struct Console(Uart);

impl Console {
    /// Prints what came of an answer: its status once the head is whole, and its body.
    fn show(&mut self, page: &mut Page<[u8; HEAD]>, mut stdout: &[u8]) -> Result<(), PageError> {
        while !stdout.is_empty() {
            let had_head = page.head().is_complete();
            let head = page.skim(stdout)?;
            if page.head().is_complete() && !had_head {
                let _ = write!(self, "{} ", page.head().status().code());
            }
            stdout = stdout.get(head..).unwrap_or_default();
            let (body, rest) = stdout.split_at(page.wanted(stdout));
            self.0.send(body);
            page.take(body.len());
            stdout = rest;
        }
        Ok(())
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send(text.as_bytes());
        Ok(())
    }
}

/// Why a reading was not told, or its answer is not whole.
enum Trouble {
    NoConnection,
    Failed(Failure),
    NoPage(PageError),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<SendError> for Trouble {
    fn from(error: SendError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<PageError> for Trouble {
    fn from(error: PageError) -> Self {
        Self::NoPage(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => f.write_str("the application takes no connection"),
            Self::Failed(failure) => failure.fmt(f),
            Self::NoPage(error) => error.fmt(f),
        }
    }
}

#[exception]
fn SysTick() {
    ticks::tick();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    last_words::tell(info)
}
