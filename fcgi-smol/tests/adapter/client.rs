//! The client with the names and the shape of the blocking one, whose tests it passes.
#![allow(dead_code)] // Each file of tests uses a part.

#[path = "outgoing.rs"]
mod outgoing;

use fcgi_smol::{ClientError, ClientSettings, Endpoint, Params, Value};

pub(crate) use outgoing::*;

#[derive(Debug)]
pub(crate) struct Client(fcgi_smol::Client);

impl Client {
    pub(crate) fn connect(address: impl AsRef<str>) -> Result<Self, ClientError> {
        block_on(fcgi_smol::Client::connect(address)).map(Self)
    }

    pub(crate) fn with_settings(endpoint: Endpoint, settings: ClientSettings) -> Self {
        Self(fcgi_smol::Client::with_settings(endpoint, settings))
    }

    pub(crate) fn request<'c>(&'c mut self, params: Params) -> Outgoing<'c> {
        self.0.request(params).into()
    }

    pub(crate) fn values(&mut self) -> Result<Vec<Value>, ClientError> {
        block_on(self.0.values())
    }

    pub(crate) fn take_stderr(&mut self) -> Vec<u8> {
        self.0.take_stderr()
    }
}
