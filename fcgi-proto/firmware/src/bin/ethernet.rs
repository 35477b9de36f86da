//! FastCGI over TCP on the board's Ethernet controller, a connection a socket.
#![no_std]
#![no_main]

use core::panic::PanicInfo;

use cortex_m::asm;
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use fcgi_firmware::clock::{Clock, free_stack};
use fcgi_firmware::ethernet::{Ethernet, Frames};
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{CONNECTION, Output, PARAMS, Peer, ROOM, handle};
use fcgi_firmware::uart::Uart;
use fcgi_proto::pair::Params;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet, SocketStorage};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// Connections at a time.
const SOCKETS: usize = 8;
const PORT: u16 = 9000;
const ADDRESS: (IpAddress, u8) = (IpAddress::v4(10, 0, 2, 15), 24);
/// A locally administered one.
const HARDWARE_ADDRESS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 15]);

/// Bytes of a socket's buffers.
const RECEIVE: usize = 1536;
const SEND: usize = 2048;
/// Bytes that are answered at once.
const OUTPUT: usize = 2 * ROOM;

/// Milliseconds after which a connection is closed on which nothing goes on: longer than the 60 s for which
/// nginx keeps it, so that it is not closed when a request is on its way.
const IDLE: u64 = 75_000;
/// Milliseconds for the client to close after this side did.
const LINGER: u64 = 2000;
/// Milliseconds without anything to do after which the processor sleeps from tick to tick.
const AWAKE: u64 = 5;

/// A connection before its first byte.
const NEW: Peer = Peer::new(SOCKETS as u32);

/// What a socket's connection is, and when something last went on.
struct Session {
    peer: Peer,
    last: u64,
}

#[entry]
fn main() -> ! {
    static mut SESSIONS: [Session; SOCKETS] = [const { Session { peer: NEW, last: 0 } }; SOCKETS];
    static mut PARAMETERS: [Params<PARAMS>; SOCKETS] = [const { Params::new() }; SOCKETS];
    static mut SOCKET_SET: [SocketStorage<'static>; SOCKETS] = [SocketStorage::EMPTY; SOCKETS];
    static mut RECEIVE_BUFFERS: [[u8; RECEIVE]; SOCKETS] = [[0; RECEIVE]; SOCKETS];
    static mut SEND_BUFFERS: [[u8; SEND]; SOCKETS] = [[0; SEND]; SOCKETS];
    static mut OUTPUT_BUFFER: [u8; OUTPUT] = [0; OUTPUT];
    static mut FRAMES: Frames = Frames::new();

    let mut clock = Clock::start();
    let mut device = Ethernet::new(HARDWARE_ADDRESS, FRAMES);
    let mut interface = Interface::new(Config::new(HARDWARE_ADDRESS.into()), &mut device, Instant::ZERO);
    let (address, prefix) = ADDRESS;
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(address, prefix)).unwrap_or_default());
    let mut sockets = SocketSet::new(&mut SOCKET_SET[..]);
    for (receive, send) in RECEIVE_BUFFERS.iter_mut().zip(SEND_BUFFERS) {
        let (receive, send) = (&mut receive[..], &mut send[..]);
        let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
        // The last, short segment of an answer does not wait.
        socket.set_nagle_enabled(false);
        sockets.add(socket);
    }
    let mut board =
        Board { name: "Ethernet", uptime: 0, served: 0, free_stack: 0, connection: CONNECTION as u32 };
    let mut busy = 0;
    Uart::new().send(b"ready\n");
    loop {
        let now = clock.now();
        board.uptime = now;
        board.free_stack = free_stack();
        device.accepts = false;
        let sessions = SESSIONS.iter_mut().zip(&mut *PARAMETERS);
        for ((session, params), (_, Socket::Tcp(socket))) in sessions.zip(sockets.iter_mut()) {
            session.serve(socket, params, OUTPUT_BUFFER, &mut board);
            device.accepts |= socket.is_listening();
        }
        // One frame, so that the next knows whether a socket still listens.
        let instant = Instant::from_millis(now as i64);
        let came = interface.poll_ingress_single(instant, &mut device, &mut sockets);
        let went = interface.poll_egress(instant, &mut device, &mut sockets);
        if came != PollIngressSingleResult::None || went != PollResult::None {
            busy = now;
        } else if now - busy > AWAKE {
            asm::wfi();
        }
    }
}

impl Session {
    /// Takes what came, makes what fits of the answer; listens again when the connection is over.
    fn serve(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        params: &mut Params<PARAMS>,
        memory: &mut [u8; OUTPUT],
        board: &mut Board,
    ) {
        let now = board.uptime;
        if !socket.is_open() {
            self.peer = NEW;
            // Cannot fail: the socket is closed and the port is not 0.
            socket.listen(PORT).unwrap_or_default();
        }
        if !socket.is_active() || socket.state() == tcp::State::SynReceived {
            self.last = now;
            return;
        }
        if !socket.may_send() {
            // This side has closed. What still comes is read and dropped, so that it costs no answer.
            let _dropped = socket.recv(|input| (input.len(), ()));
            if now - self.last > LINGER {
                socket.abort();
            }
            return;
        }
        let room = socket.send_capacity() - socket.send_queue();
        let mut output = Output::new(&mut memory[..room.min(OUTPUT)]);
        let mut exchange = |input: &mut [u8]| {
            let mut rest = &*input;
            let result = handle(&mut self.peer, params, &mut rest, &mut output, board);
            let taken = input.len() - rest.len();
            (taken, (taken, result))
        };
        let (taken, result) = socket.recv(&mut exchange).unwrap_or_else(|_nothing_came| exchange(&mut []).1);
        let made = output.bytes();
        if taken + made.len() > 0 {
            self.last = now;
        }
        let sent = socket.send_slice(made) == Ok(made.len());
        let gone = !socket.may_recv() && !self.peer.is_answering();
        let idle = now - self.last > IDLE;
        if result.is_err() || !sent || self.peer.is_finished() || gone || idle {
            socket.close();
            self.last = now;
        }
    }
}

/// Tells where on the UART, and starts anew.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut uart = Uart::new();
    uart.send(b"panic");
    if let Some(location) = info.location() {
        uart.send(b" in ");
        uart.send(location.file().as_bytes());
    }
    uart.send(b"\n");
    SCB::sys_reset()
}
