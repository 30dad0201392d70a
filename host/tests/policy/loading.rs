//! What is no policy, and what is wrong with one, is said before it decides anything.

use lb_host::config::model::{PolicySource, RawValue};
use lb_host::policy::{BackendPolicies, Balancer, LoadError, Persistence, Proven, Runtime, SettingValue};

use super::guest::{DATA, Guest};
use super::scene::{backend, built_in, logged, prove_one, runtime, setting, spec};

fn load(bytes: &[u8]) -> LoadError {
    runtime().load_bytes(bytes).expect_err("not a policy")
}

#[test]
fn a_policy_says_what_it_is() {
    let policy =
        runtime().load_bytes(&Guest::observer().setting("eager", Some(true)).bytes()).expect("a policy");
    let description = policy.description();
    assert_eq!((&*description.name, &*description.version), ("probe", "1"));
    assert_eq!(description.settings[0].name, "eager");
    assert_eq!(description.settings[0].default, Some(SettingValue::Boolean(true)));
    assert_eq!(policy.worlds(), ["observing"]);
    assert!(policy.exports().contains(&"lb:policy/feedback@0.1.0".to_owned()), "{:?}", policy.exports());
    assert!(policy.bytes() > 1000);
    assert!(policy.is_balancer() && !policy.is_persistence());
}

#[test]
fn what_is_not_webassembly_is_told_apart() {
    let found = |bytes: &[u8]| load(bytes).to_string();
    assert_eq!(found(b""), "an empty file, not a WebAssembly component");
    assert_eq!(found(b"\x7fELF"), "something else, not a WebAssembly component");
    assert_eq!(found(b"(component)"), "text, perhaps WebAssembly's, not a WebAssembly component");
    assert!(matches!(load(b"\0asm\x0d\0\x01\0garbage"), LoadError::Invalid(_)));
    assert!(matches!(load(b"\0asm\x01\0\0\0"), LoadError::Untyped));
    let missing = runtime().load(&PolicySource::File("/nowhere/p.wasm".into())).expect_err("no such file");
    assert_eq!(missing.to_string(), "cannot read /nowhere/p.wasm");
}

#[test]
fn a_component_of_another_kind_says_what_it_exports() {
    let component = wat::parse_str("(component)").expect("a component");
    assert_eq!(load(&component).to_string(), "a component that is no policy: it exports nothing");
    let component = wat::parse_str(
        r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#,
    );
    let error = load(&component.expect("a component"));
    assert_eq!(
        error.to_string(),
        "a component that is no policy: it exports wasi:http/incoming-handler@0.2.0"
    );
    assert!(error.help().expect("help").contains("lb:policy/balancer@0.1.0"));
}

#[test]
fn a_policy_for_another_version_says_which_one_is_offered() {
    let error = load(&Guest::balancer().bytes_of_another_version());
    assert_eq!(error.to_string(), "made for lb:policy/setup@0.2.0, and this host offers lb:policy@0.1.0");
}

#[test]
fn a_module_without_a_type_is_taken_at_the_names_of_its_exports() {
    for (guest, world) in [
        (Guest::balancer(), "balancing"),
        (Guest::observer(), "observing"),
        (Guest::persistence(), "persisting"),
    ] {
        let policy = runtime().load_bytes(&guest.untyped()).expect("a policy");
        assert_eq!(policy.worlds(), [world]);
    }
}

#[test]
fn a_module_without_a_type_is_held_against_the_version_that_it_names() {
    let module = wat::parse_str(
        r#"(module (func (export "lb:policy/setup@0.2.0#describe") (result i32) i32.const 0))"#,
    );
    let error = load(&module.expect("a module"));
    assert_eq!(error.to_string(), "made for lb:policy/setup@0.2.0, and this host offers lb:policy@0.1.0");
}

#[test]
fn a_module_that_lacks_a_function_says_which() {
    let module = wat::parse_str(
        r#"(module (func (export "lb:policy/setup@0.1.0#describe") (result i32) i32.const 0))"#,
    );
    let error = load(&module.expect("a module")).to_string();
    assert!(
        error.ends_with("failed to find export of interface `lb:policy/setup@0.1.0` function `configure`"),
        "{error}"
    );
}

#[test]
fn a_policy_that_wants_more_than_there_is_says_what() {
    let guest = Guest::balancer()
        .extra_imports("package acme:db { interface kv { get: func() -> u32; } }", "import acme:db/kv;")
        .import("acme:db/kv", "get", "(func $get (result i32))");
    assert_eq!(load(&guest.bytes()).to_string(), "it imports acme:db/kv, which this host does not have");
}

