//! The tables of `README.md` in this folder are true: no row is without a test or a reason why there is none,
//! every test that a row names is there, and a test that carries a rule's id stands in that rule's row.

use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("README.md");

/// The rows of the tables of tests: the first cell and the last.
fn rows() -> Vec<(&'static str, &'static str)> {
    let mut rows = Vec::new();
    let mut of_tests = false;
    for line in README.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells[..] {
            [_, _, "Tests"] => of_tests = true,
            _ if !line.starts_with('|') => of_tests = false,
            [id, _, tests] if of_tests => rows.push((id, tests)),
            _ => assert!(!of_tests || line.starts_with("|---"), "not three cells: {line}"),
        }
    }
    rows
}

fn is_reason(cell: &str) -> bool {
    cell.strip_prefix("none: ").is_some_and(|reason| reason.len() > 10)
}

/// The tests `crate::file::name` that a cell lists.
fn tests(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(", ").map(move |test| {
        let test = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
        test.unwrap_or_else(|| panic!("neither tests nor a reason: {cell}"))
    })
}

/// The tests of a file, those of its table `rows!` too.
fn tests_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let after = text.split("#[test]").skip(1);
    let names = after.filter_map(|after| after.split_once("fn ")?.1.split_once('('));
    let table = text.split_once("rows! {\n").map_or("", |(_, table)| table);
    let rows = table.lines().filter_map(|line| line.trim().split_once(": "));
    let rows =
        rows.filter(|(_, applications)| applications.starts_with(|first: char| first.is_ascii_digit()));
    names.chain(rows).map(|(name, _)| name.to_owned()).collect()
}

/// Where a crate's file `a::b` may be.
fn files(of_crate: &str, file: &str) -> [PathBuf; 3] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of_crate.replace('_', "-"));
    let file = file.replace("::", "/");
    ["tests/{}.rs", "src/{}.rs", "src/{}/mod.rs"].map(|place| folder.join(place.replace("{}", &file)))
}

fn exists(test: &str) -> bool {
    let Some((of_crate, (file, name))) =
        test.split_once("::").and_then(|(of_crate, rest)| Some((of_crate, rest.rsplit_once("::")?)))
    else {
        return false;
    };
    files(of_crate, file).iter().any(|file| tests_of(file).iter().any(|found| found == name))
}

#[test]
fn every_row_has_tests_that_exist_or_a_reason() {
    let rows = rows();
    assert!(rows.len() > 180, "{} rows", rows.len());
    for (id, cell) in rows {
        assert!(is_reason(cell) || tests(cell).all(exists), "{id}: {cell}");
    }
}

#[test]
fn no_rule_has_two_rows() {
    let mut ids: Vec<_> = rows().into_iter().filter(|(id, _)| !id.contains("measured")).collect();
    ids.sort_unstable();
    for pair in ids.windows(2) {
        assert_ne!(pair[0].0, pair[1].0);
    }
}

#[test]
fn every_test_that_carries_a_rules_id_stands_in_its_row() {
    let rows = rows();
    let mut found = 0;
    for (of_crate, file) in [
        ("fcgi_proto", "conformance"),
        ("fcgi_proto", "client_conformance"),
        ("fcgi_blocking", "conformance"),
        ("fcgi_blocking", "servers::conformance"),
        ("fcgi_blocking", "process"),
    ] {
        for name in files(of_crate, file).iter().flat_map(|file| tests_of(file)) {
            let is_id = |part: &&str| match part.as_bytes() {
                [b'a'..=b'z', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
                _ => false,
            };
            for id in name.split('_').take_while(is_id) {
                let row = rows.iter().find(|(row, _)| *row == id.to_uppercase());
                let test = format!("{of_crate}::{file}::{name}");
                assert!(
                    row.is_some_and(|(_, cell)| tests(cell).any(|listed| listed == test)),
                    "{id}: {test}"
                );
                found += 1;
            }
        }
    }
    assert!(found > 200, "{found} tests");
}

#[test]
fn every_test_of_a_session_stands_in_the_row_of_a_decision() {
    let rows = rows();
    let mut found = 0;
    for part in ["start", "input", "output", "end", "limits", "close", "properties", "memory"] {
        let file = format!("session_{part}");
        for name in files("fcgi_proto", &file).iter().flat_map(|file| tests_of(file)) {
            let test = format!("fcgi_proto::{file}::{name}");
            let listed =
                |(id, cell): &&(&str, &str)| id.starts_with('L') && tests(cell).any(|listed| listed == test);
            assert_eq!(rows.iter().filter(listed).count(), 1, "{test}");
            found += 1;
        }
    }
    assert!(found > 170, "{found} tests");
}

#[test]
fn what_is_not_there_is_not_found() {
    assert!(exists("fcgi_proto::tables::what_is_not_there_is_not_found"));
    assert!(exists("fcgi_proto::process::c2_a_listed_peer_is_let_in_and_no_other"));
    assert!(exists("fcgi_smol::pool::choice::eight_connects_that_fail_together_are_one_failure"));
    for test in ["", "fcgi_proto", "fcgi_proto::tables", "fcgi_proto::tables::rows", "fcgi_proto::none::rows"]
    {
        assert!(!exists(test), "{test}");
    }
    assert!(!is_reason("none: ") && !is_reason("`fcgi_proto::size::a`"));
}
