//! Persistence, good and hostile: a request is never bound to what is not there, and a response never
//! carries what cannot stand in it.

use lb_host::policy::{Affinity, FaultKind, HeaderEdit, Key, KeyEdit, Reply, Standing};

use super::guest::{DATA, Guest, UNKNOWN};
use super::scene::{CLIENT, REPLY, START, Scene, prove_one, request, response, runtime};

fn recalled(guest: &Guest) -> (Affinity, Scene) {
    let scene = Scene::persisting(guest, 2);
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let affinity = scene.persistence().recall(&request, b"v", CLIENT, START);
    (affinity, scene)
}

/// What the guest makes of a response, as headers.
fn responded(guest: &Guest) -> (Vec<HeaderEdit>, KeyEdit, Scene) {
    let scene = Scene::persisting(guest, 2);
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let amendment = scene.persistence().respond(&request, &response(), REPLY);
    (amendment.headers.clone(), amendment.key.clone(), scene)
}

/// Answers `respond` with one header.
fn appends(name: &str, value: &str) -> Guest {
    let (n, m) = (unescaped(name), unescaped(value));
    Guest::persistence().data(DATA, name).data(DATA + 0x100, value).body(
        "respond",
        &format!(
            "(call $header (i32.const 0x600) (i32.const {DATA}) (i32.const {n}) (i32.const {}) (i32.const {m}))
             (call $amendment (i32.const 0x600) (i32.const 1) (i32.const 0))",
            DATA + 0x100
        ),
    )
}

