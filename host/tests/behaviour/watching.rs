//! `watch = true`: files that change are read again, what is wrong stays out, and not one request fails.

use super::guest::Guest;
use super::kit::{Load, Origin, Proxy, Setup, get, origin, proxy};
use super::policies::{component, with_policy};

const CLIENTS: usize = 4;
const STAYS: &str = "the old one stays";

fn two() -> [Origin; 2] {
    ["a", "b"].map(|name| origin(name).start())
}

fn watched(origins: &[Origin; 2]) -> Setup {
    origins.iter().fold(proxy().global("watch = true"), |setup, origin| setup.server(origin))
}

/// Picks this candidate, always.
fn always(candidate: u32) -> Vec<u8> {
    component(&Guest::balancer().body("pick", &format!("(call $some (i32.const {candidate}))")))
}

/// Does something to a file, and waits until the log says what came of it.
#[track_caller]
fn after(proxy: &Proxy, outcome: &str, change: impl FnOnce()) -> String {
    let lines = proxy.log.all().len();
    change();
    proxy.log.wait_from(lines, outcome, |line| line.contains(outcome))
}

/// Puts a file in the place of another at once, as editors do.
fn replace(proxy: &Proxy, name: &str, content: impl AsRef<[u8]>) {
    let new = proxy.directory.write("new file", content);
    std::fs::rename(new, proxy.directory.path(name)).expect("one directory");
}

/// Who serves now, once those that began before are through.
fn serving(load: &Load) -> Vec<String> {
    load.pass(50);
    load.distribution();
    load.pass(50);
    load.distribution().into_keys().collect()
}

#[test]
fn a_policy_that_changes_is_swapped_under_load() {
    let origins = two();
    let setup = watched(&origins).backend("balance = \"./guest.wasm\"");
    let first = Guest::balancer().body("pick", "(call $some (i32.const 0))");
    let proxy = setup.start_in(with_policy(&first));
    let load = Load::start(proxy.address(), CLIENTS);
    assert_eq!(serving(&load), ["a"]);
    after(&proxy, "reloaded", || replace(&proxy, "guest.wasm", always(1)));
    proxy.log.wait("guest.wasm changed: reading the configuration again");
    assert_eq!(serving(&load), ["b"]);
    after(&proxy, "reloaded", || drop(proxy.directory.write("guest.wasm", always(0))));
    assert_eq!(serving(&load), ["a"], "written in place");
    load.stop();
    assert!(proxy.exchanges().iter().all(|exchange| exchange.state == "----"));
}

#[test]
fn a_broken_policy_stays_out_and_that_is_said_once() {
    let origins = two();
    let setup = watched(&origins).backend("balance = \"./guest.wasm\"");
    let first = Guest::balancer().body("pick", "(call $some (i32.const 0))");
    let proxy = setup.start_in(with_policy(&first));
    let load = Load::start(proxy.address(), CLIENTS);
    after(&proxy, STAYS, || replace(&proxy, "guest.wasm", "no WebAssembly"));
    assert_eq!(serving(&load), ["a"]);
    let trap = component(&Guest::balancer().body("configure", "unreachable"));
    after(&proxy, STAYS, || replace(&proxy, "guest.wasm", trap));
    proxy.log.wait("failed when it was configured: it trapped");
    assert_eq!(serving(&load), ["a"]);
    after(&proxy, STAYS, || std::fs::remove_file(proxy.directory.path("guest.wasm")).expect("it is there"));
    assert_eq!(serving(&load), ["a"], "even where the file is gone");
    after(&proxy, "reloaded", || replace(&proxy, "guest.wasm", always(1)));
    assert_eq!(serving(&load), ["b"]);
    load.stop();
    let said = proxy.log.all().iter().filter(|line| line.contains(STAYS)).count();
    assert_eq!(said, 3, "once for each");
}

#[test]
fn the_configuration_that_changes_is_read_again() {
    let origins = two();
    let setup = watched(&origins);
    let proxy = setup.start();
    after(&proxy, "reloaded", || {
        replace(&proxy, "lb.toml", setup.clone().backend("balance = \"source\"").text())
    });
    let first = get(proxy.address(), "/").text();
    assert!((0..5).all(|_| get(proxy.address(), "/").text() == first));
    let missing = setup.clone().backend("balance = \"./later.wasm\"").text();
    after(&proxy, STAYS, || replace(&proxy, "lb.toml", missing));
    after(&proxy, "reloaded", || replace(&proxy, "later.wasm", always(1)));
    assert_eq!(get(proxy.address(), "/").text(), "b", "a policy that was missing has come");
}
