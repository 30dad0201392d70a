//! The command line: what each command says, and its exit code.

use lb_host::policy::built_ins;

use super::kit::{Authority, Directory, Process, Proxy, Signal, client, get, lb, origin, proxy, run, until};

fn checked(text: &str) -> (i32, String, String) {
    let directory = Directory::new();
    let config = directory.write("lb.toml", text);
    run(&["check", config.to_str().expect("a path that is text")])
}

#[test]
fn check_says_what_would_run() {
    let text = proxy().server_at("a", "127.0.0.1:8001", "check = true").text();
    let (code, said, errors) = checked(&text);
    assert_eq!((code, errors.as_str()), (0, ""));
    for part in ["is fine", "frontend web on 127.0.0.1:0", "backend app", "balance roundrobin", "server a"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn check_points_at_what_is_wrong_all_at_once() {
    let text = proxy().frontend("forwardfr = true").server_at("a", "127.0.0.1:8001", "wieght = 2").text();
    let text = text.replace("default_backend = \"app\"", "default_backend = \"ap\"");
    let (code, said, errors) = checked(&text);
    assert_eq!((code, said.as_str()), (1, ""));
    for part in ["forwardfor", "weight", "did you mean `app`", "^^^", "lb.toml:"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

#[test]
fn check_knows_the_settings_of_policies() {
    let text = proxy()
        .backend("cookie = { name = \"S\", insrt = true }")
        .server_at("a", "127.0.0.1:8001", "")
        .text();
    let (code, _, errors) = checked(&text);
    assert_eq!(code, 1);
    assert!(errors.contains("did you mean `insert`"), "{errors}");
}

#[test]
fn a_configuration_that_is_not_there_is_an_error() {
    for command in ["check", "run"] {
        let (code, said, errors) = run(&[command, "/no/such/lb.toml"]);
        assert_eq!((code, said.as_str()), (1, ""));
        assert!(errors.contains("/no/such/lb.toml"), "{errors}");
    }
}

#[test]
fn what_is_no_command_is_an_error_of_usage() {
    for arguments in
        [&["serve"][..], &[], &["check", "--nonsense"], &["policy", "inspect"], &["run", "a", "b"]]
    {
        let (code, _, errors) = run(arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(errors.contains("Usage"), "{errors}");
    }
    assert_eq!(run(&["--help"]).0, 0);
}

#[test]
fn inspect_knows_the_built_in_policies() {
    for name in built_ins() {
        let (code, said, errors) = run(&["policy", "inspect", name]);
        assert_eq!((code, errors.as_str()), (0, ""));
        assert!(said.starts_with(&format!("{name} ")), "{said}");
    }
    let (_, said, _) = run(&["policy", "inspect", "cookie"]);
    assert!(said.contains("indirect") && said.contains("nocache"), "{said}");
    let (code, _, errors) = run(&["policy", "inspect", "randomly"]);
    assert_eq!(code, 1);
    assert!(errors.contains("randomly is no policy"), "{errors}");
}

/// Starts the demo. Its usual ports may be taken, by another of these tests too, and even between its look
/// and its bind: then it is started again.
fn demo(arguments: &[&str]) -> Proxy {
    until("the demo runs", || {
        let mut process = Process::start(lb(arguments));
        let (log, errors) = process.output();
        let ready = until("it is ready, or has ended", || {
            let ready = log.all().iter().any(|line| line.starts_with("ready "));
            (ready || process.has_ended()).then_some(ready)
        });
        ready.then(|| Proxy::ready(process, log, errors, Directory::new()))
    })
}

#[test]
fn the_demo_shows_what_it_promises_and_ends_cleanly() {
    let mut demos = [demo(&["demo"]), demo(&["demo"])];
    for demo in &mut demos {
        demo.log.wait("Three things to try");
        let doors: Vec<String> =
            demo.addresses.iter().map(|address| address.replace("0.0.0.0", "127.0.0.1")).collect();
        let served: Vec<String> =
            (0..4).map(|turn| get(&doors[turn % doors.len()], "/").text().trim().to_owned()).collect();
        assert_eq!(served, ["web-a", "web-b", "web-a", "web-b"]);
        let first = get(&doors[0], "/");
        assert!(first.header("set-cookie").is_some_and(|cookie| cookie.starts_with("SERVER=web-")));
        assert_eq!(first.header("cache-control"), Some("private"));
        let bound = client(&doors[0]).get_with("/headers", &[("cookie", "SERVER=web-b")]).text();
        assert!(bound.starts_with("web-b got:") && bound.contains("x-forwarded-for: 127.0.0.1"), "{bound}");
        assert!(!bound.contains("SERVER="), "{bound}");
        demo.process.signal(Signal::Interrupt);
        assert_eq!(demo.process.wait().code(), Some(0));
    }
}

#[test]
fn the_demo_speaks_tls_by_a_certificate_of_its_own() {
    let demo = demo(&["demo", "--tls"]);
    let line = demo.log.wait("curl -k https://localhost:");
    let port = line.rsplit(':').next().expect("a port").trim_end_matches('/');
    let refused = Authority::new().clients().refused(&format!("127.0.0.1:{port}"), "localhost");
    assert!(refused.contains("invalid peer certificate"), "{refused}");
}

#[test]
fn a_name_that_is_misspelt_is_an_error_that_names_the_right_one() {
    let a = origin("a").start();
    let text = proxy().server(&a).text().replace("default_backend = \"app\"", "default_backend = \"apps\"");
    let (code, _, errors) = checked(&text);
    assert_eq!(code, 1);
    assert!(errors.contains("did you mean `app`?"), "{errors}");
}

#[test]
fn compiled_policies_are_kept_only_where_nobody_else_can_change_them() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = Directory::new();
    let config = directory.write("lb.toml", proxy().server_at("a", "127.0.0.1:8001", "").text());
    let (home, cache) = (directory.path("cache"), directory.path("cache/lb"));
    let check = || {
        let mut command = lb(&["check", config.to_str().expect("a path that is text")]);
        let output = command.env("XDG_CACHE_HOME", &home).output().expect("it runs");
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    assert_eq!(check(), "");
    assert_eq!(std::fs::metadata(&cache).expect("it is made").mode() & 0o7777, 0o700);
    assert_eq!(check(), "");
    let set_mode = |mode: u32| {
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    set_mode(0o777);
    let said = check();
    assert!(
        said.contains("cannot keep compiled policies") && said.contains("written to by others"),
        "{said}"
    );
    set_mode(0o700);
    assert_eq!(check(), "");
    let poison = cache.join("poison");
    std::fs::write(&poison, "code").expect("it is ours");
    std::fs::set_permissions(&poison, std::fs::Permissions::from_mode(0o666)).expect("it is ours");
    let said = check();
    assert!(said.contains("poison can be written to by others"), "{said}");
}
