//! A pool of one application with the names and the shape of the blocking client, whose tests it passes.
#![allow(dead_code)] // Each file of tests uses a part.

#[path = "outgoing.rs"]
mod outgoing;

use std::time::Duration;

use fcgi_smol::{ClientError, ClientSettings, Endpoint, Params, Pool, PoolSettings, Value};

pub(crate) use outgoing::*;

#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    settings: PoolSettings,
    pool: Pool,
}

impl Client {
    pub(crate) fn connect(address: impl AsRef<str>) -> Result<Self, ClientError> {
        let endpoint = address.as_ref().parse().expect("an address");
        Ok(Self::with_settings(endpoint, ClientSettings::default()))
    }

    pub(crate) fn with_settings(endpoint: Endpoint, client: ClientSettings) -> Self {
        let mut settings = PoolSettings::default();
        settings.client = client;
        settings.max_idle = 1;
        // The connections are counted, however slow the application is.
        settings.keep_time = Duration::MAX;
        let pool = Pool::new([endpoint.clone()], settings);
        Self { endpoint, settings, pool }
    }

    pub(crate) fn request<'c>(&'c mut self, params: Params) -> Outgoing<'c> {
        self.pool.request(params).into()
    }

    /// A pool does not ask for them: a client does, when the pool has closed what it kept.
    pub(crate) fn values(&mut self) -> Result<Vec<Value>, ClientError> {
        self.pool = Pool::new([self.endpoint.clone()], self.settings);
        block_on(fcgi_smol::Client::with_settings(self.endpoint.clone(), self.settings.client).values())
    }
}
