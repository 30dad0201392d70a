//! Runs the policy natively, in a scene of servers, outcomes and a clock.

use lb_policy::Verdict;
use lb_policy::testing::{Request, Scene, servers};
use policy::Outlier;

/// Three servers; two failures are too many; the first rest takes a second.
fn scene() -> Scene<Outlier> {
    let settings = [("errors", 2.into()), ("rest", 1_000.into())];
    Scene::new(servers(&[1, 1, 1]), &settings).expect("it takes the settings")
}

fn picks(scene: &mut Scene<Outlier>) -> Vec<Option<u32>> {
    scene.sequence(0);
    (0..3).map(|_| scene.pick(&Request::get("/"))).collect()
}

const ALL: [Option<u32>; 3] = [Some(0), Some(1), Some(2)];
const WITHOUT_1: [Option<u32>; 3] = [Some(0), Some(2), Some(0)];

#[test]
fn a_server_that_fails_again_and_again_rests_for_a_while() {
    let mut scene = scene();
    assert_eq!(picks(&mut scene), ALL);
    scene.answered(1, 500, 10);
    assert_eq!(picks(&mut scene), ALL);
    scene.failed(1, Verdict::TimedOut, 10);
    assert_eq!(picks(&mut scene), WITHOUT_1);
    scene.advance_ms(1_000);
    assert_eq!(picks(&mut scene), ALL);
    assert_eq!(scene.log().len(), 1);
}

#[test]
fn a_good_answer_in_between_is_as_good_as_a_fresh_start() {
    let mut scene = scene();
    for status in [500, 200, 503, 404, 500] {
        scene.answered(1, status, 10);
    }
    assert_eq!(picks(&mut scene), ALL);
}

#[test]
fn the_second_rest_is_twice_as_long() {
    let mut scene = scene();
    for rest_ms in [1_000, 2_000, 4_000] {
        scene.answered(1, 500, 10);
        scene.answered(1, 500, 10);
        scene.advance_ms(rest_ms - 1);
        assert_eq!(picks(&mut scene), WITHOUT_1);
        scene.advance_ms(1);
        assert_eq!(picks(&mut scene), ALL);
    }
}

#[test]
fn nobody_rests_where_most_would() {
    let mut scene = scene();
    for server in [0, 1] {
        scene.answered(server, 500, 10);
        scene.answered(server, 500, 10);
    }
    assert_eq!(picks(&mut scene), ALL);
}

#[test]
fn a_client_that_leaves_says_nothing_about_the_server() {
    let mut scene = scene();
    for _ in 0..5 {
        scene.failed(1, Verdict::Abandoned, 10);
    }
    assert_eq!(picks(&mut scene), ALL);
}

#[test]
fn a_retry_goes_elsewhere() {
    let mut scene = scene();
    for _ in 0..6 {
        assert_ne!(scene.retry(&Request::get("/"), 1), Some(1));
    }
}

#[test]
fn refuses_to_count_to_nothing() {
    let refusal = Scene::<Outlier>::new(servers(&[1]), &[("errors", 0.into())]).expect_err("a refusal");
    assert_eq!(refusal.setting.as_deref(), Some("errors"));
}
