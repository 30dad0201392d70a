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

fn entries(weights: &[u32], size: u32) -> Vec<u32> {
    table::table(orders(weights.len(), size).into_iter().zip(weights.iter().copied()), size)
}

fn orders(count: usize, size: u32) -> Vec<table::Order> {
    let order = |name: usize| {
        let name = name.to_string();
        table::Order::new(xxh64(name.as_bytes(), 0), xxh64(name.as_bytes(), 1), size)
    };
    (0..count).map(order).collect()
}

/// Whether each server has its exact share of the entries, rounded down or up.
fn shares_are_kept(weights: &[u32], size: u32) -> Result<(), String> {
    let table = entries(weights, size);
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    for (candidate, weight) in (0..).zip(weights) {
        let entries = table.iter().filter(|entry| **entry == candidate).count() as u64;
        let exact = u64::from(size) * u64::from(*weight);
        if ![exact / total, exact.div_ceil(total)].contains(&entries) {
            return Err(format!("{entries} entries for a weight of {weight} in {total}"));
        }
    }
    Ok(())
}

/// Many weights that are no multiples of each other: turns by weight alone end two and more entries away.
#[test]
fn shares_are_kept_where_turns_do_not_come_out_even() {
    let weights = [
        229, 16, 166, 130, 43, 11, 218, 167, 113, 138, 169, 108, 111, 138, 35, 31, 90, 69, 190, 49, 22, 65,
        115,
    ];
    shares_are_kept(&weights, 65_537).expect("shares");
    let one_heavy: Vec<u32> = [256].into_iter().chain([1; 49]).collect();
    shares_are_kept(&one_heavy, 65_537).expect("shares");
    shares_are_kept(&[1; 101], 101).expect("shares");
    shares_are_kept(&[2; 150], 101).expect("shares");
}

proptest! {
    #[test]
    fn every_server_has_its_share_of_the_entries(
        weights in prop::collection::vec(1_u32..=256, 1..50),
        size in prop::sample::select(vec![101_u32, 251, 1_021, 4_093]),
    ) {
        prop_assert_eq!(shares_are_kept(&weights, size), Ok(()));
    }
}

/// A server that leaves: nearly all entries of the others stay (the paper, section 5.3).
#[test]
fn few_other_entries_move_when_a_server_leaves() {
    let size = 4_093;
    for count in [2, 3, 5, 8, 13, 21, 34] {
        let before = entries(&vec![1; count], size);
        for leaver in 0..count as u32 {
            let orders = orders(count, size).into_iter().zip(0..);
            let stayed: Vec<_> = orders.filter(|(_, server)| *server != leaver).collect();
            let during = table::table(stayed.iter().map(|(order, _)| (*order, 1)), size);
            let moved = before
                .iter()
                .zip(during)
                .filter(|(before, during)| **before != leaver && **before != stayed[*during as usize].1);
            let others = moved.count();
            assert!(others < size as usize * 4 / 100, "{others} of {size} as {leaver} of {count} leaves");
        }
    }
}

#[test]
fn keys_are_back_when_their_server_is_back() {
    let mut scene = by_client(&[1, 5, 3, 3], &[("table_size", 1_021.into())]);
    let homes = |scene: &mut Scene<Maglev>| -> Vec<_> {
        requests(5).take(500).map(|request| scene.pick(&request)).collect()
    };
    let before = homes(&mut scene);
    scene.down(1);
    assert!(!homes(&mut scene).contains(&Some(1)));
    scene.up(1);
    assert_eq!(homes(&mut scene), before);
}
