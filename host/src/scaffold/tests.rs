//! What `lb policy new` writes and refuses. What the projects build is tried where their tools are.

use super::*;
use crate::policy::Runtime;

/// A directory that goes with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(test: &str) -> Temporary {
        let path = std::env::temp_dir().join(format!("lb-scaffold-{test}-{}", std::process::id()));
        fs::create_dir(&path).expect("a directory of its own");
        Temporary(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_language_has_a_readme_a_test_and_the_whole_interface() {
    let temporary = Temporary::new("complete");
    for language in Language::value_variants() {
        let name = format!("p-{language:?}").to_lowercase();
        let project = create(&temporary.0, &name, *language).expect("a project");
        let files = files(&project);
        let named = |part: &str| files.iter().any(|path| path.to_string_lossy().contains(part));
        assert!(named("README.md") && named(".gitignore") && named("wit/world.wit"), "{files:?}");
        for file in &files {
            let contents = fs::read(file).expect("readable");
            assert!(!String::from_utf8_lossy(&contents).contains("{{name"), "{}", file.display());
        }
        let readme = fs::read_to_string(project.join("README.md")).expect("a readme");
        assert!(readme.contains(&format!("{name}.wasm")) && readme.contains("\n    "), "{readme}");
        // Zig's stand beside what they test.
        assert!(named("test") || *language == Language::Zig, "{files:?}");
    }
}

#[test]
fn what_is_written_in_text_form_is_a_policy() {
    let temporary = Temporary::new("text");
    let project = create(&temporary.0, "in-turn", Language::Wat).expect("a project");
    let module = wat::parse_file(project.join("policy.wat")).expect("it assembles");
    let policy = Runtime::new(None).expect("WebAssembly runs here").load_bytes(&module).expect("a policy");
    assert_eq!(policy.description().name, "in-turn");
    assert_eq!(policy.worlds(), ["balancing"]);
}

#[test]
fn a_rust_project_has_all_of_the_crate() {
    let temporary = Temporary::new("crate");
    let project = create(&temporary.0, "p", Language::Rust).expect("a project");
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/guest"));
    for file in files(source) {
        let path = file.strip_prefix(source).expect("below it");
        if !path.ends_with("tests.rs") {
            assert!(project.join("lb-policy").join(path).is_file(), "{}", path.display());
        }
    }
}

#[test]
fn names_that_would_not_build_everywhere_are_refused() {
    let temporary = Temporary::new("names");
    let long = "a".repeat(41);
    for name in ["", "A", "1st", "-a", "a-", "a_b", "a b", "a/b", "..", "é", "a\n", &long] {
        let error = create(&temporary.0, name, Language::C).expect_err(name);
        assert!(error.to_string().contains("lower case letters, digits and hyphens"), "{error}");
    }
    assert_eq!(files(&temporary.0).len(), 0);
    create(&temporary.0, &"a".repeat(40), Language::C).expect("a project");
}

#[test]
fn nothing_is_overwritten() {
    let temporary = Temporary::new("existing");
    fs::write(temporary.0.join("p"), "mine").expect("written");
    let error = create(&temporary.0, "p", Language::Js).expect_err("it is there");
    assert!(
        error.to_string().ends_with("is there already, and nothing is overwritten: take another name"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(temporary.0.join("p")).expect("still there"), "mine");
    let error = create(&temporary.0.join("nowhere"), "p", Language::Js).expect_err("no such directory");
    assert!(matches!(error, Error::Write(..)), "{error}");
}
