//! Whatever the text: it is loaded or refused with a message, and nothing panics, reading or rendering.

use lb_host::config;
use lb_host::config::keys;
use proptest::prelude::*;

const DEFAULT: &str = include_str!("../../../lb.toml");

/// A file with most of the language in it.
const RICH: &str = r#"
[global]
nbthread = 2
log = ["stdout", { target = "udp@[::1]:514", format = "rfc5424", level = "info" }]
tune = { bufsize = "32k", maxhdr = 50 }
[defaults]
timeout = { connect = "5s", client = "10s", server = "10s", queue = "250ms" }
default_server = { check = true, inter = "1s", fall = 1 }
[frontends.web]
bind = ["*:80-81", "[::1]:82", { address = "unix@/run/lb.sock", maxconn = 3 }, "fd@3"]
default_backend = "app"
forwardfor = { except = ["10.0.0.0/8"], header = "x-client" }
[backends.app]
balance = [{ policy = "./mine.wasm", share = 0.5, names = ["é"] }, "source"]
httpchk = { uri = "/status", headers = { host = "app" }, expect = [200, "300-399"] }
cookie = { name = "SERVER", maxidle = "30m" }
servers = [{ name = "a", address = "web-a:80", labels = { zone = "eu" } }, { name = "b", address = "[::1]:80" }]
"#;

/// Pieces that mean something somewhere.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\r\n",
    "#",
    "-",
    "0",
    "9999999999999999999999",
    "\"\"",
    "true",
    "nan",
    "1e999",
    "0x",
    "1979-05-27",
    "{}",
    "[]",
    "\\",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "𝄞",
    "\t",
    ":",
    "::",
    "-5s",
    "5",
    "unix@",
    "fd@",
    "*:",
    "/33",
    "servers",
    "policy",
    "\"\"\"",
];

#[derive(Debug, Clone)]
enum Edit {
    Insert(usize, String),
    Delete(usize, usize),
    DoubleLine(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let words: Vec<String> = PIECES
        .iter()
        .map(|piece| piece.to_string())
        .chain(keys::all().map(|key| format!("{} = ", key.name)))
        .collect();
    prop_oneof![
        (any::<usize>(), prop::sample::select(words)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Edit::Delete(at, length)),
        any::<usize>().prop_map(Edit::DoubleLine),
    ]
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits {
        let place = |at: usize| text.floor_char_boundary(at % (text.len() + 1));
        match edit {
            Edit::Insert(at, piece) => text.insert_str(place(*at), piece),
            Edit::Delete(at, length) => {
                let start = place(*at);
                let end = text.floor_char_boundary((start + length).min(text.len()));
                text.replace_range(start..end, "");
            }
            Edit::DoubleLine(at) => {
                let line = text.lines().nth(at % text.lines().count().max(1)).unwrap_or("").to_owned();
                text += &format!("\n{line}");
            }
        }
    }
    text
}

/// Reads and renders; a text that is refused has a reason, which is an error.
fn survive(text: &str) {
    let diagnostics = match config::parse(text, "lb.toml") {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => {
            assert!(diagnostics.has_errors());
            diagnostics
        }
    };
    diagnostics.render(false);
    diagnostics.render(true);
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics(rich: bool, edits in prop::collection::vec(edit(), 1..6)) {
        survive(&edited(if rich { RICH } else { DEFAULT }, &edits));
    }

    #[test]
    fn any_text_never_panics(text: String) {
        survive(&text);
    }

    #[test]
    fn any_string_in_the_place_of_any_value_never_panics(key in prop::sample::select(keys::all().collect::<Vec<_>>()), text: String) {
        for scope in key.scopes {
            let header = match scope {
                keys::Scope::File => "",
                keys::Scope::Global => "[global]",
                keys::Scope::Defaults => "[defaults]",
                keys::Scope::DefaultServer => "[defaults.default_server]",
                keys::Scope::Frontend => "[frontends.web]",
                keys::Scope::Backend => "[backends.app]",
                keys::Scope::Server => "[[backends.app.servers]]",
                keys::Scope::Template => "[backends.app.servers]",
                keys::Scope::Resolvers => "[resolvers.dns]",
                keys::Scope::Rule => "[[frontends.web.rules]]",
                keys::Scope::Condition => "[[frontends.web.rules]]\n[frontends.web.rules.when]",
            };
            survive(&format!("{header}\n{} = {text:?}", key.name));
        }
    }
}

#[test]
fn the_rich_file_is_right_to_begin_with() {
    config::parse(RICH, "lb.toml").unwrap();
}

#[test]
fn a_file_that_cannot_be_read_or_is_no_text_says_so() {
    let missing = config::load(std::path::Path::new("no/such/lb.toml")).unwrap_err();
    assert!(missing.to_string().contains("cannot read the file"), "{missing}");

    let path = std::env::temp_dir().join(format!("lb-not-utf8-{}.toml", std::process::id()));
    std::fs::write(&path, b"[global]\nmaxconn = \xff\n").unwrap();
    let binary = config::load(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(binary.contains("this is not UTF-8") && binary.contains(":2:11"), "{binary}");
}
