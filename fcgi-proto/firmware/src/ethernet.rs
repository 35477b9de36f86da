//! The Ethernet controller, as a device of smoltcp and a driver of embassy-net: one frame at a time, by the processor.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Context;

use embassy_net::driver;
use embassy_time_driver::{now, schedule_wake};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket, TcpSeqNumber,
};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

use crate::chip;

/// A locally administered one.
pub const HARDWARE_ADDRESS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 15]);
/// The board's.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// How many bits of it are its network's.
pub const PREFIX: u8 = 24;

/// Bytes of the longest frame, without its checksum.
const FRAME: usize = 1514;
const HEADER: usize = 14;
const CHECKSUM: usize = 4;

/// How often a client asked for a connection while no socket listened; it asks again.
pub static TURNED_AWAY: AtomicU32 = AtomicU32::new(0);

register_structs! {
    Registers {
        (0x000 => interrupt: ReadWrite<u32>),
        (0x004 => interrupt_mask: ReadWrite<u32>),
        (0x008 => receive_control: ReadWrite<u32, RECEIVE::Register>),
        (0x00c => transmit_control: ReadWrite<u32, TRANSMIT::Register>),
        (0x010 => data: ReadWrite<u32>),
        (0x014 => address_0: ReadWrite<u32>),
        (0x018 => address_1: ReadWrite<u32>),
        (0x01c => _reserved0),
        (0x034 => packets: ReadOnly<u32>),
        (0x038 => request: ReadWrite<u32, REQUEST::Register>),
        (0x03c => @END),
    }
}

register_bitfields! {u32,
    RECEIVE [
        ENABLE OFFSET(0) NUMBITS(1) [],
        REJECT_BAD OFFSET(3) NUMBITS(1) [],
        RESET OFFSET(4) NUMBITS(1) []
    ],
    TRANSMIT [
        ENABLE OFFSET(0) NUMBITS(1) [],
        PAD OFFSET(1) NUMBITS(1) [],
        CHECKSUM OFFSET(2) NUMBITS(1) [],
        DUPLEX OFFSET(4) NUMBITS(1) []
    ],
    REQUEST [NEW OFFSET(0) NUMBITS(1) []],
}

/// Memory for one frame in each direction.
pub struct Frames {
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Frames {
    /// Empty ones.
    #[must_use]
    pub const fn new() -> Self {
        Self { received: [0; FRAME], sent: [0; FRAME] }
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::new()
    }
}

/// The controller.
pub struct Ethernet {
    registers: &'static Registers,
    frames: &'static mut Frames,
    address: EthernetAddress,
}

impl Ethernet {
    /// Sets it up.
    #[must_use]
    pub fn new(address: EthernetAddress, frames: &'static mut Frames) -> Self {
        chip::enable_ethernet();
        // SAFETY: the Ethernet controller is at this address, always, and is accessed by volatile reads and
        // writes only.
        #[expect(unsafe_code, reason = "the registers' address")]
        let registers = unsafe { &*(0x4004_8000 as *const Registers) };
        registers.interrupt_mask.set(0);
        let EthernetAddress([a, b, c, d, e, f]) = address;
        registers.address_0.set(u32::from_le_bytes([a, b, c, d]));
        registers.address_1.set(u32::from_le_bytes([e, f, 0, 0]));
        registers.transmit_control.write(
            TRANSMIT::ENABLE::SET + TRANSMIT::PAD::SET + TRANSMIT::CHECKSUM::SET + TRANSMIT::DUPLEX::SET,
        );
        registers.receive_control.write(RECEIVE::RESET::SET);
        registers.receive_control.write(RECEIVE::ENABLE::SET + RECEIVE::REJECT_BAD::SET);
        Self { registers, frames, address }
    }

