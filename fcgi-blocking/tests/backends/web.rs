//! The web server's side: all that the cases do with the client under test, which is that of `adapter`.

use std::io::{self, Read};
use std::time::Duration;

use fcgi_blocking::{ClientSettings, Params, Resend, Role};

use super::site::Site;
use crate::adapter::{Client, Outgoing};

pub(crate) struct Web<'s> {
    client: Client,
    site: &'s Site,
    /// What KEEP_CONN says.
    pub(crate) keep: bool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) app_status: u32,
    pub(crate) protocol_status: u8,
}

impl<'s> Web<'s> {
    pub(crate) fn new(site: &'s Site) -> Self {
        Self::at(site, &site.place.address)
    }

    /// Reaches the site by another address.
    pub(crate) fn at(site: &'s Site, address: &str) -> Self {
        let mut settings = ClientSettings::default();
        // Nothing that is asked here does harm when it is done twice.
        settings.resend = Resend::All;
        // An application that is slow under load is not asked on a second connection: they are counted.
        settings.kept_first_byte_timeout = Duration::MAX;
        let endpoint = address.parse().expect("an address");
        Self { client: Client::with_settings(endpoint, settings), site, keep: true }
    }

    /// Waits no longer than `limit` for any byte.
    pub(crate) fn impatient(site: &'s Site, limit: Duration) -> Self {
        let mut settings = ClientSettings::default();
        settings.first_byte_timeout = limit;
        settings.read_timeout = limit;
        Self::with(site, settings)
    }

    pub(crate) fn with(site: &'s Site, settings: ClientSettings) -> Self {
        let endpoint = site.place.address.parse().expect("an address");
        Self { client: Client::with_settings(endpoint, settings), site, keep: true }
    }

    pub(crate) fn get(&mut self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    /// With further variables, or others.
    pub(crate) fn get_with(&mut self, target: &str, variables: &[(String, String)]) -> Answer {
        let params = self.params("GET", target);
        let params = variables.iter().fold(params, |params, (name, value)| params.set(name, value));
        must("GET", target, finish(self.request(params)))
    }

    pub(crate) fn try_get(&mut self, target: &str, role: Role) -> io::Result<Answer> {
        let params = self.params("GET", target);
        finish(self.request(params).role(role))
    }

    pub(crate) fn head(&mut self, target: &str) -> Answer {
        let params = self.params("HEAD", target);
        must("HEAD", target, finish(self.request(params)))
    }

    pub(crate) fn post(&mut self, target: &str, body: &[u8]) -> Answer {
        let params = self.upload_params(target);
        must("POST", target, finish(self.request(params).bytes(body)))
    }

    /// POST from a reader; without a length, the client has to find it.
    pub(crate) fn upload(
        &mut self,
        target: &str,
        body: impl Read + Send + Unpin,
        length: Option<u64>,
    ) -> io::Result<Answer> {
        let params = self.upload_params(target);
        let request = self.request(params);
        finish(match length {
            Some(length) => request.body(body, length),
            None => request.spooled(body)?,
        })
    }

    /// Leaves after the first `count` bytes of the body.
    pub(crate) fn abandon(&mut self, target: &str, count: usize) {
        let params = self.params("GET", target);
        let mut response = self.request(params).send().expect("an answer begins");
        response.read_exact(&mut vec![0; count]).expect("it goes on");
    }

    /// The application's capacities, sorted.
    pub(crate) fn values(&mut self) -> Vec<(String, String)> {
        let values = self.client.values().unwrap_or_else(|error| panic!("GET_VALUES: {error}"));
        let mut values: Vec<_> = values.iter().map(|(name, value)| (text(name), text(value))).collect();
        values.sort();
        values
    }

    fn params(&self, method: &str, target: &str) -> Params {
        let script = self.site.place.script.to_str().expect("temporary paths are UTF-8");
        Params::new(method, target).script(script)
    }

    fn upload_params(&self, target: &str) -> Params {
        self.params("POST", target).set("CONTENT_TYPE", "application/x-test")
    }

    fn request(&mut self, params: Params) -> Outgoing<'_> {
        self.client.request(params).keep_conn(self.keep)
    }
}

fn must(method: &str, target: &str, answer: io::Result<Answer>) -> Answer {
    answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"))
}

fn finish(request: Outgoing) -> io::Result<Answer> {
    let mut response = request.send()?;
    let mut body = Vec::new();
    response.read_to_end(&mut body)?;
    let end = response.end().expect("the body was read to its end");
    Ok(Answer {
        status: response.status().code(),
        fields: response.fields().map(|(name, value)| (text(name), text(value))).collect(),
        body,
        stderr: text(&response.take_stderr()),
        app_status: end.app_status,
        protocol_status: end.protocol_status,
    })
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        text(&self.body)
    }

    /// The values of all fields of this name.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether a dump of variables has this one.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.text().lines().any(|line| line.split_once('=') == Some((name, value)))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
