//! The order of a request's input streams, by role (sections 6.2 to 6.4).

use super::event::{Event, Refusal};
use crate::limits::Limits;
use crate::record::{RecordType, RequestId, Role};

/// How far a request's input is: each role's legal order of streams (sections 6.2 to 6.4), one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Stage {
    ResponderParams,
    ResponderStdin,
    AuthorizerParams,
    FilterParams,
    FilterStdin,
    FilterData,
    Complete,
}

/// Where a record's stream stands in its request's order.
pub(super) enum Turn {
    Now,
    Later,
    /// It has ended, or the role has no such stream.
    Never,
}

impl Stage {
    pub(super) const fn first(role: Role) -> Self {
        match role {
            Role::Responder => Self::ResponderParams,
            Role::Authorizer => Self::AuthorizerParams,
            Role::Filter => Self::FilterParams,
        }
    }

    pub(super) const fn next(self) -> Self {
        match self {
            Self::ResponderParams => Self::ResponderStdin,
            Self::FilterParams => Self::FilterStdin,
            Self::FilterStdin => Self::FilterData,
            Self::ResponderStdin | Self::AuthorizerParams | Self::FilterData | Self::Complete => {
                Self::Complete
            }
        }
    }

    pub(super) const fn turn(self, stream: InputStream) -> Turn {
        use InputStream::{Data, Params, Stdin};
        match (self, stream) {
            (Self::ResponderParams | Self::AuthorizerParams | Self::FilterParams, Params)
            | (Self::ResponderStdin | Self::FilterStdin, Stdin)
            | (Self::FilterData, Data) => Turn::Now,
            (Self::ResponderParams, Stdin)
            | (Self::FilterParams, Stdin | Data)
            | (Self::FilterStdin, Data) => Turn::Later,
            _ => Turn::Never,
        }
    }

    /// Whether STDIN is still to come to its end.
    pub(super) const fn awaits_stdin(self) -> bool {
        match self {
            Self::ResponderParams | Self::ResponderStdin | Self::FilterParams | Self::FilterStdin => true,
            Self::AuthorizerParams | Self::FilterData | Self::Complete => false,
        }
    }

    /// Whether the answer may begin: all inputs but the last have ended (section 6.1).
    pub(super) const fn may_write(self) -> bool {
        matches!(self, Self::ResponderStdin | Self::FilterData | Self::Complete)
    }
}

/// The streams that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum InputStream {
    Params,
    Stdin,
    Data,
}

impl InputStream {
    pub(super) const fn from_wire(record_type: u8) -> Option<Self> {
        match RecordType::from_wire(record_type) {
            Some(RecordType::Params) => Some(Self::Params),
            Some(RecordType::Stdin) => Some(Self::Stdin),
            Some(RecordType::Data) => Some(Self::Data),
            _ => None,
        }
    }

    pub(super) const fn event(self, id: RequestId, data: &[u8]) -> Event<'_> {
        match self {
            Self::Params => Event::Params { id, data },
            Self::Stdin => Event::Stdin { id, data },
            Self::Data => Event::Data { id, data },
        }
    }

    pub(super) const fn end_event<'i>(self, id: RequestId) -> Event<'i> {
        match self {
            Self::Params => Event::ParamsEnd { id },
            Self::Stdin => Event::StdinEnd { id },
            Self::Data => Event::DataEnd { id },
        }
    }

    pub(super) const fn too_long(self) -> Refusal {
        match self {
            Self::Params => Refusal::ParamsTooLong,
            Self::Stdin | Self::Data => Refusal::Overloaded,
        }
    }

    pub(super) const fn limit(self, limits: &Limits) -> u32 {
        match self {
            Self::Params => limits.params,
            Self::Stdin => limits.stdin,
            Self::Data => limits.data,
        }
    }
}
