//! The README's configuration is typed as it stands, on this Debian: each block becomes the file that the README
//! names, its command is run, and a browser asks. Namespaces keep that from the machine's own files, addresses and
//! processes, so this runs as root, and is skipped with a line on stderr where it cannot be, or fails if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(target_os = "linux")]

#[path = "support/executable.rs"]
mod executable;
#[path = "support/skipped.rs"]
mod skipped;

use std::fs;
use std::path::Path;
use std::process::Command;

use executable::executable;
use skipped::skipped;

/// What the machine is like inside. `$dir` has the application and what is typed; `systemctl` starts the web server
/// as its package's unit does. Everything ends with this script.
const MACHINE: &str = r#"
set -eu
ip link set lo up
for host in 1 2 3; do ip address add 10.0.0.$host/32 dev lo; done
cp -a /etc /var/lib "$dir"
mkdir "$dir/html" "$dir/local"
echo 'a file' >"$dir/html/index.html"
mount --bind "$dir/etc" /etc
mount --bind "$dir/lib" /var/lib
mkdir -p /var/www/html
mount --bind "$dir/html" /var/www/html
mount --bind "$dir/bin" /usr/local/bin
mount -t tmpfs tmpfs /run
mkdir /run/lock
mount -t tmpfs tmpfs /var/log
for name in lighttpd apache2 nginx haproxy; do
  install -d -o www-data -g www-data /run/$name /var/log/$name
done
export HOME="$dir/local" XDG_CONFIG_HOME="$dir/local" XDG_DATA_HOME="$dir/local"
systemctl() {
  case "$2" in
    nginx) nginx ;;
    apache2) apachectl start ;;
    lighttpd) lighttpd -f /etc/lighttpd/lighttpd.conf ;;
    haproxy) haproxy -D -f /etc/haproxy/haproxy.cfg ;;
    caddy) caddy start --config /etc/caddy/Caddyfile >/dev/null ;;
  esac
}
ask() {
  curl -sS --max-time 20 --retry 40 --retry-connrefused --retry-delay 1 "$@" http://localhost/index.html
}
"#;

/// A block of the README: the language of its fence and its text, the words before it that name its file, and the
/// command to type.
struct Block {
    language: String,
    text: String,
    place: String,
    command: String,
}

fn blocks() -> Vec<Block> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("the README is readable");
    let (mut place, mut command, mut blocks) = (String::new(), String::new(), Vec::new());
    // Every second part lies between fences.
    for (number, part) in format!("\n{readme}").split("\n```").enumerate() {
        let Some((language, text)) = part.split_once('\n') else { continue };
        let (language, text) = (language.to_owned(), format!("{text}\n"));
        match &*language {
            _ if number % 2 == 0 => {
                if let Some(paragraph) = text
                    .split("\n\n")
                    .find(|paragraph| paragraph.contains(": ") && paragraph.contains("`/etc/"))
                {
                    place = paragraph.to_owned();
                }
            }
            "sh" => command = text,
            "nginx" | "apache" | "lighttpd" | "haproxy" | "caddy" => {
                blocks.push(Block { language, text, place: place.clone(), command: command.clone() });
            }
            _ => {}
        }
    }
    blocks
}

