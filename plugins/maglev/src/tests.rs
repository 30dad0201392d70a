use std::collections::BTreeSet;

use lb_policy::{
    Value,
    testing::{Request, Scene, requests, servers},
};
use proptest::prelude::*;

use super::*;

fn by_client(weights: &[u32], more: &[(&str, Value)]) -> Scene<Maglev> {
    let settings: Vec<_> = [("key", "client".into())].into_iter().chain(more.iter().cloned()).collect();
    Scene::new(servers(weights), &settings).expect("good settings")
}

/// The example of the paper: three servers, seven entries.
#[test]
fn the_table_is_that_of_the_paper() {
    let order = |offset, skip: u64| table::Order::new(offset, skip - 1, 7);
    let orders = [order(3, 4), order(0, 2), order(3, 1)];
    let all = table::table(orders.into_iter().map(|order| (order, 1)), 7);
    assert_eq!(all, [1, 0, 1, 0, 2, 2, 0]);
    let without_the_second = table::table([orders[0], orders[2]].into_iter().map(|order| (order, 1)), 7);
    assert_eq!(without_the_second, [0, 0, 0, 0, 1, 1, 1]);
}

#[test]
fn sizes_that_are_no_primes_in_range_are_refused() {
    for size in [-1, 0, 97, 65_536, 131_072, 131_101] {
        let settings = [("key", "client".into()), ("table_size", size.into())];
        let refusal = Scene::<Maglev>::new(servers(&[1]), &settings).expect_err("refused");
        assert_eq!(refusal.setting.as_deref(), Some("table_size"), "{size}");
    }
    assert!([101, 251, 1_021, 4_093, 16_381, 65_537, 131_071].into_iter().all(table::is_prime));
    assert!(![0, 1, 4, 121, 65_535].into_iter().any(table::is_prime));
}

#[test]
fn a_key_has_one_server_and_a_request_without_it_is_passed_on() {
    let settings = [("key", "cookie".into()), ("name", "id".into())];
    let mut scene = Scene::<Maglev>::new(servers(&[1; 8]), &settings).expect("good settings");
    let client = |id: u32| Request::get("/").cookie("id", &id.to_string());
    let home = scene.pick(&client(1));
    assert!(home.is_some() && (0..20).all(|_| scene.pick(&client(1)) == home));
    let all: BTreeSet<_> = (0..200).map(|id| scene.pick(&client(id))).collect();
    assert_eq!(all.len(), 8);
    assert_eq!(scene.pick(&Request::get("/")), None);
    assert_ne!(scene.retry(&client(1), home.expect("a server")), home);
}

#[test]
fn a_busy_server_passes_keys_on() {
    let mut scene = by_client(&[1; 4], &[("balance_factor", 125.into())]);
    let home = scene.pick(&Request::get("/")).expect("a server");
    scene.load(home, 100);
    assert_ne!(scene.pick(&Request::get("/")), Some(home));
}

fn entries(weights: &[u32]) -> Vec<u32> {
    let order = |name: usize| {
        let name = name.to_string();
        table::Order::new(xxh64(name.as_bytes(), 0), xxh64(name.as_bytes(), 1), 65_537)
    };
    table::table((0..weights.len()).map(order).zip(weights.iter().copied()), 65_537)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_server_has_its_share_of_the_entries(weights in prop::collection::vec(1_u32..=256, 1..50)) {
        let table = entries(&weights);
        let total: u32 = weights.iter().sum();
        for (candidate, weight) in (0..).zip(&weights) {
            let entries = table.iter().filter(|entry| **entry == candidate).count() as f64;
            let share = 65_537.0 * f64::from(*weight) / f64::from(total);
            prop_assert!((entries - share).abs() <= 2.0, "{entries} instead of {share}");
        }
    }

    /// A server that leaves: nearly all entries of the others stay (the paper, section 5.3).
    #[test]
    fn few_other_entries_move_when_a_server_leaves(count in 2_usize..40, leaver in any::<prop::sample::Index>()) {
        let leaver = leaver.index(count) as u32;
        let mut scene = by_client(&vec![1; count], &[]);
        let homes = |scene: &mut Scene<Maglev>| -> Vec<_> {
            requests(5).take(2_000).map(|request| scene.pick(&request)).collect()
        };
        let before = homes(&mut scene);
        scene.down(leaver);
        let during = homes(&mut scene);
        let moved = before.iter().zip(&during).filter(|(before, during)| before != during);
        let others = moved.filter(|(before, _)| **before != Some(leaver)).count();
        prop_assert!(others < 2_000 * 3 / 100, "{others} of 2,000");
        scene.up(leaver);
        prop_assert_eq!(homes(&mut scene), before);
    }
}
