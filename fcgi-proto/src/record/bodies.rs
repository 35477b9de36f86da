//! The contents of fixed length: BEGIN_REQUEST, END_REQUEST, UNKNOWN_TYPE (sections 4.2, 5.1 and 5.5).

use super::names::Flags;

/// The content of BEGIN_REQUEST (section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BeginRequest {
    /// The role's number on the wire; [`Role::from_wire`](super::Role::from_wire) tells which it is.
    pub role: u16,
    /// Whether the connection is kept.
    pub flags: Flags,
}

impl BeginRequest {
    /// Bytes of content in every BEGIN_REQUEST.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub fn parse(content: &[u8; Self::LEN]) -> Self {
        let [role1, role0, flags, ..] = *content;
        Self { role: u16::from_be_bytes([role1, role0]), flags: Flags(flags) }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [role1, role0] = self.role.to_be_bytes();
        [role1, role0, self.flags.0, 0, 0, 0, 0, 0]
    }
}

/// The content of END_REQUEST (section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndRequest {
    /// The application status: what a CGI program would have passed to `exit`.
    pub app_status: u32,
    /// The protocol status's number on the wire; [`ProtocolStatus::from_wire`](super::ProtocolStatus::from_wire) tells which it is.
    pub protocol_status: u8,
}

impl EndRequest {
    /// Bytes of content in every END_REQUEST.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub const fn parse(content: &[u8; Self::LEN]) -> Self {
        let [status3, status2, status1, status0, protocol_status, ..] = *content;
        let app_status = u32::from_be_bytes([status3, status2, status1, status0]);
        Self { app_status, protocol_status }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        let [status3, status2, status1, status0] = self.app_status.to_be_bytes();
        [status3, status2, status1, status0, self.protocol_status, 0, 0, 0]
    }
}

/// The content of UNKNOWN_TYPE (section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownType {
    /// The management record type that was not understood.
    pub record_type: u8,
}

impl UnknownType {
    /// Bytes of content in every UNKNOWN_TYPE.
    pub const LEN: usize = 8;

    /// Reads the content; the reserved bytes are ignored.
    #[must_use]
    pub const fn parse(content: &[u8; Self::LEN]) -> Self {
        let [record_type, ..] = *content;
        Self { record_type }
    }

    /// The content's bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; Self::LEN] {
        [self.record_type, 0, 0, 0, 0, 0, 0, 0]
    }
}
