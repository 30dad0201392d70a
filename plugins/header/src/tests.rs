use lb_policy::{
    Value,
    testing::{Request, Scene, servers},
};

use super::*;

fn scene(settings: &[(&str, Value)]) -> Result<Scene<Header>, Refusal> {
    let settings: Vec<_> =
        [("name", "X-Session".into())].into_iter().chain(settings.iter().cloned()).collect();
    Scene::new(servers(&[1, 1, 1]), &settings)
}

fn session(value: &str) -> Request {
    Request::get("/").header("x-session", value)
}

/// A request that the balancer would send to `server`: who serves it?
fn serve(scene: &mut Scene<Header>, request: &Request, server: u32) -> u32 {
    let affinity = scene.recall(request);
    let server = affinity.as_ref().and_then(|affinity| affinity.server).unwrap_or(server);
    scene.respond(request, server, affinity.as_ref());
    server
}

#[test]
fn a_value_stays_where_it_was_served_first() {
    let mut scene = scene(&[]).expect("good settings");
    assert_eq!(serve(&mut scene, &session("a"), 2), 2);
    assert_eq!(serve(&mut scene, &session("b"), 1), 1);
    assert_eq!([serve(&mut scene, &session("a"), 0), serve(&mut scene, &session("b"), 0)], [2, 1]);
    assert_eq!(serve(&mut scene, &Request::get("/"), 0), 0);
    assert_eq!(serve(&mut scene, &session(""), 0), 0);
    assert_eq!(serve(&mut scene, &session(""), 1), 1);
}

#[test]
fn a_value_whose_server_is_down_moves_for_good() {
    let mut scene = scene(&[]).expect("good settings");
    serve(&mut scene, &session("a"), 2);
    scene.down(2);
    assert_eq!(scene.recall(&session("a")).expect("a key").standing, Standing::Down);
    assert_eq!(serve(&mut scene, &session("a"), 0), 0);
    scene.up(2);
    assert_eq!(serve(&mut scene, &session("a"), 1), 0);
}

#[test]
fn a_value_is_forgotten_after_its_time() {
    let mut scene = scene(&[("expire", 60_000.into())]).expect("good settings");
    serve(&mut scene, &session("a"), 2);
    scene.advance_ms(60_000);
    assert_eq!(serve(&mut scene, &session("a"), 0), 2);
    scene.advance_ms(61_000);
    assert_eq!(serve(&mut scene, &session("a"), 0), 0);
}

#[test]
fn what_is_noted_outlives_a_reload_by_the_servers_names() {
    let mut scene = scene(&[]).expect("good settings");
    serve(&mut scene, &session("a"), 2);
    serve(&mut scene, &session("b"), 0);
    let others = servers(&[1, 1, 1]).split_off(1);
    scene.reconfigure(others.clone(), &[("name", "x-session".into())]).expect("good settings");
    assert_eq!(serve(&mut scene, &session("a"), 0), 1);
    assert_eq!(serve(&mut scene, &session("b"), 0), 0);
    scene.reconfigure(others, &[("name", "x-user".into())]).expect("good settings");
    assert_eq!(scene.recall(&Request::get("/").header("x-user", "a")).expect("a key").server, None);
}

#[test]
fn only_news_are_to_be_asked_about() {
    let mut scene = scene(&[]).expect("good settings");
    let affinity = scene.recall(&session("a"));
    assert_eq!(scene.respond(&session("a"), 1, affinity.as_ref()).reusable_ms, 0);
    let affinity = scene.recall(&session("a"));
    assert_eq!(affinity.as_ref().map(|affinity| affinity.standing), Some(Standing::Valid));
    assert_eq!(scene.respond(&session("a"), 1, affinity.as_ref()).reusable_ms, FOREVER);
    assert_eq!(scene.respond(&Request::get("/"), 1, None).reusable_ms, FOREVER);
}

#[test]
fn wrong_settings_are_refused() {
    for (setting, value) in
        [("name", "a b".into()), ("name", "".into()), ("size", 7.into()), ("size", 1_048_577.into())]
    {
        let given = if setting == "name" { vec![] } else { vec![("name", "x".into())] };
        let settings: Vec<_> = given.into_iter().chain([(setting, value)]).collect();
        let refusal = Scene::<Header>::new(servers(&[1]), &settings).expect_err("refused");
        assert_eq!(refusal.setting.as_deref(), Some(setting));
    }
}
