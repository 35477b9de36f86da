//! embassy-net on the board.

use embassy_net::tcp::{State, TcpSocket};
use embassy_net::{Config, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_time::{Duration, with_timeout};

use crate::ethernet::{ADDRESS, Ethernet, Frames, HARDWARE_ADDRESS, PREFIX};

/// How long the peer of a connection that is over may take to acknowledge the last of what was sent.
const LAST_DATA: Duration = Duration::from_secs(5);

/// Sets up the controller, and a stack for so many sockets.
pub fn start<const SOCKETS: usize>(
    frames: &'static mut Frames,
    resources: &'static mut StackResources<SOCKETS>,
) -> (Stack<'static>, Runner<'static, Ethernet>) {
    let address = Ipv4Cidr::new(ADDRESS, PREFIX);
    let config = StaticConfigV4 { address, gateway: None, dns_servers: Default::default() };
    let device = Ethernet::new(HARDWARE_ADDRESS, frames);
    embassy_net::new(device, Config::ipv4_static(config), resources, 0)
}

/// Ends a connection: its peer gets what was sent, if it takes that for a while.
pub async fn end(socket: &mut TcpSocket<'_>) {
    socket.close();
    let _ = with_timeout(LAST_DATA, socket.flush()).await;
    if !matches!(socket.state(), State::Closed | State::TimeWait) {
        socket.abort();
        let _ = with_timeout(LAST_DATA, socket.flush()).await;
    }
}
