use fcgi_proto::record::ProtocolStatus;

/// How an application ended a request (FastCGI 1.0, section 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// What it passed to `exit`; it means little with real applications.
    pub app_status: u32,
    /// The protocol status's number; see [`ProtocolStatus::from_wire`].
    pub protocol_status: u8,
    /// Whether anything came on STDOUT.
    pub answered: bool,
}

impl End {
    /// Why the request was refused, if it was: no output came, and the status says that it was not executed.
    #[must_use]
    pub fn refusal(&self) -> Option<ProtocolStatus> {
        let status = ProtocolStatus::from_wire(self.protocol_status);
        status.filter(|status| *status != ProtocolStatus::RequestComplete && !self.answered)
    }
}
