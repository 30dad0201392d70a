//! The reference of the built-in policies, `docs/policies.md`: made from what each says of itself and from the head of
//! its source. `LB_BLESS=1` rewrites it.

use std::fs;
use std::path::{Path, PathBuf};

use lb_host::config;
use lb_host::config::model::PolicySource;
use lb_host::policy::{Policy, Runtime, Setting, built_ins};

use super::scene::runtime;

const INTRODUCTION: &str = r#"# The built-in policies

Each is a component like one of your own, named in `lb.toml` without a path: in `balance` those that pick a server, in
`persistence` those that keep a client at one. Without settings a name is enough; with settings it is a table:

```toml
balance = "leastconn"
balance = { policy = "random", draws = 3 }
```

`balance` also takes a list. The first policy that picks wins; one that has nothing to go by passes to the next, and
after the last the host takes turns:

```toml
balance = [{ policy = "hash", key = "header", name = "x-user" }, "leastconn"]
```

`lb policy inspect NAME` shows what stands here, `lb check` holds your configuration against it. How to write one of your
own: [wit/README.md](../wit/README.md).

This text is made from what the policies say of themselves and from the heads of their sources.
"#;

/// A line of a backend for each.
fn example(name: &str) -> &'static str {
    match name {
        "roundrobin" => r#"balance = "roundrobin""#,
        "leastconn" => r#"balance = "leastconn""#,
        "source" => r#"balance = "source""#,
        "random" => r#"balance = { policy = "random", draws = 3 }"#,
        "weighted-random" => r#"balance = "weighted-random""#,
        "first" => r#"balance = [{ policy = "first", maxconn = 100 }, "leastconn"]"#,
        "hash" => {
            r#"balance = [{ policy = "hash", key = "cookie", name = "cart", balance_factor = 150 }, "leastconn"]"#
        }
        "maglev" => r#"balance = { policy = "maglev", key = "uri", path_only = true, depth = 2 }"#,
        "least-time" => r#"balance = { policy = "least-time", decay = "5s" }"#,
        "peak-ewma" => r#"balance = { policy = "peak-ewma", penalty = "2s" }"#,
        "cookie" => r#"persistence = { policy = "cookie", name = "SERVER", insert = true, indirect = true }"#,
        "header" => {
            r#"persistence = { policy = "header", name = "x-session", expire = "1h", instances = "shared" }"#
        }
        "hash-cookie" => {
            r#"persistence = { policy = "hash-cookie", name = "id", secret = "replace with: openssl rand -base64 32" }"#
        }
        other => panic!("{other} needs an example"),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The paragraphs at the head of a policy's source, but the line that names it.
fn head(name: &str) -> String {
    let source = fs::read_to_string(root().join("plugins").join(name).join("src/lib.rs"))
        .expect("the source of a built-in policy");
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let text: Vec<&str> = lines.collect();
    text.join("\n").replace("[`", "`").replace("`]", "`")
}

fn row(setting: &Setting) -> String {
    let mut takes = setting.kind.wanted().to_owned();
    if !setting.choices.is_empty() {
        takes = setting.choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(", ");
    }
    let default = match &setting.default {
        _ if setting.required => "required".to_owned(),
        Some(ms) if setting.kind == lb_host::policy::Kind::Duration => format!("`\"{ms}ms\"`"),
        Some(default) => format!("`{default}`"),
        None => String::new(),
    };
    format!("| `{}` | {takes} | {default} | {} |\n", setting.name, setting.doc.replace('|', "\\|"))
}

fn entry(policy: &Policy) -> String {
    let description = policy.description();
    let name = &description.name;
    let mut text = format!("\n## `{name}`\n\n{}\n\n```toml\n{}\n```\n\n", head(name), example(name));
    if description.settings.is_empty() {
        text += "It takes no settings.\n";
    } else {
        text += "| setting | takes | default | what it does |\n|---|---|---|---|\n";
        text.extend(description.settings.iter().map(row));
    }
    text
}

fn reference(runtime: &Runtime) -> String {
    let load =
        |name: &str| runtime.load(&PolicySource::BuiltIn(name.into())).expect("a built-in policy loads");
    let mut text = format!("{INTRODUCTION}\n| policy | worlds | what it does |\n|---|---|---|\n");
    for name in built_ins() {
        let policy = load(name);
        let summary = &policy.description().summary;
        text += &format!("| [`{name}`](#{name}) | {} | {summary} |\n", policy.worlds().join(", "));
    }
    text.extend(built_ins().map(|name| entry(&load(name))));
    text
}

#[test]
fn the_reference_of_policies_is_up_to_date() {
    let path = root().join("docs/policies.md");
    let made = reference(&runtime());
    if std::env::var_os("LB_BLESS").is_some() {
        fs::write(&path, &made).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "docs/policies.md is not what the policies say; LB_BLESS=1 makes it anew");
}

#[test]
fn every_example_of_a_policy_would_run() {
    let runtime = runtime();
    for name in built_ins() {
        let file = format!(
            "[defaults]\ntimeout = {{ connect = \"5s\", client = \"10s\", server = \"10s\" }}\n\
             [frontends.web]\nbind = \"*:80\"\ndefault_backend = \"app\"\n[backends.app]\n{}\n\
             servers = [{{ name = \"a\", address = \"10.0.0.1:80\" }}]\n",
            example(name)
        );
        let loaded = config::parse(&file, "lb.toml").unwrap_or_else(|wrong| panic!("{wrong}"));
        let proven = runtime.prove(&loaded.config.backends[0]).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert!(proven.policies().any(|(_, policy, _)| policy.description().name == name), "{name}");
    }
}

#[test]
fn lists_of_policies_are_read_with_their_settings() {
    let file = "[defaults]\ntimeout = { connect = \"5s\", client = \"10s\", server = \"10s\" }\n\
                [frontends.web]\nbind = \"*:80\"\ndefault_backend = \"app\"\n[backends.app]\n\
                balance = [{ policy = \"hash\", key = \"query\", name = \"id\" }, { policy = \"random\", draws = 4 }, \"leastconn\"]\n\
                servers = [{ name = \"a\", address = \"10.0.0.1:80\" }]\n";
    let loaded = config::parse(file, "lb.toml").unwrap_or_else(|wrong| panic!("{wrong}"));
    let proven = runtime().prove(&loaded.config.backends[0]).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let policies: Vec<String> = proven
        .policies()
        .map(|(_, policy, settings)| {
            let given = settings.iter().filter(|(name, _)| ["key", "draws"].contains(name));
            let given: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {}", policy.description().name, given.join(" "))
        })
        .collect();
    assert_eq!(policies, ["hash key=\"query\"", "random draws=4", "leastconn "]);
}
