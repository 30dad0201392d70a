//! The balancer `first`: the first server, in the order of the configuration, that has a free place.
//!
//! It is HAProxy's `balance first`: the load stays on as few servers as it fits, so that the others can be switched off
//! while they idle. Weights do not matter. How many requests a server takes at once is not among what a policy is
//! told of a server, so it is said here: by the setting `maxconn` for all servers, by a server's label `maxconn` for
//! that one; keep them at the servers' own `maxconn` or below. Where every place is taken it passes, so that the next
//! policy of the list says whose queue the request joins. A retry goes back to the server that failed only where no
//! other has a place.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::vec::Vec;

use lb_policy::{
    Arrival, Balancer, Candidate, Description, Policy, Refusal, Server, Setting, Settings, candidates,
};

/// The policy.
#[derive(Debug)]
pub struct First {
    /// The places of each server.
    places: Vec<u32>,
    /// Those of each candidate.
    limits: Vec<u32>,
}

impl Policy for First {
    fn describe() -> Description {
        let maxconn = Setting::integer(
            "maxconn",
            "How many requests a server takes at once, where its label `maxconn` does not say.",
        );
        let summary = "the first server that has a free place";
        Description::new("first", env!("CARGO_PKG_VERSION"), summary).setting(maxconn)
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        let default = match u32::try_from(settings.integer("maxconn")) {
            Ok(0) if settings.has("maxconn") => None,
            Ok(places) => Some(places),
            Err(_) => None,
        };
        let default = default.ok_or_else(|| Refusal::of("maxconn", "give a number from 1 to 4294967295"))?;
        let places = servers.iter().map(|server| places(server, default)).collect::<Result<_, _>>()?;
        Ok(Self { places, limits: Vec::new() })
    }
}

/// The places of a server, by its label or else as `default`, where that is not 0.
fn places(server: &Server, default: u32) -> Result<u32, Refusal> {
    let label = server.labels.iter().find(|(key, _)| key == "maxconn");
    match label.map(|(_, value)| value.parse()) {
        Some(Ok(places @ 1..)) => Ok(places),
        Some(_) => {
            let message =
                ["the label `maxconn` of server ", &server.name, " is no number from 1 to 4294967295"];
            Err(Refusal::whole(message.concat()))
        }
        None if default > 0 => Ok(default),
        None => {
            let message = [
                "how many requests server ",
                &server.name,
                " takes at once is not said: give `maxconn`, or the \
                 server a label of this name",
            ];
            Err(Refusal::whole(message.concat()))
        }
    }
}

impl Balancer for First {
    fn update(&mut self, candidates: Vec<Candidate>) {
        let places = |candidate: &Candidate| self.places.get(candidate.server as usize).copied().unwrap_or(0);
        self.limits = candidates.iter().map(places).collect();
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        let loads = candidates::loads();
        let free = |candidate: &u32| {
            let candidate = *candidate as usize;
            loads.get(candidate).zip(self.limits.get(candidate)).is_some_and(|(load, limit)| load < limit)
        };
        let others = (0..self.limits.len() as u32).filter(|candidate| Some(*candidate) != arrival.failed);
        others.chain(arrival.failed).find(free)
    }
}

lb_policy::export!(First: Balancer);

#[cfg(test)]
mod tests {
    use lb_policy::testing::{Request, Scene, servers};
    use proptest::prelude::*;

    use super::*;

    fn scene(maxconn: i64, count: usize) -> Scene<First> {
        Scene::new(servers(&vec![1; count]), &[("maxconn", maxconn.into())]).expect("good settings")
    }

    #[test]
    fn a_server_without_a_limit_is_refused() {
        let refused = |servers, settings: &[(&str, lb_policy::Value)]| {
            Scene::<First>::new(servers, settings).expect_err("refused")
        };
        assert!(refused(servers(&[1]), &[]).message.contains("server s0"));
        for maxconn in [0, -1, 1 << 32] {
            let refusal = refused(servers(&[1]), &[("maxconn", maxconn.into())]);
            assert_eq!(refusal.setting.as_deref(), Some("maxconn"));
        }
        let mut labelled = servers(&[1]);
        labelled[0].labels = vec![("maxconn".into(), "many".into())];
        assert!(refused(labelled, &[("maxconn", 1.into())]).message.contains("label"));
    }

    #[test]
    fn a_label_says_it_for_one_server() {
        let mut servers = servers(&[1, 1]);
        servers[0].labels = vec![("maxconn".into(), "5".into())];
        servers[1].labels = vec![("maxconn".into(), "1".into())];
        let mut scene = Scene::<First>::new(servers, &[]).expect("good labels");
        scene.load(0, 4);
        assert_eq!(scene.pick(&Request::get("/")), Some(0));
        scene.load(0, 5);
        assert_eq!(scene.pick(&Request::get("/")), Some(1));
    }

    #[test]
    fn full_servers_are_passed_over_and_all_full_is_passed_on() {
        let mut scene = scene(2, 3);
        let mut pick = |loads: [u32; 3], failed| {
            (0..).zip(loads).for_each(|(server, load)| scene.load(server, load));
            match failed {
                None => scene.pick(&Request::get("/")),
                Some(failed) => scene.retry(&Request::get("/"), failed),
            }
        };
        assert_eq!(pick([1, 0, 0], None), Some(0));
        assert_eq!(pick([2, 2, 0], None), Some(2));
        assert_eq!(pick([2, 3, 2], None), None);
        assert_eq!(pick([0, 0, 0], Some(0)), Some(1));
        assert_eq!(pick([0, 2, 2], Some(0)), Some(0));
    }

    #[test]
    fn a_server_that_is_down_is_not_counted() {
        let mut scene = scene(1, 3);
        scene.down(0);
        scene.load(1, 1);
        assert_eq!(scene.pick(&Request::get("/")), Some(2));
    }

    proptest! {
        #[test]
        fn nobody_before_the_pick_has_a_place(loads in prop::collection::vec(0_u32..6, 1..30), maxconn in 1_u32..5) {
            let mut scene = scene(maxconn.into(), loads.len());
            (0..).zip(&loads).for_each(|(server, load)| scene.load(server, *load));
            let expected = loads.iter().position(|load| *load < maxconn);
            prop_assert_eq!(scene.pick(&Request::get("/")).map(|server| server as usize), expected);
        }
    }
}
