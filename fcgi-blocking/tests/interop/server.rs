//! The scaffold that each web server needs around a snippet of `conf/`: ports, logs, limits, folders.

use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Nginx,
    ApacheProxyFcgi,
    ApacheFcgid,
    Lighttpd,
    HaProxy,
    Caddy,
}

use Server::{ApacheFcgid, ApacheProxyFcgi, Caddy, HaProxy, Lighttpd, Nginx};

const APACHE_MODULES: &str = "/usr/lib/apache2/modules";

impl Server {
    /// The executable, or why there is none.
    pub(crate) fn program(self) -> Result<PathBuf, String> {
        let name = match self {
            Nginx => "nginx",
            ApacheProxyFcgi | ApacheFcgid => "apache2",
            Lighttpd => "lighttpd",
            HaProxy => "haproxy",
            Caddy => "caddy",
        };
        if self == ApacheFcgid && !Path::new(APACHE_MODULES).join("mod_fcgid.so").exists() {
            return Err(format!("mod_fcgid is not installed in {APACHE_MODULES}"));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        // Distributions keep daemons where only root's PATH leads.
        let mut folders = path.split(':').chain(["/usr/local/sbin", "/usr/sbin"]);
        let program =
            folders.find_map(|folder| Some(Path::new(folder).join(name)).filter(|path| path.is_file()));
        program.ok_or_else(|| format!("{name} is not installed"))
    }

    /// What every set-up of this server edits in its snippet, as in [`super::setups::Setup::edits`].
    pub(crate) fn edits(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Nginx => &[
                ("listen 80;", "listen 127.0.0.1:{port};"),
                ("include fastcgi_params;", "include /etc/nginx/fastcgi_params;"),
            ],
            HaProxy => &[("bind :80", "bind 127.0.0.1:{port}"), ("docroot /var/www", "docroot {dir}")],
            Caddy => &[(":80 {", ":{port} {\n\tbind 127.0.0.1")],
            ApacheProxyFcgi | ApacheFcgid | Lighttpd => &[],
        }
    }

    /// A whole configuration; the same words in braces as in edits.
    pub(crate) fn config(self, snippet: &str, extra: &str) -> String {
        match self {
            Nginx => nginx(snippet, extra),
            ApacheProxyFcgi => apache(&["proxy", "proxy_fcgi"], snippet, extra),
            ApacheFcgid => apache(&["fcgid"], &format!("{FCGID}{snippet}"), extra),
            Lighttpd => format!("{LIGHTTPD}{snippet}{extra}\n"),
            HaProxy => format!("{HAPROXY}{snippet}{extra}\n"),
            Caddy => format!("{CADDY}{snippet}{extra}\n"),
        }
    }

    /// The command that runs the server in the foreground, its errors on stderr or in `{dir}/web.log`.
    pub(crate) fn command(self, program: &Path, dir: &Path, config: &Path) -> Command {
        let mut command = Command::new(program);
        match self {
            Nginx => command.arg("-p").arg(dir).args(["-e", "stderr", "-c"]).arg(config),
            ApacheProxyFcgi | ApacheFcgid => command.args(["-D", "FOREGROUND", "-f"]).arg(config),
            Lighttpd => command.args(["-D", "-f"]).arg(config),
            HaProxy => command.args(["-db", "-f"]).arg(config),
            Caddy => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config),
        };
        // Caddy writes what it remembers below these.
        command.current_dir(dir).env("HOME", dir).env("XDG_CONFIG_HOME", dir).env("XDG_DATA_HOME", dir);
        command
    }
}

fn nginx(snippet: &str, extra: &str) -> String {
    // `user` is missing: nginx is started as the user that it shall run as.
    format!(
        "daemon off;
pid {{dir}}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_max_body_size 0;
    large_client_header_buffers 16 64k;
    client_body_temp_path {{dir}}/body;
    fastcgi_temp_path {{dir}}/fastcgi;
    proxy_temp_path {{dir}}/proxy;
    scgi_temp_path {{dir}}/scgi;
    uwsgi_temp_path {{dir}}/uwsgi;
    {extra}
{snippet}}}
"
    )
}

fn apache(modules: &[&str], snippet: &str, extra: &str) -> String {
    let load = |name: &&str| format!("LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n");
    let modules: String = ["mpm_event", "authz_core"].iter().chain(modules).map(load).collect();
    // One child of many threads, so that a kept connection is always found again.
    format!(
        "{modules}ServerRoot {{dir}}
DefaultRuntimeDir {{dir}}
PidFile {{dir}}/httpd.pid
ErrorLog {{dir}}/web.log
ServerName localhost
Listen 127.0.0.1:{{port}}
StartServers 1
ServerLimit 1
ThreadsPerChild 32
MaxRequestWorkers 32
MaxKeepAliveRequests 0
KeepAliveTimeout 1
LimitRequestFieldSize 65536
{extra}
{snippet}"
    )
}

/// At this level, mod_fcgid tells how its applications end.
const FCGID: &str = "\
FcgidIPCDir {dir}/fcgid
FcgidProcessTableFile {dir}/fcgid.shm
LogLevel fcgid:info
";

const LIGHTTPD: &str = "\
server.bind = \"127.0.0.1\"
server.port = {port}
server.errorlog = \"{dir}/web.log\"
server.upload-dirs = ( \"{dir}\" )
server.max-keep-alive-requests = 1000
server.max-request-field-size = 65535
server.document-root = \"{dir}/www\"
";

const HAPROXY: &str = "\
global
    log stdout format raw local0
";

const CADDY: &str = "\
{
	admin off
	auto_https off
}
";
