//! Every back end and how it is started, as data.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::executable::executable;
use super::process::brought_to;
use super::site::Place;
use super::tools::{cache, cached, command, network_command, program, run};

pub(crate) struct Setup {
    pub(crate) name: &'static str,
    /// The files of `apps/` that it consists of, the script first.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Makes the application and tells how it is started, in the foreground; or why it cannot be.
    pub(crate) command: fn(&Place) -> Result<Command, String>,
    pub(crate) reach: Reach,
    /// Connections that are served at once: kept ones beyond them would wait for ever.
    pub(crate) at_once: usize,
    /// Whether a connection with KEEP_CONN is kept.
    pub(crate) keeps: bool,
    /// What becomes of `exit(42)`; None if no such thing can be said.
    pub(crate) exit_42: Option<u32>,
    /// Why nothing arrives on STDERR.
    pub(crate) no_stderr: Option<&'static str>,
    pub(crate) unknown_role: Refusal,
    /// What GET_VALUES brings.
    pub(crate) values: Values,
}

pub(crate) type Values = &'static [(&'static str, &'static str)];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Tcp,
    Unix,
}

/// What is said to a request with a role that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing: the connection closes.
    Closes,
    /// END_REQUEST with FCGI_UNKNOWN_ROLE.
    Ends { app_status: u32 },
    /// The same, after a 503 on STDOUT.
    Answers,
}

const MANY: usize = 8;

pub(crate) const PHP_FPM_ONE: Setup = Setup {
    name: "php-fpm, one child",
    files: &[
        ("app.php", include_str!("apps/app.php")),
        ("page.php", include_str!("apps/page.php")),
        ("finish.php", include_str!("apps/finish.php")),
        ("fpm.conf", include_str!("apps/fpm.conf")),
    ],
    command: |place| php_fpm(place, 1),
    reach: Reach::Tcp,
    at_once: 1,
    keeps: true,
    exit_42: Some(0),
    no_stderr: None,
    unknown_role: Refusal::Closes,
    values: &[("FCGI_MPXS_CONNS", "0")],
};

pub(crate) const PHP_FPM_MANY: Setup = Setup {
    name: "php-fpm, many children",
    command: |place| php_fpm(place, MANY),
    reach: Reach::Unix,
    at_once: MANY,
    ..PHP_FPM_ONE
};

pub(crate) const PHP_CGI: Setup = Setup {
    name: "php-cgi -b",
    command: php_cgi,
    values: &[("FCGI_MAX_CONNS", "1"), ("FCGI_MAX_REQS", "1"), ("FCGI_MPXS_CONNS", "0")],
    ..PHP_FPM_ONE
};

pub(crate) const LIBFCGI_ONE: Setup = Setup {
    name: "libfcgi, one process",
    files: &[("app.c", include_str!("apps/app.c"))],
    command: |place| libfcgi(place, 1),
    reach: Reach::Unix,
    at_once: 1,
    keeps: true,
    exit_42: Some(42),
    no_stderr: None,
    unknown_role: Refusal::Closes,
    // It answers a record without padding only when the next one arrives.
    values: &[("FCGI_MAX_CONNS", "1"), ("FCGI_MAX_REQS", "1"), ("FCGI_MPXS_CONNS", "0")],
};

pub(crate) const LIBFCGI_MANY: Setup = Setup {
    name: "libfcgi, many processes",
    command: |place| libfcgi(place, MANY),
    reach: Reach::Tcp,
    at_once: MANY,
    ..LIBFCGI_ONE
};

pub(crate) const GO: Setup = Setup {
    name: "Go net/http/fcgi",
    files: &[("app.go", include_str!("apps/app.go"))],
    command: go,
    reach: Reach::Tcp,
    at_once: usize::MAX,
    keeps: true,
    exit_42: None,
    no_stderr: Some("the package gives handlers no STDERR"),
    unknown_role: Refusal::Ends { app_status: 0 },
    values: &[("FCGI_MPXS_CONNS", "1")],
};

pub(crate) const PERL: Setup = Setup {
    name: "Perl FCGI",
    files: &[("app.pl", include_str!("apps/app.pl"))],
    command: perl,
    exit_42: None,
    ..LIBFCGI_ONE
};

pub(crate) const FLUP: Setup = Setup {
    name: "flup on Python 3",
    files: &[("app.py", include_str!("apps/app.py"))],
    command: flup,
    // Over TCP, its small writes wait for each other's acknowledgement.
    reach: Reach::Unix,
    no_stderr: Some("it fails on text, and leaves the request without an end"),
    // It looks for text where it has bytes.
    values: &[],
    ..GO
};

pub(crate) const NODE: Setup = Setup {
    name: "node-fastcgi",
    files: &[("app.js", include_str!("apps/app.js"))],
    command: node,
    reach: Reach::Unix,
    keeps: false,
    no_stderr: None,
    unknown_role: Refusal::Ends { app_status: 1 },
    values: &[("FCGI_MAX_CONNS", "2000"), ("FCGI_MAX_REQS", "2000"), ("FCGI_MPXS_CONNS", "1")],
    ..GO
};

