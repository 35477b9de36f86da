//! What the benches left in `results` and in criterion's folder.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The second floor.
pub(crate) const EPOLL: &str = "floor of an event loop";

/// Figures that are missing are errors: run the benches first.
pub(crate) struct Figures {
    serve: Vec<Vec<String>>,
    latency: Vec<Vec<String>>,
    curves: Vec<Vec<String>>,
    stream: Vec<Vec<String>>,
    /// None where nginx or wrk is not installed.
    web: Vec<Vec<String>>,
    pub(crate) instructions: String,
}

/// How a server did.
pub(crate) struct Served {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Of the floor.
    pub(crate) ratio: f64,
    /// Of the floor of an event loop.
    pub(crate) event_loop: f64,
    /// Microseconds of processor time a request.
    pub(crate) processor: f64,
}

/// How a server did behind nginx.
pub(crate) struct Fronted {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Microseconds of its processor time a request.
    pub(crate) processor: f64,
}

/// How a stream did.
pub(crate) struct Streamed {
    /// Of the floor.
    pub(crate) ratio: f64,
    /// KiB that the peak of resident memory grew by.
    pub(crate) grown: u64,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

impl Figures {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let results = folder().join("results");
        Ok(Self {
            serve: rows(&results.join("serve.csv"))?,
            latency: rows(&results.join("latency.csv"))?,
            curves: rows(&results.join("curves.csv"))?,
            stream: rows(&results.join("stream.csv"))?,
            web: rows(&results.join("web.csv")).unwrap_or_default(),
            instructions: fs::read_to_string(results.join("instructions.txt"))?,
        })
    }

    /// The servers, in their order.
    pub(crate) fn servers(&self) -> Vec<&str> {
        let all = self.serve.iter().filter(|row| row[..3] == ["unix", "16", "1"]);
        all.map(|row| row[3].as_str()).collect()
    }

    pub(crate) fn serve(
        &self,
        transport: &str,
        connections: u32,
        in_flight: u32,
        server: &str,
    ) -> Result<Served, Box<dyn Error>> {
        let key = [transport, &connections.to_string(), &in_flight.to_string(), server];
        let row = self.serve.iter().find(|row| row[..4] == key).ok_or(format!("no figure for {key:?}"))?;
        Ok(Served {
            rate: row[4].parse()?,
            ratio: row[5].parse()?,
            event_loop: row[6].parse()?,
            processor: row[7].parse()?,
        })
    }

    /// Requests a second, and microseconds within which half, 99 in 100 and 999 in 1000 of them were answered, at half of
    /// the greatest load.
    pub(crate) fn latency(&self, server: &str) -> Result<&[String], Box<dyn Error>> {
        let row =
            self.latency.iter().find(|row| row[0] == server).ok_or(format!("no latency of {server}"))?;
        Ok(&row[1..])
    }

    /// Microseconds of processor time a request of `server`, by connections or, on one, by requests in flight.
    pub(crate) fn curve(
        &self,
        server: &str,
        by_connections: bool,
    ) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
        let [fixed, grows] = if by_connections { [1, 0] } else { [0, 1] };
        let rows = self.curves.iter().filter(|row| row[fixed] == "1" && row[2] == server);
        rows.map(|row| Ok((row[grows].parse()?, row[4].parse()?))).collect()
    }

    pub(crate) fn stream(&self, direction: &str, server: &str) -> Result<Streamed, Box<dyn Error>> {
        let key = [direction, server];
        let row = self.stream.iter().find(|row| row[..2] == key).ok_or(format!("no figure for {key:?}"))?;
        let [before, after]: [u64; 2] = [row[4].parse()?, row[5].parse()?];
        Ok(Streamed { ratio: row[3].parse()?, grown: after.saturating_sub(before) })
    }

    /// How it did behind nginx, if it was installed.
    pub(crate) fn web(&self, server: &str) -> Option<Fronted> {
        let row = self.web.iter().find(|row| row[0] == server)?;
        Some(Fronted { rate: row[1].parse().ok()?, processor: row[3].parse().ok()? })
    }

    /// Those that answer over HTTP behind nginx.
    pub(crate) fn over_http(&self) -> impl Iterator<Item = &str> {
        self.web.iter().map(|row| row[0].as_str()).filter(|name| name.ends_with("over HTTP"))
    }

    /// Nanoseconds of one of criterion's benches.
    pub(crate) fn criterion(group: &str, function: &str, input: u32) -> Result<f64, Box<dyn Error>> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or(folder().join("../target"), PathBuf::from);
        let path = target.join("criterion").join(group).join(function).join(input.to_string());
        let text = fs::read_to_string(path.join("new/estimates.json"))?;
        let estimates: serde_json::Value = serde_json::from_str(&text)?;
        Ok(estimates["median"]["point_estimate"].as_f64().ok_or("no median")?)
    }
}

/// The lines behind the first, taken apart.
fn rows(path: &Path) -> Result<Vec<Vec<String>>, Box<dyn Error>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(Into::into).collect()).collect())
}