/// The length in bytes of a WAT string whose escapes are all of the form `\xx`.
fn unescaped(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

#[test]
fn a_key_binds_to_the_server_that_the_policy_names() {
    let (affinity, scene) =
        recalled(&Guest::persistence().body("recall", "(call $affinity (i32.const 1) (i32.const 3))"));
    assert_eq!((affinity.server, affinity.standing, affinity.key), (Some(1), Standing::Valid, KeyEdit::Keep));
    assert_eq!(**scene.persistence().key(), Key::Cookie("K".into()));
    assert_eq!(scene.metrics().decisions, 1);
}

#[test]
fn a_server_that_is_down_binds_nobody() {
    let guest = Guest::persistence().body("recall", "(call $affinity (i32.const 1) (i32.const 3))");
    let scene = Scene::persisting(&guest, 2);
    scene.backend.server_changed(1, false);
    let affinity = scene.persistence().recall(
        &super::scene::request("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
        b"v",
        CLIENT,
        START,
    );
    assert_eq!((affinity.server, affinity.standing), (None, Standing::Down));
    assert_eq!(scene.metrics().faults(), 0, "that is no failure");
}

#[test]
fn usable_is_seen_as_it_is_at_the_call() {
    let guest = Guest::persistence()
        .import("lb:policy/servers@0.1.0", "usable", "(func $usable (param i32) (result i32))")
        .body("recall", "(call $affinity (i32.sub (i32.const 0) (call $usable (i32.const 9))) (i32.add (i32.const 2) (call $usable (i32.const 1))))");
    let (affinity, scene) = recalled(&guest);
    assert_eq!(affinity.standing, Standing::Valid);
    scene.backend.server_changed(1, false);
    let affinity =
        scene.persistence().recall(&request("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), b"v", CLIENT, START);
    assert_eq!(affinity.standing, Standing::Down);
}

#[test]
fn an_answer_that_cannot_be_leaves_the_key_unknown() {
    for (what, body) in [
        ("a server that is not there", "(call $affinity (i32.const 2) (i32.const 3))"),
        ("a standing that is none", "(call $affinity (i32.const 0) (i32.const 9))"),
        ("absent", "(call $affinity (i32.const -1) (i32.const 0))"),
        (
            "a cookie with a semicolon",
            "(i32.store8 (i32.const 0x40c) (i32.const 2)) (i32.store (i32.const 0x410) (i32.const 0x4000))
             (i32.store (i32.const 0x414) (i32.const 3)) (call $affinity (i32.const 0) (i32.const 3))",
        ),
        (
            "text that is not UTF-8",
            "(i32.store8 (i32.const 0x40c) (i32.const 2)) (i32.store (i32.const 0x410) (i32.const 0x4003))
             (i32.store (i32.const 0x414) (i32.const 2)) (call $affinity (i32.const 0) (i32.const 3))",
        ),
    ] {
        let (affinity, scene) =
            recalled(&Guest::persistence().data(DATA, "a;b\\ff\\fe").body("recall", body));
        assert_eq!(affinity, Affinity { standing: Standing::Unknown, ..Affinity::default() }, "{what}");
        assert_eq!(scene.faults(FaultKind::Answer), 1, "{what}");
    }
}

#[test]
fn a_value_that_is_no_text_does_not_reach_the_policy() {
    let scene = Scene::persisting(&Guest::persistence().body("recall", "unreachable"), 2);
    let affinity =
        scene.persistence().recall(&request("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), b"\xff", CLIENT, START);
    assert_eq!(affinity.standing, Standing::Unknown);
    assert_eq!(scene.metrics().faults(), 0);
}

#[test]
fn header_changes_arrive_as_the_policy_made_them() {
    let (headers, key, scene) = responded(&appends("Set-Cookie", "K=a; path=/"));
    let line = HeaderEdit::Append { name: "set-cookie".into(), value: "K=a; path=/".into() };
    assert_eq!((headers, key, scene.metrics().faults()), (vec![line], KeyEdit::Keep, 0));
}

#[test]
fn a_response_goes_out_unchanged_where_its_changes_cannot_be() {
    let huge = Guest::persistence()
        .body("respond", "(call $amendment (i32.const 0x600) (i32.const 0x0fffffff) (i32.const 0))");
    // 3,000 header lines, all of the same 60,000 bytes: little in the guest, much in the host.
    let manifold = Guest::persistence()
        .items(
            "(func $many (local $i i32) (loop $l
                  (call $header (i32.add (i32.const 0x600) (i32.mul (local.get $i) (i32.const 20)))
                    (i32.const 0x200) (i32.const 1) (i32.const 0x210) (i32.const 60000))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br_if $l (i32.lt_u (local.get $i) (i32.const 3000)))))",
        )
        .body("respond", "(call $many) (call $amendment (i32.const 0x600) (i32.const 3000) (i32.const 0))");
    for (what, guest) in [
        ("a line break", appends("x-a", "a\\0d\\0aset-cookie: b=c")),
        ("a lone line feed", appends("x-a", "a\\0ab")),
        ("a zero byte", appends("x-a", "a\\00")),
        ("a name that is none", appends("x a", "v")),
        ("the host's own header", appends("Content-Length", "0")),
        ("garbage in UTF-8", appends("x-a", "\\ff\\fe")),
        ("a list longer than its memory", huge),
        ("a list that would fill the host's memory", manifold),
    ] {
        let (headers, _, scene) = responded(&guest);
        assert_eq!(headers, [], "{what}");
        assert_eq!(scene.faults(FaultKind::Answer), 1, "{what}");
    }
}

#[test]
fn a_reusable_answer_is_asked_for_once() {
    let once = Guest::persistence().body(
        "respond",
        "(call $amendment (i32.const 0x600) (i32.const 0) (select (i32.const -1) (i32.const 0) (local.get $cacheable)))",
    );
    let scene = Scene::persisting(&once, 2);
    let mut persistence = scene.persistence();
    let request = request("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    for time_ms in [START, START + 1, START + 100_000] {
        persistence.respond(&request, &response(), Reply { time_ms, ..REPLY });
    }
    assert_eq!((scene.metrics().decisions, scene.metrics().reused), (1, 2));
    for _ in 0..3 {
        persistence.respond(&request, &response(), Reply { cacheable: false, ..REPLY });
        persistence.respond(&request, &response(), Reply { sent: Some(b"x"), ..REPLY });
    }
    assert_eq!((scene.metrics().decisions, scene.metrics().reused), (7, 2));
}

#[test]
fn a_key_in_an_impossible_place_is_a_problem_of_the_configuration() {
    let runtime = runtime();
    let mut config = super::scene::backend(2);
    config.persistence = Some(super::scene::built_in("0"));
    let guest =
        Guest::persistence().body("place", "(i32.store (i32.const 0x208) (i32.const 0)) (i32.const 0x200)");
    let problems = super::scene::prove(&runtime, &config, &[&guest]).err().expect("a problem");
    assert!(problems[0].message.contains("placed its key at \"\""), "{problems:?}");
}

#[test]
fn persistence_is_no_balancer() {
    let problems = prove_one(&runtime(), &Guest::persistence().body("recall", UNKNOWN), vec![])
        .err()
        .expect("a problem");
    assert_eq!(problems[0].message, "the policy probe is no balancer");
    assert_eq!(problems[0].help.as_deref(), Some("it can stand under `persistence`"));
}
