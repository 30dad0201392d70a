use super::*;
use crate::{Description, HeaderEdit, Setting, candidates, log, request, servers as there};

/// Picks the least loaded, if the request has the header `x-go`, and binds clients by a cookie.
#[derive(Debug)]
struct Probe {
    candidates: Vec<Candidate>,
    latencies: Vec<u64>,
}

impl Policy for Probe {
    fn describe() -> Description {
        Description::new("probe", "1", "for tests").settings([
            Setting::text("mode", "").default("a").choices(&["a", "b"]),
            Setting::duration("time", "").required(),
        ])
    }

    fn configure(settings: Settings, servers: Vec<Server>) -> Result<Self, Refusal> {
        log::write(Level::Info, settings.text("mode"));
        if request::path().is_empty() && settings.duration_ms("time") > 0 {
            Ok(Self { candidates: Vec::new(), latencies: vec![0; servers.len()] })
        } else {
            Err(Refusal::of("time", "too short"))
        }
    }
}

impl Balancer for Probe {
    fn update(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
    }

    fn pick(&mut self, arrival: Arrival) -> Option<u32> {
        request::header("X-GO")?;
        let loads = candidates::loads();
        assert_eq!(loads[0], candidates::load(0));
        let others = (0..self.candidates.len()).filter(|at| arrival.failed != Some(*at as u32));
        others.min_by_key(|at| loads[*at]).map(|at| at as u32)
    }
}

impl Feedback for Probe {
    fn observe(&mut self, outcome: Outcome) {
        self.latencies[outcome.server as usize] += outcome.latency_us;
    }
}

impl Persistence for Probe {
    fn place(&self) -> Key {
        Key::Cookie("id".into())
    }

    fn recall(&mut self, visit: Visit) -> Affinity {
        let server = visit.value.parse().ok().filter(|server| there::usable(*server));
        let standing = if server.is_some() { Standing::Valid } else { Standing::Unknown };
        Affinity { server, standing, key: KeyEdit::Remove, note: 7, reusable_ms: 0 }
    }

    fn respond(&mut self, reply: Reply) -> Amendment {
        let headers = if reply.note == 0 && request::method() == "POST" {
            vec![HeaderEdit::Remove("x".into())]
        } else {
            Vec::new()
        };
        Amendment { key: KeyEdit::Keep, headers, reusable_ms: 0 }
    }
}

crate::export!(Probe: Balancer + Feedback + Persistence);

fn scene() -> Scene<Probe> {
    Scene::new(servers(&[1, 1, 1]), &[("time", 5.into())]).expect("good settings")
}

#[test]
fn settings_are_held_against_the_description() {
    let refused = |settings: &[(&str, Value)]| {
        Scene::<Probe>::new(servers(&[1]), settings).expect_err("a refusal").setting.expect("a name")
    };
    assert_eq!(refused(&[]), "time");
    assert_eq!(refused(&[("time", 0.into())]), "time");
    assert_eq!(refused(&[("time", "1s".into())]), "time");
    assert_eq!(refused(&[("time", 1.into()), ("mode", "c".into())]), "mode");
    assert_eq!(refused(&[("time", 1.into()), ("more", "c".into())]), "more");
}

#[test]
fn picks_are_servers_whatever_the_candidates() {
    let mut scene = scene();
    let go = Request::get("/").header("x-go", "");
    assert_eq!(scene.pick(&Request::get("/")), None);
    scene.load(0, 2);
    scene.load(1, 1);
    assert_eq!(scene.pick(&go), Some(2));
    assert_eq!(scene.retry(&go, 2), Some(1));
    scene.down(2);
    scene.weight(1, 0);
    assert_eq!(scene.pick(&go), Some(0));
    scene.up(2);
    assert_eq!(scene.shares(core::iter::repeat_n(go, 3)), [0, 0, 3]);
}

#[test]
fn outcomes_are_handed_over() {
    let mut scene = scene();
    scene.answered(1, 200, 5);
    scene.failed(1, Verdict::Broken, 3);
    assert_eq!(scene.policy().latencies, [0, 8, 0]);
}

#[test]
fn each_cookie_is_asked_about_until_one_names_a_server() {
    let mut scene = scene();
    let request = Request::new("POST", "/").cookie("id", "x").cookie("other", "1").cookie("id", "2");
    let affinity = scene.recall(&request).expect("a key");
    assert_eq!((affinity.server, affinity.standing), (Some(2), Standing::Valid));
    assert_eq!(scene.recall(&Request::get("/")), None);
    assert!(scene.respond(&request, 2, Some(&affinity)).headers.is_empty());
    assert_eq!(scene.respond(&request, 2, None).headers, [HeaderEdit::Remove("x".into())]);
    scene.down(2);
    assert_eq!(scene.recall(&request).expect("a key").server, None);
}

#[test]
fn the_log_is_kept_and_the_world_is_gone_after_a_call() {
    let mut scene = scene();
    scene.reconfigure(servers(&[1]), &[("time", 5.into()), ("mode", "b".into())]).expect("good settings");
    assert_eq!(scene.log(), [(Level::Info, "a".into()), (Level::Info, "b".into())]);
    scene.pick(&Request::get("/gone").header("x-go", ""));
    assert_eq!((request::path(), candidates::loads()), (String::new(), Vec::new()));
}

#[test]
fn requests_are_the_same_for_the_same_seed() {
    let paths = |seed| requests(seed).take(5).collect::<Vec<_>>();
    assert_eq!(paths(3), paths(3));
    assert_ne!(paths(3), paths(4));
}