#[test]
fn exports_of_another_type_are_found_at_load() {
    let component = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $wrong (export "describe" (func $f)) (export "configure" (func $f))
                (export "update" (func $f)) (export "pick" (func $f)))
            (export "lb:policy/setup@0.1.0" (instance $wrong))
            (export "lb:policy/balancer@0.1.0" (instance $wrong)))"#,
    );
    let error = load(&component.expect("a component"));
    assert!(matches!(error, LoadError::Mismatch(_)), "{error}");
}

#[test]
fn a_refusal_points_at_the_setting() {
    let guest = Guest::balancer()
        .setting("flavour", None)
        .data(DATA, "flavour")
        .data(DATA + 16, "no such flavour")
        .body(
            "configure",
            "(if (result i32) (local.get $n)
               (then (call $refuse (i32.const 0x4000) (i32.const 7) (i32.const 0x4010) (i32.const 15)))
               (else (call $refuse (i32.const 0) (i32.const 0) (i32.const 0x4010) (i32.const 15))))",
        );
    let runtime = runtime();
    let refused = |settings| prove_one(&runtime, &guest, settings).err().expect("a refusal").remove(0);
    let problem = refused(vec![setting("flavour", RawValue::Text("mint".into()), 10)]);
    assert_eq!(problem.span, 11..12);
    assert_eq!(problem.message, "the policy probe refuses `flavour`: no such flavour");
    let problem = refused(vec![]);
    assert_eq!((problem.span, &*problem.message), (0..1, "the policy probe refuses: no such flavour"));
}

#[test]
fn all_problems_of_a_backend_are_found_at_once() {
    let mut config = backend(2);
    config.balance = vec![built_in("rondrobin"), spec(PolicySource::File("/nowhere/p.wasm".into()))];
    let mut roundrobin = built_in("roundrobin");
    roundrobin.settings = vec![setting("speed", RawValue::Integer(1), 5)];
    config.balance.push(roundrobin);
    config.persistence = Some(built_in("leastconn"));
    let problems = runtime().prove(&config).err().expect("problems");
    let messages: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
    assert_eq!(problems.len(), 4, "{messages:?}");
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `roundrobin`?"));
    assert!(messages[1].starts_with("no policy in /nowhere/p.wasm: cannot read"), "{messages:?}");
    assert_eq!(messages[2], "the policy roundrobin has no setting `speed`");
    assert_eq!(messages[3], "the policy leastconn is no persistence");
}

#[test]
fn a_file_is_loaded_once_while_it_stays_as_it_is() {
    let runtime = runtime();
    let source = PolicySource::BuiltIn("roundrobin".into());
    let first = runtime.load(&source).expect("a policy");
    assert!(std::sync::Arc::ptr_eq(&first, &runtime.load(&source).expect("a policy")));
}

#[test]
fn compiled_code_is_kept_where_it_can_be_and_done_without_where_not() {
    let cache = std::env::temp_dir().join(format!("lb-policy-cache-{}", std::process::id()));
    let bytes = Guest::balancer().bytes();
    Runtime::new(Some(&cache)).expect("it runs").load_bytes(&bytes).expect("a policy");
    let kept = std::fs::read_dir(&cache).expect("the cache was made").count();
    assert!(kept > 0);
    Runtime::new(Some(&cache)).expect("it runs").load_bytes(&bytes).expect("a policy, from the cache");
    // The cache's own thread may still write there.
    let _ = std::fs::remove_dir_all(&cache);

    let log = logged(|| {
        let runtime = Runtime::new(Some("/dev/null/lb".as_ref())).expect("it runs all the same");
        runtime.load_bytes(&bytes).expect("a policy");
    });
    assert!(log.contains("cannot keep compiled policies there"), "{log}");
}

#[test]
fn a_policy_that_begins_with_too_much_memory_does_not_load() {
    let error = load(&Guest::balancer().first_memory(2000).bytes());
    assert_eq!(
        error.to_string(),
        "it begins with more memory than an instance may have, in `setup.describe`"
    );
}

#[test]
fn what_workers_hold_can_be_made_elsewhere_and_moved_to_them() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<Balancer>();
    is_send::<Persistence>();
    is_shared::<Runtime>();
    is_shared::<Proven>();
    is_shared::<BackendPolicies>();
}
