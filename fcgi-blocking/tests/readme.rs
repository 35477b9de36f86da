//! The README shows the configuration that the interoperability tests run.

use std::fs;
use std::path::Path;

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
