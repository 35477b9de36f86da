//! FastCGI over TCP with embassy-net, a connection a task, by the async loop that is ready.
#![no_std]
#![no_main]

use core::cell::Cell;
use core::panic::PanicInfo;
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::time::Duration;

use cortex_m_rt::{entry, exception};
use embassy_executor::{Executor, task};
use embassy_net::tcp::{self, TcpSocket};
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::{Instant, Timer};
use fcgi_firmware::clock::{Clock, free_stack};
use fcgi_firmware::ethernet::{Ethernet, Frames, TURNED_AWAY};
use fcgi_firmware::handler_async::handle;
use fcgi_firmware::idle::{self, busy};
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{PATIENCE, PORT, Params, ROOM};
use fcgi_firmware::uart::Uart;
use fcgi_firmware::{last_words, network, ticks};
use fcgi_proto::embedded_io_async_07::{Buffers, Platform, Request, Settings, serve};
use fcgi_proto::server::session::Waiting;

/// Connections at a time.
const SOCKETS: usize = 6;

/// Bytes of a socket's buffers, and of those of a connection.
const RECEIVE: usize = 1536;
const SEND: usize = 2048;
const INPUT: usize = 256;

/// How often a connection that waits looks whether another client needs its place.
const LOOK: Duration = Duration::from_millis(10);

const SETTINGS: &Settings<'_> = &{
    let mut settings = Settings::new();
    settings.limits.max_conns = SOCKETS as u32;
    settings.patience = PATIENCE;
    settings
};

/// The memory of a connection.
struct Memory {
    receive: [u8; RECEIVE],
    send: [u8; SEND],
    params: Params,
    buffers: Buffers<INPUT, ROOM>,
}

impl Memory {
    const NEW: Self =
        Self { receive: [0; RECEIVE], send: [0; SEND], params: Params::new(), buffers: Buffers::new() };
}

/// What the connections share.
struct Places {
    clock: Clock,
    /// Requests so far.
    served: Cell<u32>,
    /// How many are free, or will be: their connections gave way.
    free: Cell<u32>,
    /// Since when those wait that wait for a request.
    waiting: [Cell<Option<Duration>>; SOCKETS],
}

#[entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    static mut RESOURCES: StackResources<SOCKETS> = StackResources::new();
    static mut FRAMES: Frames = Frames::new();
    static mut MEMORY: [Memory; SOCKETS] = [Memory::NEW; SOCKETS];
    static mut PLACES: Option<Places> = None;

    let waiting = [const { Cell::new(None) }; SOCKETS];
    let places =
        &*PLACES.insert(Places { clock: Clock::start(), served: Cell::new(0), free: Cell::new(0), waiting });
    let (stack, runner) = network::start(FRAMES, RESOURCES);
    Uart::new().send(b"ready\n");
    EXECUTOR.insert(Executor::new()).run(|spawner| {
        // Each is spawned once, and has room.
        idle().into_iter().for_each(|task| spawner.spawn(task));
        network(runner).into_iter().for_each(|task| spawner.spawn(task));
        for (number, memory) in MEMORY.iter_mut().enumerate() {
            let task = connections(stack, memory, Place { places, number, gave_way: Cell::new(false) });
            task.into_iter().for_each(|task| spawner.spawn(task));
        }
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

#[task(pool_size = SOCKETS)]
async fn connections(stack: Stack<'static>, memory: &'static mut Memory, place: Place) -> ! {
    busy(pin!(one_after_the_other(stack, memory, place))).await
}

async fn one_after_the_other(stack: Stack<'static>, memory: &'static mut Memory, place: Place) -> ! {
    let Memory { receive, send, params, buffers } = memory;
    let mut socket = TcpSocket::new(stack, receive, send);
    // The last, short segment of an answer does not wait.
    socket.set_nagle_enabled(false);
    let Places { free, .. } = place.places;
    loop {
        if !place.gave_way.take() {
            free.set(free.get() + 1);
        }
        let awaited = TURNED_AWAY.load(Ordering::Relaxed) > 0;
        let accepted = socket.accept(PORT).await;
        free.set(free.get() - 1);
        if awaited {
            TURNED_AWAY.store(0, Ordering::Relaxed);
        }
        if accepted.is_ok() {
            let handler = async |request: &mut Request<'_, _, _, _>| {
                let board = place.begin();
                handle(request, board).await
            };
            // What it reports is for a log, which there is none of.
            let _ = serve(&mut socket, &place, SETTINGS, params, buffers, handler).await;
            place.waiting().set(None);
        }
        network::end(&mut socket).await;
    }
}

/// A connection's own.
struct Place {
    places: &'static Places,
    number: usize,
    gave_way: Cell<bool>,
}

impl Place {
    /// A request comes: how the board is.
    fn begin(&self) -> Board {
        self.waiting().set(None);
        let Places { clock, served, .. } = self.places;
        served.set(served.get().wrapping_add(1));
        Board {
            name: "Ethernet and embassy",
            uptime: clock.now(),
            served: served.get(),
            free_stack: free_stack(),
        }
    }

    fn waiting(&self) -> &Cell<Option<Duration>> {
        &self.places.waiting[self.number]
    }
}

impl Platform<TcpSocket<'static>> for Place {
    fn now(&self) -> Duration {
        self.places.clock.now()
    }

    async fn wait(&self, until: Option<Duration>) {
        let look = self.now() + LOOK;
        let until = until.map_or(look, |until| until.min(look));
        Timer::at(Instant::from_millis(until.as_secs() * 1000 + u64::from(until.subsec_millis()))).await;
    }

    async fn shut_down(&self, socket: &mut TcpSocket<'static>) -> Result<bool, tcp::Error> {
        socket.close();
        Ok(true)
    }

    /// Who has waited for longest makes room for a client that was turned away. While no place is free, a connection
    /// that was kept does so before one is: clients ask again after a second or more.
    fn gives_way(&self, waiting: Waiting) -> bool {
        if waiting.leaving {
            return false;
        }
        self.waiting().set(Some(waiting.since));
        let Places { free, waiting: all, .. } = self.places;
        let crowded = TURNED_AWAY.load(Ordering::Relaxed) > free.get() || (free.get() == 0 && !waiting.comes);
        let gives_way = crowded && all.iter().filter_map(Cell::get).min() == Some(waiting.since);
        if gives_way {
            self.waiting().set(None);
            self.gave_way.set(true);
            free.set(free.get() + 1);
        }
        gives_way
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
