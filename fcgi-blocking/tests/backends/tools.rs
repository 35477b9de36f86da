//! What of this machine back ends are made with. Every error is a reason to skip.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Searched first, since what lies in someone's home cannot be run by `nobody`; and daemons lie where only
/// root's PATH leads.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// The first of these programs that is there.
pub(crate) fn program(names: &[&str]) -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders: Vec<&Path> = FOLDERS.into_iter().chain(path.split(':')).map(Path::new).collect();
    let mut programs = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.find(|path| path.is_file()).ok_or_else(|| format!("{} is not installed", names[0]))
}

/// A command whose environment holds nothing that could make a difference.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", FOLDERS.join(":"));
    command
}

/// A command that fetches something: proxies and certificates are told in the environment.
pub(crate) fn network_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_remove("NODE_OPTIONS").env_remove("PYTHONPATH");
    command
}

/// Runs `command` to its end; if it fails, what it printed has the reason.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let printed = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&printed);
    let telling = text.lines().find(|line| line.to_ascii_lowercase().contains("error"));
    let line = telling.or_else(|| text.lines().next()).unwrap_or("it failed");
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {line}")) }
}

/// Where what takes long to make is kept from run to run: beside cargo's, if anyone may go there.
pub(crate) fn cache() -> Result<PathBuf, String> {
    let open = |folder: &Path| fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 1 != 0);
    let beside_cargo = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = if beside_cargo.ancestors().all(open) {
        beside_cargo.join("backends")
    } else {
        std::env::temp_dir().join("fcgi-blocking-backends")
    };
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The folder `name` in the cache, filled by `fill` once: beside its place, for several may want it at once.
pub(crate) fn cached(name: &str, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let cache = cache()?;
    let place = cache.join(name);
    if !place.exists() {
        let reason = |error: io::Error| format!("{}: {error}", place.display());
        let folder = tempfile::tempdir_in(cache).map_err(reason)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(reason)?;
        fill(folder.path())?;
        match fs::rename(folder.path(), &place) {
            Err(error) if !place.exists() => return Err(reason(error)),
            _ => {} // another one may have been faster
        }
    }
    Ok(place)
}
