//! The READMEs show the configuration that the interoperability tests run, and programs that compile.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_readme_shows_every_configuration_file_as_it_is_tested() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(package.join("../README.md")).expect("the README is readable");
    let mut files = 0;
    for entry in fs::read_dir(package.join("conf")).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        let text = fs::read_to_string(&path).expect("the file is readable");
        let fenced = format!("\n{text}```\n");
        assert!(readme.contains(&fenced), "{} is not in the README as it is", path.display());
        files += 1;
    }
    assert!(files >= 5, "{files} configuration files");
}

/// The crates' are doc tests.
#[test]
fn each_program_of_the_workspaces_readme_is_one_of_a_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("the README is readable");
    let crates = ["fcgi-blocking", "fcgi-smol"].map(|of| read(&format!("{of}/README.md"))).concat();
    let readme = read("README.md");
    let programs: Vec<&str> =
        readme.split("```rust").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(programs.len() >= 5, "{} programs", programs.len());
    for program in programs {
        assert!(crates.contains(program), "no crate's README has this:\n{program}");
    }
}

#[test]
fn no_crates_readme_links_to_what_is_only_in_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for of in ["fcgi-proto", "fcgi-blocking", "fcgi-smol"] {
        let readme = fs::read_to_string(root.join(of).join("README.md")).expect("the README is readable");
        let links: Vec<&str> = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!links.is_empty(), "{of}");
        assert!(links.iter().all(|link| link.starts_with("https://docs.rs/fcgi-")), "{of}: {links:?}");
    }
}

/// The files with this ending in a folder and those in it, but for what is built or fetched.
fn files_of(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match path.is_dir() {
                true if name != "target" && !name.starts_with('.') => folders.push(path),
                false if name.ends_with(ending) => files.push(path),
                _ => {}
            }
        }
    }
    files
}

/// The lines of a page that are no code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    page.split("```").step_by(2).flat_map(str::lines)
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let letters = |heading: &str| {
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(letters).collect()
}

#[test]
fn each_link_of_a_page_leads_to_a_file_or_a_heading_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (pages, mut dead) = (files_of(&root, ".md"), Vec::new());
    let mut links = 0;
    for page in &pages {
        let text = fs::read_to_string(page).expect("the page is readable");
        let targets = prose(&text).flat_map(|line| line.split("](").skip(1));
        for target in targets.filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            let has_anchor = || {
                let text = fs::read_to_string(&file).unwrap_or_default();
                anchors(&text).iter().any(|found| found == anchor)
            };
            if !file.exists() || !(anchor.is_empty() || has_anchor()) {
                dead.push(format!("{}: {target}", page.display()));
            }
            links += 1;
        }
    }
    assert!(pages.len() >= 9 && links >= 15, "{links} links on {} pages", pages.len());
    assert!(dead.is_empty(), "{dead:#?}");
}

/// The lines `name = …` of a table of dependencies: the name, and what of the rest is a version.
fn dependencies(lines: &str) -> Vec<(&str, &str)> {
    let lines = lines.lines().filter_map(|line| line.split_once(" = "));
    lines
        .filter_map(|(name, rest)| Some((name, rest.split('"').find(|text| !text.contains(['{', ' ']))?)))
        .collect()
}

#[test]
fn the_readmes_programs_name_their_crates_in_the_versions_that_they_are_tested_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("it is readable");
    let (workspace, smol) = (read("Cargo.toml"), read("fcgi-smol/Cargo.toml"));
    let tested = [dependencies(&workspace), dependencies(&smol)].concat();
    let readme = read("README.md");
    let crates = ["fcgi-blocking", "fcgi-smol"].map(|of| read(&format!("{of}/README.md"))).concat();
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        assert!(crates.contains(block), "no crate's README has this:\n{block}");
        for (name, version) in dependencies(block) {
            let is_tested = |(of, with): &(&str, &str)| *of == name && with.starts_with(version);
            assert!(tested.iter().any(is_tested), "{name} {version} is none of {tested:?}");
        }
    }
}
