//! Where the executables of examples are. Two packages of the workspace may have examples of one name, and
//! what lies in cargo's folder of examples is the one that was built last: so cargo is asked to build the one
//! that is meant, and that is linked to a place of its package's own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The executable of a package's example, built in the profile of this test.
pub(crate) fn executable(package: &str, example: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(format!("{package} {example}")).or_insert_with(|| place(package, example)).clone()
}

fn place(package: &str, example: &str) -> PathBuf {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples").join(package);
    let folder = folder.join(profile);
    fs::create_dir_all(&folder).expect("cargo's folder can be written");
    // Until the link is made, no other test may have cargo replace what it built.
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples/lock");
    let lock = File::create(lock).expect("cargo's folder can be written");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("a file can be locked");
    let (place, new) = (folder.join(example), folder.join(format!("{example}.new")));
    let _ = fs::remove_file(&new);
    let built = build(package, example);
    fs::hard_link(&built, &new).or_else(|_| fs::copy(&built, &new).map(drop)).expect("it can be linked");
    fs::rename(&new, &place).expect("both are in one folder");
    // Renaming one name of a file to another does nothing.
    let _ = fs::remove_file(&new);
    place
}

/// Builds an example, if need be, and returns where cargo says it is.
fn build(package: &str, example: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    cargo.args(["-p", package, "--example", example]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the example {example} does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = messages.split_once("\"executable\":\"").and_then(|(_, rest)| rest.split_once('"'));
    path.expect("cargo names the executable").0.into()
}
