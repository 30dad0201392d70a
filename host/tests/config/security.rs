//! SECURITY.md names tests that hold what it says: they have to be there.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust files below a directory.
fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_the_table_of_threats_names_is_there() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(host.join("../SECURITY.md")).unwrap();
    let mut files = Vec::new();
    rust_files(&host.join("src"), &mut files);
    rust_files(&host.join("tests"), &mut files);
    // What stands between backticks and has a `::` in it.
    let named: Vec<_> =
        table.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect();
    assert!(named.len() > 30, "{} tests are named", named.len());
    for (file, test) in named {
        let in_it = |path: &&PathBuf| path.ends_with(format!("{file}.rs"));
        let is_there = files.iter().filter(in_it).any(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let starts = |line: &&str| line.starts_with(&format!("fn {test}("));
            lines.iter().position(starts).is_some_and(|at| lines[..at].ends_with(&["#[test]"]))
        });
        assert!(is_there, "{file}::{test}");
    }
    // Each threat names one at least.
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| who")) {
        assert!(line.contains("::"), "{line}");
    }
}
