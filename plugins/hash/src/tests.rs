use std::collections::BTreeSet;

use lb_policy::{
    Value,
    testing::{Request, Scene, requests, servers},
};
use proptest::prelude::*;

use super::*;

fn by_client(weights: &[u32], more: &[(&str, Value)]) -> Scene<Hash> {
    let settings: Vec<_> = [("key", "client".into())].into_iter().chain(more.iter().cloned()).collect();
    Scene::new(servers(weights), &settings).expect("good settings")
}

fn map_based() -> [(&'static str, Value); 1] {
    [("type", "map-based".into())]
}

/// Who serves each of some clients.
fn homes(scene: &mut Scene<Hash>) -> Vec<Option<u32>> {
    requests(5).take(1_500).map(|request| scene.pick(&request)).collect()
}

#[test]
fn a_key_has_one_server_and_a_request_without_it_is_passed_on() {
    let settings = [("key", "header".into()), ("name", "x-user".into())];
    let mut scene = Scene::<Hash>::new(servers(&[1; 8]), &settings).expect("good settings");
    let user = |name: &str| Request::get("/").header("x-user", name);
    let home = scene.pick(&user("7"));
    assert!(home.is_some() && (0..20).all(|_| scene.pick(&user("7")) == home));
    let all: BTreeSet<_> = (0..200).map(|name| scene.pick(&user(&name.to_string()))).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(scene.pick(&Request::get("/")), None);
}

#[test]
fn wrong_settings_are_refused() {
    let refused = |settings: &[(&str, Value)]| {
        Scene::<Hash>::new(servers(&[1]), settings).expect_err("refused").setting.expect("a name")
    };
    assert_eq!(refused(&[("key", "path".into())]), "key");
    assert_eq!(refused(&[("key", "header".into())]), "key");
    assert_eq!(refused(&[("key", "uri".into()), ("type", "ring".into())]), "type");
    assert_eq!(refused(&[("key", "uri".into()), ("balance_factor", 50.into())]), "balance_factor");
}

#[test]
fn the_order_of_the_configuration_does_not_matter_to_a_ring() {
    let mut turned = servers(&[1; 10]);
    turned.rotate_left(3);
    let mut scene = by_client(&[1; 10], &[]);
    let mut other = Scene::<Hash>::new(turned, &[("key", "client".into())]).expect("good settings");
    let there: Vec<_> =
        homes(&mut other).into_iter().map(|home| home.map(|server| (server + 3) % 10)).collect();
    assert_eq!(homes(&mut scene), there);
}

#[test]
fn a_retry_goes_to_the_next_in_place() {
    for more in [&[][..], &map_based(), &[("balance_factor", 150.into())]] {
        let mut scene = by_client(&[1; 5], more);
        for request in requests(1).take(100) {
            let home = scene.pick(&request).expect("a server");
            let next = scene.retry(&request, home).expect("a server");
            assert_ne!(next, home);
            scene.down(home);
            assert_eq!(more.is_empty().then(|| scene.pick(&request)), more.is_empty().then_some(Some(next)));
            scene.up(home);
        }
    }
}

#[test]
fn a_busy_server_passes_keys_to_the_next() {
    let mut scene = by_client(&[1; 4], &[("balance_factor", 125.into())]);
    let request = Request::get("/");
    let home = scene.pick(&request).expect("a server");
    scene.load(home, 100);
    assert_ne!(scene.pick(&request), Some(home));
    (0..4).for_each(|server| scene.load(server, 100));
    assert_eq!(scene.pick(&request), Some(home));
}

#[test]
fn exact_shares_of_a_map_follow_the_weights() {
    let mut scene = by_client(&[3, 1], &map_based());
    let shares = scene.shares(requests(2).take(20_000));
    assert!((14_500..15_500).contains(&shares[0]), "{shares:?}");
}

proptest! {
    #[test]
    fn shares_of_a_ring_are_about_fair(weights in prop::collection::vec(4_u32..=16, 2..12)) {
        let heaviest = weights.iter().max().copied().expect("weights");
        let total: u32 = weights.iter().sum();
        let shares = by_client(&weights, &[]).shares(requests(3).take(8_000));
        for (share, weight) in shares.iter().zip(&weights) {
            let expected = 8_000.0 * f64::from(*weight) / f64::from(total);
            // Five standard deviations of a share of that many points.
            let points = f64::from(160 * weight / heaviest);
            let tolerance = 5.0 / points.sqrt() + 0.05;
            prop_assert!((*share as f64 / expected - 1.0).abs() < tolerance, "{shares:?} for {weights:?}");
        }
    }

    /// Only the keys of the server that leaves move, and when it is back they are back.
    #[test]
    fn no_other_key_moves_when_a_server_leaves(weights in prop::collection::vec(1_u32..=16, 2..12), leaver in any::<prop::sample::Index>()) {
        let leaver = leaver.index(weights.len()) as u32;
        let mut scene = by_client(&weights, &[]);
        let before = homes(&mut scene);
        scene.down(leaver);
        let during = homes(&mut scene);
        for (before, during) in before.iter().zip(&during) {
            prop_assert!(before == during || *before == Some(leaver));
            prop_assert!(*during != Some(leaver));
        }
        scene.up(leaver);
        prop_assert_eq!(homes(&mut scene), before);
    }

    /// A server that starts slowly takes keys and gives none away.
    #[test]
    fn a_weight_that_grows_only_takes(weights in prop::collection::vec(2_u32..=16, 2..8)) {
        let mut scene = by_client(&weights, &[]);
        scene.weight(0, 1);
        let before = homes(&mut scene);
        scene.weight(0, weights[0]);
        for (before, after) in before.iter().zip(homes(&mut scene)) {
            prop_assert!(*before == after || after == Some(0));
        }
    }
}