/// Runs a script on the machine; what it wrote, if it went well.
fn on_machine(script: &str, files: &[(&str, &str)]) -> Result<String, String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("bin")).expect("a folder");
    fs::copy(executable(env!("CARGO_PKG_NAME"), "inspect"), dir.path().join("bin/app")).expect("a copy");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    // Web servers read below it as other users.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(dir.path(), all).expect("permissions");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"]);
    let output = command.arg(format!("{MACHINE}{script}")).env("dir", dir.path()).output();
    let output = output.map_err(|error| format!("unshare: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

/// Whether there can be such a machine here, with these programs.
fn is_missing(programs: &[&str]) -> bool {
    let mut why =
        Command::new("unshare").args(["--mount", "--net", "--pid", "--fork", "true"]).output().map_or_else(
            |error| Some(format!("unshare: {error}")),
            |output| (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned()),
        );
    let folders = ["/usr/bin", "/usr/sbin"];
    for program in programs {
        if !folders.iter().any(|folder| Path::new(folder).join(program).exists()) {
            why = Some(format!("{program} is not installed"));
        }
    }
    let required = std::env::var("FCGI_REQUIRE_INTEROP").is_ok_and(|value| value == "1");
    assert!(why.is_none() || !required, "{why:?}");
    why.inspect(|why| skipped(why)).is_some()
}

fn type_all(language: &str, program: &str, expected: usize) {
    if is_missing(&[program, "curl", "ip"]) {
        return;
    }
    let blocks: Vec<Block> = blocks().into_iter().filter(|block| block.language == language).collect();
    assert_eq!(blocks.len(), expected);
    for Block { text, place, command, .. } in blocks {
        let path = place.split('`').find(|word| word.starts_with("/etc/")).expect("a file is named");
        let into = if place.contains("at the end of") { ">>" } else { ">" };
        let authorizes = text.contains("the application decides");
        let starts = text.contains("/usr/local/bin/app");
        let app = match (starts, text.contains("10.0.0.1:9000")) {
            (true, _) => "",
            (_, true) => "for host in 1 2 3; do app 10.0.0.$host:9000 & done",
            _ => "app 127.0.0.1:9000 &",
        };
        let check = match authorizes {
            true => "ask -o /dev/null -w '%{http_code} '; ask -H 'X-Token: let-me-in'",
            false => "ask",
        };
        let script = format!("{app}\ncat \"$dir/typed\" {into}{path}\n{{ {command} }} >/dev/null\n{check}\n");
        let said = on_machine(&script, &[("typed", &text)]).unwrap_or_else(|why| panic!("{text}\n{why}"));
        match authorizes {
            // mod_fcgid makes a 401 of whatever an access checker refuses with.
            true => assert!(["401 a file\n", "403 a file\n"].contains(&&*said), "{text}\n{said}"),
            false => assert!(said.contains("<title>FastCGI inspect</title>"), "{text}\n{said}"),
        }
    }
}

#[test]
fn the_readmes_blocks_for_nginx_run_as_they_stand() {
    type_all("nginx", "nginx", 3);
}

#[test]
fn the_readmes_blocks_for_apache_run_as_they_stand() {
    type_all("apache", "apache2", 3);
}

#[test]
fn the_readmes_blocks_for_lighttpd_run_as_they_stand() {
    type_all("lighttpd", "lighttpd", 3);
}

#[test]
fn the_readmes_blocks_for_haproxy_run_as_they_stand() {
    type_all("haproxy", "haproxy", 2);
}

#[test]
fn the_readmes_block_for_caddy_runs_as_it_stands() {
    type_all("caddy", "caddy", 1);
}

#[test]
fn the_readmes_units_have_systemd_hand_the_socket_over() {
    if is_missing(&["systemd-socket-activate", "systemd-analyze", "curl", "ip", "nginx"]) {
        return;
    }
    let script = r#"
cp "$dir/app.socket" "$dir/app.service" /etc/systemd/system
systemd-analyze verify app.socket app.service
value() { sed -n "s/^$1=//p" /etc/systemd/system/app.*; }
# As systemd does for the units.
systemd-socket-activate --listen "$(value ListenStream)" $(value ExecStart) &
for _ in $(seq 2000); do [ -S "$(value ListenStream)" ] && break; sleep 0.01; done
chgrp "$(value SocketGroup)" "$(value ListenStream)"
chmod "$(value SocketMode)" "$(value ListenStream)"
sed 's|127.0.0.1:9000;|unix:/run/app.sock;|' "$dir/nginx.conf" >/etc/nginx/sites-available/default
nginx
ask
"#;
    let files = [
        ("app.socket", include_str!("../conf/app.socket")),
        ("app.service", include_str!("../conf/app.service")),
        ("nginx.conf", include_str!("../conf/nginx.conf")),
    ];
    let said = on_machine(script, &files).unwrap_or_else(|why| panic!("{why}"));
    assert!(said.contains("<title>FastCGI inspect</title>"), "{said}");
}
