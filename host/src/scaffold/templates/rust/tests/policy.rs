//! Runs the policy natively, in a scene of servers, loads and a clock.

use lb_policy::testing::{Request, Scene, servers};
use policy::Turns;

#[test]
fn takes_the_candidates_in_turn() {
    let mut scene = Scene::<Turns>::new(servers(&[1, 1, 1]), &[("first", 1.into())]).expect("it takes the settings");
    let picks: Vec<_> = (0..4).map(|_| scene.pick(&Request::get("/"))).collect();
    assert_eq!(picks, [Some(1), Some(2), Some(0), Some(1)]);
}

#[test]
fn refuses_a_negative_first() {
    let refusal = Scene::<Turns>::new(servers(&[1]), &[("first", (-1).into())]).expect_err("a refusal");
    assert_eq!(refusal.setting.as_deref(), Some("first"));
}
