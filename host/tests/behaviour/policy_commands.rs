//! `lb policy check | bench | inspect`, as they are called: what they say, and their exit codes.

use super::guest::Guest;
use super::kit::run;
use super::policies::with_policy;

#[test]
fn check_lets_a_good_policy_pass_and_says_what_it_took() {
    let (code, said, errors) = run(&["policy", "check", "source", "--case", "clients"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    for part in [
        "source 0.1.0",
        "seed 1",
        "clients",
        "ok",
        "pick",
        "median",
        "memory",
        "fine: 1 cases, nothing wrong",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn check_of_a_wrong_policy_says_how_to_see_it_again_and_it_is_so() {
    let directory = with_policy(
        &Guest::balancer().body("pick", "(if (local.get $family) (then unreachable)) (call $none)"),
    );
    let path = directory.path("guest.wasm");
    let path = path.to_str().expect("a path that is text");
    let (code, said, _) = run(&["policy", "check", path, "--seed", "5", "--case", "retries"]);
    assert_eq!(code, 1, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let at =
        lines.iter().position(|line| line.starts_with("wrong: retries: it trapped")).expect("what is wrong");
    assert!(lines[at + 1].trim_start().starts_with("sent:  sequence "), "{said}");
    let again = lines[at + 2].trim_start().strip_prefix("again: lb ").expect("how to see it again");
    let (code, repeated, _) = run(&again.split(' ').collect::<Vec<_>>());
    assert_eq!(code, 1);
    assert_eq!(repeated.lines().nth(at), Some(lines[at]));
    assert_eq!(repeated.lines().nth(at + 1), Some(lines[at + 1]));
    let (code, json, _) = run(&["policy", "check", path, "--case", "retries", "--json"]);
    assert_eq!(code, 1);
    for part in ["\"fine\": false", "\"severity\": \"wrong\"", "\"again\": \"lb policy check "] {
        assert!(json.contains(part), "{json}");
    }
}

#[test]
fn check_takes_options_and_names_those_that_are_missing_or_wrong() {
    let options = ["-o", "name=SERVER", "-o", "insert=true", "-o", "maxidle=30m"];
    let (code, said, errors) =
        run(&[&["policy", "check", "cookie", "--case", "round-trip"], &options[..]].concat());
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    for (arguments, words) in [
        (&["policy", "check", "cookie"][..], &["needs the setting `name`", "-o name=value"][..]),
        (&["policy", "bench", "cookie"], &["needs the setting `name`"]),
        (&["policy", "check", "cookie", "-o", "name=S", "-o", "insrt=true"], &["did you mean `insert`?"]),
        (
            &["policy", "check", "cookie", "-o", "name=S", "-o", "insert=maybe"],
            &["`insert` is true or false"],
        ),
        (
            &["policy", "check", "cookie", "-o", "name=S", "-o", "insert=true", "-o", "rewrite=true"],
            &["refused"],
        ),
        (&["policy", "check", "cookie", "-o", "name"], &["has to be `name=value`"]),
        (&["policy", "check", "source", "--case", "client"], &["did you mean `clients`?"]),
        (
            &["policy", "check", "source", "--case", "round-trip"],
            &["there is no case `round-trip` for this policy"],
        ),
        (&["policy", "bench", "source", "--servers", "0"], &["--servers"]),
    ] {
        let (code, said, errors) = run(arguments);
        assert_eq!((code, said.as_str()), (2, ""), "{arguments:?}: {errors}");
        for word in words {
            assert!(errors.contains(word), "{arguments:?}: {errors}");
        }
    }
}

#[test]
fn what_is_no_policy_is_neither_checked_nor_measured() {
    for command in ["check", "bench", "inspect"] {
        let (code, said, errors) = run(&["policy", command, "/no/such/policy.wasm"]);
        assert_eq!((code, said.as_str()), (1, ""));
        assert!(errors.contains("/no/such/policy.wasm is no policy: cannot read"), "{errors}");
    }
}

#[test]
fn bench_puts_a_policy_beside_the_built_in_ones_of_its_kind() {
    let directory = with_policy(&Guest::balancer());
    let path = directory.path("guest.wasm");
    let path = path.to_str().expect("a path that is text");
    let (code, said, errors) = run(&["policy", "bench", path, "--servers", "1,3"]);
    assert_eq!((code, errors.as_str()), (0, ""), "{said}");
    for part in ["guest.wasm", "roundrobin", "leastconn", "source", "pick", "update", "configure"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("cookie") && !said.contains("observe"), "{said}");
    let (code, json, _) =
        run(&["policy", "bench", "cookie", "-o", "name=S", "-o", "insert=true", "--servers", "2", "--json"]);
    assert_eq!(code, 0);
    for part in ["\"call\": \"recall\"", "\"call\": \"respond, reused\"", "\"median_ns\": "] {
        assert!(json.contains(part), "{json}");
    }
}

#[test]
fn bench_of_a_policy_that_fails_says_so_instead_of_figures() {
    let fails = "(if (i64.eq (local.get $sequence) (i64.const 500)) (then unreachable)) (call $none)";
    let directory = with_policy(&Guest::balancer().body("pick", fails));
    let path = directory.path("guest.wasm");
    let (code, said, errors) =
        run(&["policy", "bench", path.to_str().expect("a path that is text"), "--servers", "2"]);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(errors.contains("cannot be measured") && errors.contains("failed 1 times"), "{errors}");
}

#[test]
fn inspect_tells_capabilities_from_mere_types() {
    let (code, said, _) = run(&["policy", "inspect", "leastconn"]);
    assert_eq!(code, 0);
    for part in [
        "worlds     balancing",
        "interface  lb:policy@0.1.0",
        "does       balances\n",
        "sees how many requests each candidate has in flight",
        "types alone, no capability",
        "bytes\n",
        "compiled in ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, json, _) = run(&["policy", "inspect", "cookie", "--json"]);
    assert_eq!(code, 0);
    for part in [
        "\"persists\": true",
        "\"wants_feedback\": false",
        "\"capability\": true",
        "\"kind\": \"duration\"",
        "\"choices\": ",
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}
