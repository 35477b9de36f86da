//! A disk that is full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A folder with room for 64 KiB, for everyone.
pub(crate) struct Small(TempDir);

impl Small {
    /// Or why there can be none here: only root can make one.
    pub(crate) fn new() -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let mut mount = Command::new("mount");
        let output =
            mount.args(["-t", "tmpfs", "-o", "size=64k,mode=1777", "small"]).arg(dir.path()).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(dir)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // At once, also while a program that is about to end has a file there.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}
