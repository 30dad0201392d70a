//! Care for servers beside their checks: slow starts, and what live traffic tells of them.

use super::kit::{Answer, Next, client, get, origin, proxy, until};

/// Who answered each of so many requests.
fn answers(address: &str, count: usize) -> Vec<String> {
    (0..count).map(|_| get(address, "/").text()).collect()
}

fn share(answers: &[String], name: &str) -> usize {
    answers.iter().filter(|answer| *answer == name).count()
}

#[test]
fn a_server_that_comes_up_again_gets_little_at_first_and_the_others_the_rest() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().checked().server(&a).server_with(&b, "slowstart = \"1d\"").start();
    let at_first = answers(proxy.address(), 34);
    assert_eq!(share(&at_first, "b"), 17, "nothing starts slowly when the program does");
    b.pass_checks(false);
    proxy.log.wait("server app/b is DOWN");
    b.pass_checks(true);
    proxy.log.wait("server app/b is UP");
    let afterwards = answers(proxy.address(), 34);
    assert_eq!(share(&afterwards, "b"), 2, "one of seventeen: {afterwards:?}");
}

#[test]
fn a_server_reaches_its_whole_share_in_the_end() {
    let (a, b) = (origin("a").start(), origin("b").start());
    let proxy = proxy().checked().server(&a).server_with(&b, "slowstart = \"200ms\"").start();
    b.pass_checks(false);
    proxy.log.wait("server app/b is DOWN");
    b.pass_checks(true);
    proxy.log.wait("server app/b is UP");
    until("both have the same share", || (share(&answers(proxy.address(), 10), "b") == 5).then_some(()));
}

/// A configuration whose checks are too rare to find out anything by themselves.
const RARE: &str = "check = true\ninter = \"1d\"\nfall = 1\nrise = 1\n";

#[test]
fn too_many_failed_answers_in_a_row_mark_a_server_down() {
    let a = origin("a").route("/bad", Answer::new(404, "a")).start();
    let b = origin("b").route("/bad", Answer::new(500, "b")).start();
    let lines = format!("{RARE}observe = \"layer7\"\nerror_limit = 3\non_error = \"mark-down\"");
    let proxy = proxy().server_with(&a, &lines).server_with(&b, &lines).start();
    let ask = |path: &str, count: usize| (0..count).for_each(|_| drop(get(proxy.address(), path)));
    ask("/bad", 4);
    ask("/", 2);
    ask("/bad", 4);
    assert!(
        !proxy.log.all().iter().any(|line| line.contains("is DOWN")),
        "a success forgives what was before"
    );
    ask("/bad", 2);
    let down = proxy.log.wait("server app/b is DOWN");
    assert!(
        down.contains("Health analyze, detected 3 consecutive errors, last one was: Wrong http response"),
        "{down}"
    );
    let before = b.requests().len();
    for _ in 0..8 {
        assert_eq!(get(proxy.address(), "/bad").status(), 404);
    }
    assert_eq!(b.requests().len(), before);
}

#[test]
fn refused_connections_hasten_the_check_that_takes_a_server_down_and_brings_it_back() {
    let (mut a, b) = (origin("a").start(), origin("b").start());
    let lines = format!("{RARE}fastinter = \"10ms\"\ndowninter = \"10ms\"\nobserve = \"layer4\"\n");
    let lines = lines + "error_limit = 2\non_error = \"fastinter\"";
    let backend = "retries = 1\nredispatch = true";
    let proxy =
        proxy().timeout("connect", "10ms").backend(backend).server_with(&a, &lines).server(&b).start();
    until("its first check has come", || (a.connections() > 0).then_some(()));
    a.kill();
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").text(), "b");
    }
    proxy.log.wait("detected 2 consecutive errors, last one was: L4 unsuccessful connection");
    let down = proxy.log.wait("server app/a is DOWN");
    assert!(down.contains("Layer4 connection problem"), "{down}");
    a.bring_back();
    proxy.log.wait("server app/a is UP");
}

#[test]
fn clients_that_leave_are_held_against_no_server() {
    let a = origin("a").endless("/endless").script("/closed", |_, _| Ok(Next::Close)).start();
    let lines = format!("{RARE}observe = \"layer7\"\nerror_limit = 2\non_error = \"mark-down\"");
    let proxy = proxy().server_with(&a, &lines).start();
    for _ in 0..4 {
        let mut leaving = client(proxy.address());
        leaving.ask("GET", "/endless", &[]);
        assert_eq!(leaving.head().status(), 200);
    }
    until("they are logged", || (proxy.exchanges().len() == 4).then_some(()));
    assert!(proxy.exchanges().iter().all(|line| line.state == "CD--"));
    assert_eq!(get(proxy.address(), "/").text(), "a");
    // Its worker may hear of the answer's end after another has met the first failure, and then that is forgotten.
    until("it is logged", || (proxy.exchanges().len() == 5).then_some(()));
    get(proxy.address(), "/closed");
    get(proxy.address(), "/closed");
    let down = proxy.log.wait("server app/a is DOWN");
    assert!(down.contains("last one was: Close from server (http)"), "{down}");
}
