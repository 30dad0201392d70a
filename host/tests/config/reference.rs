//! The reference of every key, `docs/configuration.md`: made from the key table, which these tests hold to what
//! is really read. `LB_BLESS=1` rewrites it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use lb_host::config;
use lb_host::config::keys::{self, Key, Scope};

const INTRODUCTION: &str = r#"# The configuration of lb

`lb.toml` is TOML with HAProxy's words. `lb check` says whether a file is right, and where it is not: every unknown
key, wrong type, dangling name and impossible value, with line and column. What a section does not say, it takes over
from `[defaults]`, key by key; what that does not say either, is as in HAProxy.

- A **duration** is a whole number and a unit: `500us`, `250ms`, `5s`, `1m`, `2h`, `1d`.
- A **size** is a number of bytes, or a string with a unit: `16384`, `"16k"`, `"1m"`.
- A **path** is relative to the directory of the file that it stands in.
- A **policy** is a WebAssembly component: one of the built-in ones by its name, or a file by its path.
- A key in a table, as `timeout.client`, can be written in each of TOML's ways: `timeout.client = "10s"`,
  `timeout = { client = "10s" }`, or under a header of its own, `[defaults.timeout]`.

This text is made from the table of keys that the program reads by.
"#;

/// The sections of a file that is right, with keys that an example may replace.
const BASE: &[(Scope, &str, &[&str])] = &[
    (Scope::Global, "[global]", &[]),
    (Scope::Defaults, "[defaults]", &[]),
    (Scope::Frontend, "[frontends.web]", &["bind = \"*:80\"", "default_backend = \"app\""]),
    (Scope::Backend, "[backends.app]", &["servers = [{ name = \"a\", address = \"10.0.0.1:80\" }]"]),
];

/// That file with these `lines` in a section of this kind.
fn file_with(scope: Scope, lines: &str) -> String {
    let table = |line: &str| line.trim_matches('[').split(['=', '.', ' ', ']']).next().unwrap().to_owned();
    let said: Vec<_> = lines.lines().map(table).collect();
    let unsaid = |keys: &[&'static str]| {
        keys.iter().copied().filter(|key| !said.contains(&table(key))).collect::<Vec<_>>().join("\n")
    };
    let mut file = String::new();
    for (section, header, keys) in BASE {
        let inside = match scope {
            Scope::File if said.contains(&table(header)) => continue,
            Scope::Server if *section == Scope::Backend => {
                let rest = unsaid(&["name = \"a\"", "address = \"10.0.0.1:80\""]);
                format!("[[backends.app.servers]]\n{rest}\n{lines}")
            }
            Scope::DefaultServer if *section == Scope::Defaults => {
                format!("[defaults.default_server]\n{lines}")
            }
            Scope::Rule if *section == Scope::Frontend => {
                format!("{}\n[[frontends.web.rules]]\n{lines}", keys.join("\n"))
            }
            Scope::Condition if *section == Scope::Frontend => {
                let rule = "[[frontends.web.rules]]\ndeny = true\n[frontends.web.rules.when]";
                format!("{}\n{rule}\n{lines}", keys.join("\n"))
            }
            _ if *section == scope => format!("{}\n{lines}", unsaid(keys)),
            _ => keys.join("\n"),
        };
        file += &format!("{header}\n{inside}\n");
    }
    if scope == Scope::File { format!("{lines}\n{file}") } else { file }
}

#[test]
fn every_example_is_right() {
    for key in keys::all() {
        let file = file_with(key.scopes[0], key.example);
        assert!(file.contains(key.example));
        if let Err(diagnostics) = config::parse(&file, "lb.toml") {
            panic!("the example of {}:\n{file}\n{diagnostics}", key.name);
        }
    }
}

/// A key that is in the table but that no code asks for would be accepted and then do nothing.
#[test]
fn every_key_is_really_read() {
    let unfit = "1979-05-27";
    for key in keys::all() {
        for scope in key.scopes {
            let file = file_with(*scope, &format!("{} = {unfit}", key.name));
            let refused = config::parse(&file, "lb.toml").is_err_and(|diagnostics| {
                diagnostics
                    .problems()
                    .iter()
                    .any(|problem| problem.span.clone().map(|span| &file[span]) == Some(unfit))
            });
            assert!(refused, "{} in {} can be anything:\n{file}", key.name, scope.written());
        }
    }
}

#[test]
fn no_section_has_a_key_twice() {
    for scope in Scope::ALL {
        for key in keys::of(scope) {
            assert_eq!(keys::of(scope).filter(|other| other.name == key.name).count(), 1, "{}", key.name);
        }
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let made = reference();
    if std::env::var_os("LB_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/configuration.md is not what the key table says; LB_BLESS=1 makes it anew"
    );
}

fn reference() -> String {
    let anchors = anchors();
    let mut text = INTRODUCTION.to_owned();
    for scope in Scope::ALL {
        text += &format!("\n## {}\n\n", title(scope));
        text += "| key | takes | default | in HAProxy |\n|---|---|---|---|\n";
        for key in keys::of(scope) {
            let (name, anchor) = (key.name, &anchors[&(key as *const Key)]);
            let haproxy = if key.haproxy.is_empty() { String::new() } else { format!("`{}`", key.haproxy) };
            text += &format!("| [`{name}`](#{anchor}) | {} | {} | {haproxy} |\n", key.kind, key.default);
        }
        for key in keys::of(scope).filter(|key| key.scopes[0] == scope) {
            text += &entry(key);
        }
    }
    text
}

fn title(scope: Scope) -> String {
    match scope {
        Scope::File => "The sections".to_owned(),
        Scope::Rule => "`[[frontends.NAME.rules]]` and `[[backends.NAME.rules]]`".to_owned(),
        Scope::Condition => "`when`, in rules".to_owned(),
        _ => format!("`{}`", scope.written()),
    }
}

fn entry(key: &Key) -> String {
    let homes: Vec<_> = key.scopes.iter().map(|scope| format!("`{}`", scope.written())).collect();
    let homes =
        if key.scopes == [Scope::File] { String::new() } else { format!("In {}. ", homes.join(", ")) };
    let default = match key.default {
        "" => String::new(),
        "required" => "It is required. ".to_owned(),
        default => format!("Default: {default}. "),
    };
    let about = format!("{homes}Takes {}. {default}", key.kind);
    format!("\n### `{}`\n\n{}\n\n{}\n\n```toml\n{}\n```\n", key.name, about.trim_end(), key.doc, key.example)
}

/// The anchor of each key's heading, as GitHub makes them: the heading's letters, digits, hyphens and underscores,
/// and a number where a heading was there before.
fn anchors() -> HashMap<*const Key, String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut anchor = |heading: &str| {
        let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
        let slug: String = heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let count = seen.entry(slug.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
    };
    let mut anchors = HashMap::new();
    for scope in Scope::ALL {
        anchor(&title(scope));
        for key in keys::of(scope).filter(|key| key.scopes[0] == scope) {
            anchors.insert(key as *const Key, anchor(key.name));
        }
    }
    anchors
}
