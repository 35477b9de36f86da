//! A folder of PHP scripts: which one a path means, by this server's own look at the files, so that an
//! application is never asked to run what is none (`/upload/x.jpg/y.php`).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fcgi_proto::cgi::{PathError, decode_path};

/// What a script's name ends with: these bytes of the decoded path, no other letters that look or fold alike
/// (CVE-2026-27590, CVE-2026-45135).
const EXTENSION: &[u8] = b".php";
/// What a folder is answered by.
const INDEX: &[u8] = b"index.php";

#[derive(Clone, Debug)]
pub(crate) struct Site {
    root: PathBuf,
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Script {
        /// The file, without symbolic links.
        filename: PathBuf,
        /// SCRIPT_NAME, the path up to the script's end.
        name: Vec<u8>,
        /// PATH_INFO, what comes behind it.
        path_info: Vec<u8>,
    },
    /// A folder, without the slash at the end that its pages' links need.
    Folder,
    Nothing,
}

impl Site {
    pub(crate) fn new(root: impl Into<OsString>) -> io::Result<Self> {
        let root = PathBuf::from(root.into());
        let found = root.canonicalize().and_then(|root| match root.is_dir() {
            true => Ok(root),
            false => Err(io::ErrorKind::NotADirectory.into()),
        });
        let root =
            found.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", root.display())))?;
        Ok(Self { root })
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
        Ok(smol::unblock(move || site.look_for(decoded)).await)
    }

    fn look_for(&self, path: Vec<u8>) -> Found {
        if path.split(|byte| *byte == b'/').any(|segment| segment == b"..") {
            return Found::Nothing;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in slashes.chain([path.len()]) {
            let (name, path_info) = path.split_at(end);
            if !name.ends_with(EXTENSION) {
                continue;
            }
            match self.real(name) {
                Some(filename) if filename.is_file() => {
                    return Found::Script { filename, name: name.to_vec(), path_info: path_info.to_vec() };
                }
                Some(folder) if folder.is_dir() => {}
                _ => return Found::Nothing,
            }
        }
        if !self.real(&path).is_some_and(|real| real.is_dir()) {
            return Found::Nothing;
        }
        if !path.ends_with(b"/") {
            return Found::Folder;
        }
        let name = [&path, INDEX].concat();
        match self.real(&name) {
            Some(filename) if filename.is_file() => Found::Script { filename, name, path_info: Vec::new() },
            _ => Found::Nothing,
        }
    }

    /// What is there under this name, unless that is outside of the root.
    fn real(&self, name: &[u8]) -> Option<PathBuf> {
        // A path with a slash before it would be taken for one from the machine's own root.
        let start = name.iter().position(|byte| *byte != b'/').unwrap_or(name.len());
        let real = self.root.join(OsStr::from_bytes(&name[start..])).canonicalize().ok()?;
        real.starts_with(&self.root).then_some(real)
    }
}
