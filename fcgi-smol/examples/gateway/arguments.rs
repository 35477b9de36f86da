//! What the command line asks for.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use fcgi_smol::{Endpoint, PoolSettings};
use lexopt::{Arg, Parser, ValueExt};

use crate::access::AccessLog;
use crate::answer::BODY_LIMIT;
use crate::listen;
use crate::site::Site;

pub(crate) const USAGE: &str = "gateway [--listen 127.0.0.1:8080] [--app ADDR]... \
    [--root DIR [--index /index.php] [--links DIR]...] [--connections N] [--queue N] [--wait SECONDS] [--keep N] \
    [--stream] [--access-log FILE]";

pub(crate) struct Arguments {
    /// Empty: nothing was asked for.
    pub(crate) listen: Vec<Endpoint>,
    pub(crate) apps: Vec<Endpoint>,
    pub(crate) site: Option<Site>,
    pub(crate) settings: PoolSettings,
    pub(crate) streams: bool,
    pub(crate) access_log: Option<AccessLog>,
}

impl Arguments {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self, Box<dyn Error>> {
        let mut settings = PoolSettings::default();
        settings.client.spool_limit = BODY_LIMIT;
        let (listen, apps) = (Vec::new(), Vec::new());
        let mut arguments = Self { listen, apps, site: None, settings, streams: false, access_log: None };
        let (mut root, mut links, mut index) = (None, Vec::new(), None);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("listen") => arguments.listen = listen::parse(&parser.value()?.string()?)?,
                Arg::Long("app") => match parser.value()?.string()?.parse()? {
                    Endpoint::Inherited => return Err("--app fd:0 is not to be connected to".into()),
                    app => arguments.apps.push(app),
                },
                Arg::Long("root") => root = Some(parser.value()?),
                Arg::Long("index") => index = Some(parser.value()?.string()?),
                Arg::Long("links") => links.push(parser.value()?),
                Arg::Long("connections") => {
                    arguments.settings.max_connections = number(&mut parser, "--connections", 1)?;
                }
                Arg::Long("queue") => arguments.settings.max_waiting = number(&mut parser, "--queue", 0)?,
                Arg::Long("wait") => {
                    let seconds = number(&mut parser, "--wait", 0)?;
                    arguments.settings.wait_timeout = Duration::from_secs(seconds as u64);
                }
                Arg::Long("keep") => arguments.settings.max_idle = number(&mut parser, "--keep", 0)?,
                Arg::Long("stream") => arguments.streams = true,
                Arg::Long("access-log") => {
                    let path = PathBuf::from(parser.value()?);
                    let log = AccessLog::open(&path);
                    let log = log.map_err(|error| format!("--access-log {}: {error}", path.display()))?;
                    arguments.access_log = Some(log);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        arguments.site = site(root, links, index)?;
        Ok(arguments)
    }
}

fn site(
    root: Option<OsString>,
    links: Vec<OsString>,
    index: Option<String>,
) -> Result<Option<Site>, Box<dyn Error>> {
    let Some(root) = root else {
        return match links.is_empty() && index.is_none() {
            true => Ok(None),
            false => Err("--index and --links are of a --root".into()),
        };
    };
    let site = Site::new(root, links)?;
    Ok(Some(match index {
        Some(index) => site.with_index(&index)?,
        None => site,
    }))
}

/// An option's number, not below the least.
fn number(parser: &mut Parser, option: &str, least: usize) -> Result<usize, Box<dyn Error>> {
    let text = parser.value()?.string()?;
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("{option} {text:?}: write a number from {least} up").into())
}
