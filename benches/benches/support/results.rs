//! Where figures go: a file of comma-separated values for each bench in `results`, and the terminal.

use std::fs;
use std::path::Path;

/// A table in the making.
pub(crate) struct Results {
    name: &'static str,
    lines: Vec<String>,
}

impl Results {
    pub(crate) fn new(name: &'static str, columns: &str) -> Self {
        println!("{columns}");
        Self { name, lines: vec![columns.into()] }
    }

    pub(crate) fn add(&mut self, line: String) {
        println!("{line}");
        self.lines.push(line);
    }

    /// Writes the file, unless this is a test, whose figures mean nothing.
    pub(crate) fn save(self) {
        if super::is_test() {
            return;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
        fs::create_dir_all(&folder).expect("the folder can be made");
        let text = self.lines.join("\n") + "\n";
        fs::write(folder.join(self.name).with_extension("csv"), text).expect("the file can be written");
    }
}

/// The one in the middle of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