pub(crate) const FCGIWRAP: Setup = Setup {
    name: "fcgiwrap",
    files: &[("app.sh", include_str!("apps/app.sh"))],
    command: fcgiwrap,
    at_once: MANY,
    exit_42: Some(0),
    ..LIBFCGI_ONE
};

pub(crate) const INSPECT_TCP: Setup = Setup {
    name: "inspect",
    files: &[],
    command: |place| {
        let mut command = command(&brought_to(&place.dir, &inspect()));
        command.arg(&place.address);
        Ok(command)
    },
    reach: Reach::Tcp,
    at_once: usize::MAX,
    keeps: true,
    exit_42: Some(42),
    no_stderr: None,
    unknown_role: Refusal::Answers,
    values: &[("FCGI_MAX_CONNS", "512"), ("FCGI_MAX_REQS", "512"), ("FCGI_MPXS_CONNS", "0")],
};

pub(crate) const INSPECT_SPAWNED: Setup = Setup {
    name: "inspect, spawned",
    command: |place| spawned(place, &brought_to(&place.dir, &inspect()), &[]),
    reach: Reach::Unix,
    ..INSPECT_TCP
};

fn inspect() -> PathBuf {
    executable("fcgi-blocking", "inspect")
}

fn php_fpm(place: &Place, children: usize) -> Result<Command, String> {
    let config = place.dir.join("fpm.conf");
    let text = std::fs::read_to_string(&config).expect("the file was written");
    let listen = place.address.strip_prefix("unix:").unwrap_or(&place.address);
    let text = text.replace("{listen}", listen).replace("{children}", &children.to_string());
    std::fs::write(&config, text).expect("the file can be written");
    let mut fpm = command(&program(&["php-fpm", "php-fpm8.4", "php-fpm8.3", "php-fpm8.2"])?);
    fpm.args(["-n", "--nodaemonize", "--fpm-config"]).arg(config);
    Ok(fpm)
}

fn php_cgi(place: &Place) -> Result<Command, String> {
    let mut php = command(&program(&["php-cgi"])?);
    // After 500 requests it would end.
    php.args(["-n", "-b", &place.address]).env("PHP_FCGI_MAX_REQUESTS", "0");
    Ok(php)
}

fn libfcgi(place: &Place, processes: usize) -> Result<Command, String> {
    let app = place.dir.join("app");
    let mut gcc = command(&program(&["gcc", "cc"])?);
    run(gcc.args(["-O1", "-Wall", "-Werror", "-o"]).args([&app, &place.script]).arg("-lfcgi"))?;
    spawned(place, &app, &[&processes.to_string()])
}

fn go(place: &Place) -> Result<Command, String> {
    let app = place.dir.join("app");
    let mut go = command(&program(&["go"])?);
    go.env("GOCACHE", cache()?.join("go")).env("GOPATH", &place.dir);
    go.env("GO111MODULE", "off").env("GOTOOLCHAIN", "local").env("GOPROXY", "off");
    run(go.args(["build", "-o"]).args([&app, &place.script]))?;
    let mut app = command(&app);
    app.arg(&place.address);
    Ok(app)
}

fn perl(place: &Place) -> Result<Command, String> {
    let perl = program(&["perl"])?;
    run(command(&perl).args(["-MFCGI", "-e", "1"]))?;
    spawned(place, &perl, &["app.pl"])
}

fn flup(place: &Place) -> Result<Command, String> {
    let python = program(&["python3"])?;
    let folder = cached("flup6-1.1.1", |folder| {
        run(command(&python).args(["-m", "venv"]).arg(folder))?;
        let mut pip = network_command(&folder.join("bin/python"));
        run(pip.args(["-m", "pip", "install", "--no-deps", "flup6==1.1.1"]))
    })?;
    let mut python = command(&folder.join("bin/python"));
    python.arg(&place.script).arg(place.port_or_path());
    Ok(python)
}

fn node(place: &Place) -> Result<Command, String> {
    let node = program(&["node", "nodejs"])?;
    let folder = cached("node-fastcgi-2.0.0", |folder| {
        let mut npm = network_command(&program(&["npm"])?);
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
        run(npm.args(["node-fastcgi@2.0.0", "fastcgi-stream@1.0.0", "bufferlist@0.1.0"]))
    })?;
    let mut node = command(&node);
    node.env("NODE_PATH", folder.join("node_modules")).arg(&place.script).arg(place.port_or_path());
    Ok(node)
}

fn fcgiwrap(place: &Place) -> Result<Command, String> {
    spawned(place, &program(&["fcgiwrap"])?, &["-f", "-c", &MANY.to_string()])
}

/// A command that starts `program` with a listening socket on descriptor 0.
fn spawned(place: &Place, app: &Path, arguments: &[&str]) -> Result<Command, String> {
    let mut spawn = command(&program(&["spawn-fcgi"])?);
    spawn.arg("-n");
    match place.reach {
        Reach::Tcp => spawn.args(["-a", "127.0.0.1", "-p", place.port_or_path()]),
        Reach::Unix => spawn.args(["-s", place.port_or_path()]),
    };
    spawn.arg("--").arg(app).args(arguments);
    Ok(spawn)
}
