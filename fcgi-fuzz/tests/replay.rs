//! Every target with its seed corpus and with every input that once failed.

use std::fs;
use std::path::{Path, PathBuf};

use fcgi_fuzz::{TARGETS, Target};

/// The files of a target in one of the crate's folders; none if there is no such folder.
fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let entries = fs::read_dir(&folder).into_iter().flatten();
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

/// How many inputs there were.
fn replay(folder: &str, name: &str, target: Target) -> usize {
    let files = files(folder, name);
    for file in &files {
        let input = fs::read(file).expect("a readable file");
        let result = std::panic::catch_unwind(|| target(&input));
        assert!(result.is_ok(), "{name} fails with {}", file.display());
    }
    files.len()
}

#[test]
fn every_target_holds_on_its_corpus() {
    for &(name, target) in TARGETS {
        assert!(replay("corpus", name, target) > 0, "{name} has no corpus");
    }
}

#[test]
fn every_target_holds_on_what_once_failed() {
    for &(name, target) in TARGETS {
        replay("regressions", name, target);
    }
}

#[test]
fn every_target_takes_an_input_of_any_length() {
    for &(_, target) in TARGETS {
        for length in 0..64 {
            target(&vec![0; length]);
            target(&vec![0xff; length]);
        }
    }
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for folder in ["corpus", "regressions"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect(folder) {
            let name = entry.expect("a readable folder").file_name();
            assert!(TARGETS.iter().any(|(target, _)| **target == name), "{folder}/{}", name.display());
        }
    }
}
