//! A folder of PHP scripts and of files beside them: what a path means, by this server's own look at the files, so
//! that an application is never asked to run what is no script (`/upload/x.jpg/y.php`), and no script is shown.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fcgi_proto::cgi::{PathError, decode_path};

/// What a script's name ends with: these bytes of the decoded path, no other letters that look or fold alike
/// (CVE-2026-27590, CVE-2026-45135).
const EXTENSION: &[u8] = b".php";
/// What a folder is answered by, the first that is there.
const INDEXES: [&[u8]; 2] = [b"index.php", b"index.html"];
/// The one name that begins with a dot and may be asked for (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

#[derive(Clone, Debug)]
pub(crate) struct Site {
    root: PathBuf,
    /// Where links may lead besides.
    links: Vec<PathBuf>,
    /// The path of the script that is run for what is no file.
    index: Option<Vec<u8>>,
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Script {
        /// SCRIPT_FILENAME, below the root: where it is for PHP, whatever links it is reached over.
        filename: PathBuf,
        /// SCRIPT_NAME, the path up to the script's end.
        name: Vec<u8>,
        /// PATH_INFO, what comes behind it.
        path_info: Vec<u8>,
    },
    /// A file that is no script.
    File(PathBuf),
    /// A folder with an index, without the slash at the end that its pages' links need.
    Folder,
    Nothing,
}

impl Site {
    /// The folder `root`; its symbolic links are followed within it, and to what is below one of `links`.
    ///
    /// # Errors
    /// One of them is no folder; it is in the error's text.
    pub(crate) fn new(root: OsString, links: Vec<OsString>) -> io::Result<Self> {
        let links = links.into_iter().map(|folder| real_folder("--links", folder));
        Ok(Self { root: real_folder("--root", root)?, links: links.collect::<io::Result<_>>()?, index: None })
    }

    /// Has the script with this path run for what is no file; or says why it cannot be.
    pub(crate) fn with_index(mut self, path: &str) -> Result<Self, String> {
        match self.look_for(path.as_bytes()) {
            Found::Script { name, path_info, .. } if path_info.is_empty() => self.index = Some(name),
            _ => {
                let root = self.root.display();
                return Err(format!("--index {path:?}: no script in {root}; write one's path, /index.php"));
            }
        }
        Ok(self)
    }

    /// DOCUMENT_ROOT.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What a path, percent-encoded, means.
    ///
    /// # Errors
    /// [`PathError`]: 400 for the browser.
    pub(crate) async fn find(&self, path: &str) -> Result<Found, PathError> {
        let mut decoded = vec![0; path.len()];
        let decoded = decode_path(path.as_bytes(), &mut decoded)?.to_vec();
        let site = self.clone();
        Ok(smol::unblock(move || site.find_decoded(&decoded)).await)
    }

    fn find_decoded(&self, path: &[u8]) -> Found {
        match (self.look_for(path), &self.index) {
            (Found::Nothing, Some(index)) => self.script(index, b""),
            (found, _) => found,
        }
    }

    fn look_for(&self, path: &[u8]) -> Found {
        if !path.starts_with(b"/") || path.split(|byte| *byte == b'/').any(|segment| segment == b"..") {
            return Found::Nothing;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in slashes.chain([path.len()]) {
            let (name, path_info) = path.split_at(end);
            if !name.ends_with(EXTENSION) {
                continue;
            }
            match self.real(name) {
                Some(file) if file.is_file() => return self.script(name, path_info),
                Some(folder) if folder.is_dir() => {}
                _ => return Found::Nothing,
            }
        }
        match self.real(path) {
            Some(file) if file.is_file() && is_shown(path, &file) => Found::File(self.below(path)),
            Some(folder) if folder.is_dir() => self.folder(path),
            _ => Found::Nothing,
        }
    }

    fn folder(&self, path: &[u8]) -> Found {
        let inside = path.strip_suffix(b"/");
        let names = INDEXES.map(|index| [inside.unwrap_or(path), b"/", index].concat());
        let Some(name) = names.iter().find(|name| self.real(name).is_some_and(|real| real.is_file())) else {
            return Found::Nothing;
        };
        match inside {
            Some(_) => self.look_for(name),
            None => Found::Folder,
        }
    }

    fn script(&self, name: &[u8], path_info: &[u8]) -> Found {
        Found::Script { filename: self.below(name), name: name.to_vec(), path_info: path_info.to_vec() }
    }

    /// The file with this name, by way of whatever links.
    fn below(&self, name: &[u8]) -> PathBuf {
        // A path with a slash before it would be taken for one from the machine's own root.
        let start = name.iter().position(|byte| *byte != b'/').unwrap_or(name.len());
        self.root.join(OsStr::from_bytes(&name[start..]))
    }

    /// What is there under this name, without links, if it may be asked for: nothing hidden (`.git`, `.htaccess`).
    fn real(&self, name: &[u8]) -> Option<PathBuf> {
        if name.split(|byte| *byte == b'/').any(is_hidden) {
            return None;
        }
        let below = self.below(name);
        let real = below.canonicalize().ok()?;
        if real.starts_with(&self.root) || self.links.iter().any(|links| real.starts_with(links)) {
            return Some(real);
        }
        log::warn!("{} leads to {}, outside of --root and every --links", below.display(), real.display());
        None
    }
}

fn real_folder(option: &str, folder: OsString) -> io::Result<PathBuf> {
    let folder = PathBuf::from(folder);
    let found = folder.canonicalize().and_then(|real| match real.is_dir() {
        true => Ok(real),
        false => Err(io::ErrorKind::NotADirectory.into()),
    });
    let explained = |error: io::Error| format!("{option} {}: {error}; name a folder", folder.display());
    found.map_err(|error| io::Error::new(error.kind(), explained(error)))
}

/// Whether a segment of a path is a name that is hidden. The dot alone is the folder itself.
fn is_hidden(segment: &[u8]) -> bool {
    segment.starts_with(b".") && ![b".".as_slice(), WELL_KNOWN].contains(&segment)
}

/// Whether a file may be shown: no script, under either of its names.
fn is_shown(path: &[u8], real: &Path) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let real_name = real.file_name().unwrap_or_default().as_bytes();
    !is_source(name) && !is_source(real_name)
}

/// Whether a name is that of a script, also where others would run it (`a.PHP`, `a.phtml`), or of a copy that an
/// editor leaves beside it (`a.php~`, `a.php.bak`).
fn is_source(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let is_script = |part: &str| part.starts_with("php") || ["phtml", "pht", "phar"].contains(&part);
    let mut parts = name.split('.').skip(1);
    match mime_guess::from_path(&name).is_empty() {
        true => parts.any(is_script),
        false => parts.last().is_some_and(is_script),
    }
}
