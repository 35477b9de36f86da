//! FastCGI over TCP on the board's Ethernet controller, a connection a socket.
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use core::sync::atomic::Ordering;
use core::time::Duration;

use cortex_m::asm;
use cortex_m_rt::{entry, exception};
use fcgi_firmware::clock::{Clock, free_stack};
use fcgi_firmware::ethernet::{ADDRESS, Ethernet, Frames, HARDWARE_ADDRESS, PREFIX, TURNED_AWAY};
use fcgi_firmware::page::Board;
use fcgi_firmware::responder::{PATIENCE, PORT, Params, Peer, ROOM};
use fcgi_firmware::uart::Uart;
use fcgi_firmware::{clock, last_words};
use fcgi_proto::server::session::Leave;
use smoltcp::iface::{Config, Interface, PollResult, SocketSet, SocketStorage};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};

/// Connections at a time.
const SOCKETS: usize = 8;

/// Bytes of a socket's buffers.
const RECEIVE: usize = 1536;
const SEND: usize = 2048;
/// Bytes that are answered at once.
const OUTPUT: usize = 2 * ROOM;

/// How long there is nothing to do before the processor sleeps from tick to tick.
const AWAKE: Duration = Duration::from_millis(5);

/// How long the client of a connection that is over may take to acknowledge the last of what was sent.
const LAST_DATA: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(5);

/// A connection before its first byte.
const NEW: Peer = Peer::new(SOCKETS as u32, &PATIENCE);

#[entry]
fn main() -> ! {
    static mut PEERS: [Peer; SOCKETS] = [NEW; SOCKETS];
    static mut PARAMETERS: [Params; SOCKETS] = [const { Params::new() }; SOCKETS];
    static mut SOCKET_SET: [SocketStorage<'static>; SOCKETS] = [SocketStorage::EMPTY; SOCKETS];
    static mut RECEIVE_BUFFERS: [[u8; RECEIVE]; SOCKETS] = [[0; RECEIVE]; SOCKETS];
    static mut SEND_BUFFERS: [[u8; SEND]; SOCKETS] = [[0; SEND]; SOCKETS];
    static mut OUTPUT_BUFFER: [u8; OUTPUT] = [0; OUTPUT];
    static mut FRAMES: Frames = Frames::new();

    let clock = Clock::start();
    let mut device = Ethernet::new(HARDWARE_ADDRESS, FRAMES);
    let mut interface = Interface::new(Config::new(HARDWARE_ADDRESS.into()), &mut device, Instant::ZERO);
    let address = IpCidr::new(IpAddress::Ipv4(ADDRESS), PREFIX);
    interface.update_ip_addrs(|addresses| addresses.push(address).unwrap_or_default());
    let mut sockets = SocketSet::new(&mut SOCKET_SET[..]);
    for (receive, send) in RECEIVE_BUFFERS.iter_mut().zip(SEND_BUFFERS) {
        let (receive, send) = (&mut receive[..], &mut send[..]);
        let mut socket = tcp::Socket::new(tcp::SocketBuffer::new(receive), tcp::SocketBuffer::new(send));
        // The last, short segment of an answer does not wait.
        socket.set_nagle_enabled(false);
        sockets.add(socket);
    }
    let mut board = Board { name: "Ethernet", uptime: Duration::ZERO, served: 0, free_stack: 0 };
    let mut busy = Duration::ZERO;
    Uart::new().send(b"ready\n");
    loop {
        let now = clock.now();
        board.uptime = now;
        board.free_stack = free_stack();
        let peers = PEERS.iter_mut().zip(&mut *PARAMETERS);
        for ((peer, params), (_, Socket::Tcp(socket))) in peers.zip(sockets.iter_mut()) {
            serve(peer, params, socket, OUTPUT_BUFFER, &mut board);
        }
        for _ in 0..TURNED_AWAY.swap(0, Ordering::Relaxed) {
            // The client asks again: who has waited for longest for a request makes room.
            let since = |peer: &&mut Peer| {
                peer.session.waiting().filter(|waiting| !waiting.leaving).map(|waiting| waiting.since)
            };
            let longest = PEERS.iter_mut().filter(|peer| since(peer).is_some()).min_by_key(since);
            if let Some(peer) = longest {
                peer.session.leave(Leave::Crowded, now);
            }
        }
        let instant = Instant::from_millis(now.as_secs() as i64 * 1000 + i64::from(now.subsec_millis()));
        if interface.poll(instant, &mut device, &mut sockets) != PollResult::None {
            busy = now;
        } else if now - busy > AWAKE {
            asm::wfi();
        }
    }
}

/// Hands over what came and sends what was made, as far as it fits; listens again when the connection is over.
fn serve(
    peer: &mut Peer,
    params: &mut Params,
    socket: &mut tcp::Socket<'_>,
    memory: &mut [u8; OUTPUT],
    board: &mut Board,
) {
    let now = board.uptime;
    if !socket.is_open() {
        *peer = NEW;
        socket.set_timeout(None);
        // Cannot fail: the socket is closed and the port is not 0.
        socket.listen(PORT).unwrap_or_default();
    }
    if socket.is_listening() {
        return;
    }
    if socket.state() == tcp::State::CloseWait && socket.recv_queue() == 0 {
        peer.session.end_of_input();
    }
    let free = socket.send_capacity() - socket.send_queue();
    let free = free.min(OUTPUT);
    let mut room = &mut memory[..free];
    let mut exchange = |input: &mut [u8]| peer.serve(params, input, &mut room, board);
    let next = socket.recv(&mut exchange).unwrap_or_else(|_nothing_comes| exchange(&mut []).1);
    let made = free - room.len();
    // Cannot fail: there is room.
    socket.send_slice(&memory[..made]).unwrap_or_default();
    if next.close {
        match socket.state() {
            // The client gets what was sent, if it takes that for a while.
            tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck => {}
            _ if socket.may_send() => {
                socket.set_timeout(Some(LAST_DATA));
                socket.close();
            }
            _ => socket.abort(),
        }
    } else if next.shutdown {
        socket.close();
        peer.session.shut(now);
    }
}

#[exception]
fn SysTick() {
    clock::tick();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    last_words::tell(info)
}
