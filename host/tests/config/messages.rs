//! What is said about wrong configurations: each `messages/NAME.toml` beside the exact message, in
//! `NAME.stderr`. `LB_BLESS=1` rewrites the messages; read the difference before you keep it.

use std::fs;
use std::path::{Path, PathBuf};

use lb_host::config;

/// What `lb check` would say about the file: warnings, or everything that is wrong.
fn message(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    match config::parse(&fs::read_to_string(path).unwrap(), name) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

fn wrong_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/messages");
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    files
}

#[test]
fn wrong_files_are_told_what_is_wrong_with_them() {
    let bless = std::env::var_os("LB_BLESS").is_some();
    let mut differing = String::new();
    for path in wrong_files() {
        let said = message(&path);
        let golden = path.with_extension("stderr");
        if bless {
            fs::write(golden, said).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            differing += &format!("{}:\n--- expected\n{expected}--- said\n{said}\n", path.display());
        }
    }
    assert!(differing.is_empty(), "{differing}\nLB_BLESS=1 rewrites the expected messages");
}

#[test]
fn every_wrong_file_is_refused_unless_its_name_says_warning() {
    for path in wrong_files() {
        let text = fs::read_to_string(&path).unwrap();
        let warning = path.file_stem().unwrap().to_str().unwrap().starts_with("warning-");
        assert_eq!(config::parse(&text, "lb.toml").is_ok(), warning, "{}", path.display());
        assert!(!message(&path).trim().is_empty(), "{}", path.display());
    }
}