    /// Takes a frame from the FIFO, whose first two bytes are the length of all that it holds of the frame.
    fn take(&mut self) -> Option<usize> {
        let [len0, len1, first @ ..] = self.registers.data.get().to_le_bytes();
        let held = usize::from(u16::from_le_bytes([len0, len1]));
        let len = held.checked_sub(2 + CHECKSUM)?;
        let mut places = self.frames.received.iter_mut();
        // In this order a place is only taken for a byte.
        for (byte, place) in first.into_iter().zip(&mut places) {
            *place = byte;
        }
        for _ in 1..held.div_ceil(4) {
            let word = self.registers.data.get().to_le_bytes();
            for (byte, place) in word.into_iter().zip(&mut places) {
                *place = byte;
            }
        }
        (len <= FRAME).then_some(len)
    }

    fn received(&mut self) -> Option<(Received<'_>, Free<'_>)> {
        if self.registers.packets.get() == 0 || self.registers.request.is_set(REQUEST::NEW) {
            return None;
        }
        let len = self.take()?;
        let frame = self.frames.received.get_mut(..len)?;
        Some((Received(frame), Free { registers: self.registers, frame: &mut self.frames.sent }))
    }

    fn free(&mut self) -> Option<Free<'_>> {
        if self.registers.request.is_set(REQUEST::NEW) {
            return None;
        }
        Some(Free { registers: self.registers, frame: &mut self.frames.sent })
    }
}

/// Whether the frame refuses a connection that was asked for: no socket listened.
fn refuses(frame: &[u8]) -> bool {
    fn tcp(frame: &[u8]) -> Option<bool> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        let segment = TcpPacket::new_checked(packet.payload()).ok()?;
        // RFC 9293, section 3.10.7.1: it answers a segment that acknowledges nothing, a SYN.
        Some(segment.rst() && segment.ack() && segment.seq_number() == TcpSeqNumber(0))
    }
    tcp(frame).unwrap_or(false)
}

impl Device for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Free<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Free<'_>)> {
        self.received()
    }

    fn transmit(&mut self, _: Instant) -> Option<Free<'_>> {
        self.free()
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// No interrupt of the controller is used: it is asked again at the next tick of the clock, for both directions.
impl driver::Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Free<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Free<'_>)> {
        schedule_wake(now() + 1, cx.waker());
        self.received()
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Free<'_>> {
        self.free()
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> driver::LinkState {
        driver::LinkState::Up
    }

    fn capabilities(&self) -> driver::Capabilities {
        let mut capabilities = driver::Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> driver::HardwareAddress {
        driver::HardwareAddress::Ethernet(self.address.0)
    }
}

/// A frame that came.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

impl driver::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        take(self.0)
    }
}

/// Room for a frame to send.
pub struct Free<'a> {
    registers: &'static Registers,
    frame: &'a mut [u8; FRAME],
}

impl Free<'_> {
    fn send<R>(self, len: usize, make: impl FnOnce(&mut [u8]) -> R) -> R {
        // The stack keeps to max_transmission_unit.
        let frame = &mut self.frame[..len];
        let result = make(frame);
        if refuses(frame) {
            // Like a backlog that is full: the client's TCP asks again, while a refusal is an error of its
            // application.
            TURNED_AWAY.fetch_add(1, Ordering::Relaxed);
            return result;
        }
        // The FIFO wants the length of what follows the header first.
        let [len0, len1, ..] = len.saturating_sub(HEADER).to_le_bytes();
        let mut bytes = frame.iter().copied();
        let mut next = || bytes.next().unwrap_or(0);
        self.registers.data.set(u32::from_le_bytes([len0, len1, next(), next()]));
        for _ in 1..(2 + len).div_ceil(4) {
            self.registers.data.set(u32::from_le_bytes([next(), next(), next(), next()]));
        }
        self.registers.request.write(REQUEST::NEW::SET);
        result
    }
}

impl TxToken for Free<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, make: F) -> R {
        self.send(len, make)
    }
}

impl driver::TxToken for Free<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, make: F) -> R {
        self.send(len, make)
    }
}
