//! What must hold of places and lines: a limit is never passed, nobody overtakes, nobody is forgotten.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::task::Waker;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::backend::fixtures;
use crate::config::model;

fn backend(maxconns: &[Option<u32>], redispatch: bool) -> Arc<Backend> {
    let servers = maxconns.iter().map(|&maxconn| model::Server { maxconn, ..fixtures::server("s") });
    fixtures::backend(model::Backend { redispatch, ..fixtures::config("b") }, servers.collect())
}

fn ready(backend: &Arc<Backend>, server: usize, binding: Binding) -> Slot {
    match backend.clone().place(server, binding) {
        Place::Ready(slot) => slot,
        Place::Wait(waiting) => panic!("{waiting:?}"),
    }
}

fn waiting(backend: &Arc<Backend>, server: usize, binding: Binding) -> Waiting {
    match backend.clone().place(server, binding) {
        Place::Wait(waiting) => waiting,
        Place::Ready(slot) => panic!("{slot:?}"),
    }
}

fn turn(waiting: &mut Waiting) -> Option<Result<usize, Evicted>> {
    slot(waiting).map(|turn| turn.map(|slot| slot.index()))
}

fn slot(waiting: &mut Waiting) -> Option<Result<Slot, Evicted>> {
    match Pin::new(waiting).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(turn) => Some(turn),
        Poll::Pending => None,
    }
}

fn assert_idle(backend: &Backend) {
    assert!(backend.servers.iter().all(|s| s.in_flight.load(SeqCst) == 0 && s.queued.load(SeqCst) == 0));
    assert_eq!(backend.waiting(), 0);
    let lines = backend.queue.lock();
    assert!(lines.free.is_empty() && lines.bound.is_empty());
}

#[test]
fn a_server_without_maxconn_is_never_full() {
    let backend = backend(&[None], false);
    let slots: Vec<Slot> = (0..100).map(|_| ready(&backend, 0, Binding::Bound)).collect();
    assert_eq!(backend.servers[0].in_flight.load(SeqCst), 100);
    drop(slots);
    assert_idle(&backend);
}

#[test]
fn a_bound_request_waits_for_its_server_and_a_free_one_takes_the_next() {
    let backend = backend(&[Some(1), Some(1), Some(1)], false);
    let _first = ready(&backend, 1, Binding::Bound);
    let bound = waiting(&backend, 1, Binding::Bound);
    assert_eq!((bound.position, backend.servers[1].queued.load(SeqCst)), (1, 1));
    let free = ready(&backend, 1, Binding::Free);
    assert_eq!(free.index(), 2);
    let wrapped = ready(&backend, 1, Binding::Free);
    assert_eq!(wrapped.index(), 0);
    let nowhere = waiting(&backend, 1, Binding::Free);
    assert_eq!((nowhere.position, backend.waiting()), (1, 1));
}

#[test]
fn a_place_goes_to_whoever_waited_longest_in_either_line() {
    // The order that HAProxy 2.6 serves eight requests in, of which the sixth and seventh have a cookie.
    let backend = backend(&[Some(1), Some(1)], false);
    let a = ready(&backend, 0, Binding::Free);
    let b = ready(&backend, 1, Binding::Free);
    let [mut r3, mut r4, mut r5] = [(); 3].map(|()| waiting(&backend, 0, Binding::Free));
    let [mut r6, mut r7] = [(); 2].map(|()| waiting(&backend, 0, Binding::Bound));
    let mut r8 = waiting(&backend, 0, Binding::Free);
    assert_eq!([&r3, &r4, &r5, &r6, &r7, &r8].map(|r| r.position), [1, 2, 3, 1, 2, 4]);

    drop(a);
    let a = slot(&mut r3).expect("its turn").expect("a place");
    drop(b);
    let b = slot(&mut r4).expect("its turn").expect("a place");
    assert_eq!((a.index(), b.index()), (0, 1));
    drop(a);
    let a = slot(&mut r5).expect("its turn").expect("a place");
    drop(b);
    let b = slot(&mut r8).expect("its turn").expect("a place");
    assert_eq!((a.index(), b.index()), (0, 1));
    drop(a);
    assert_eq!(turn(&mut r7), None);
    let a = slot(&mut r6).expect("its turn").expect("a place");
    drop(a);
    assert_eq!(turn(&mut r7), Some(Ok(0)));
    drop(b);
    assert_idle(&backend);
}

#[test]
fn newcomers_join_the_line_behind_those_who_wait() {
    let backend = backend(&[Some(1)], false);
    let held = ready(&backend, 0, Binding::Bound);
    let mut first = waiting(&backend, 0, Binding::Bound);
    drop(held);
    // The place is the first's, though it has not looked yet.
    let mut second = waiting(&backend, 0, Binding::Free);
    assert_eq!(turn(&mut second), None);
    assert_eq!(turn(&mut first), Some(Ok(0)));
    assert_eq!(turn(&mut second), Some(Ok(0)));
    assert_idle(&backend);
}

#[test]
fn who_gives_up_leaves_the_line_and_passes_on_a_place_that_was_given() {
    let backend = backend(&[Some(1)], false);
    let held = ready(&backend, 0, Binding::Bound);
    let [first, second, mut third] = [(); 3].map(|()| waiting(&backend, 0, Binding::Bound));
    drop(first);
    assert_eq!(backend.servers[0].queued.load(SeqCst), 2);
    drop(held);
    assert_eq!(turn(&mut third), None);
    drop(second);
    assert_eq!(turn(&mut third), Some(Ok(0)));
    assert_idle(&backend);
}

#[test]
fn with_redispatch_those_who_wait_for_a_server_that_goes_down_choose_again() {
    let backend = backend(&[Some(1), Some(1)], true);
    let _slots = [ready(&backend, 0, Binding::Bound), ready(&backend, 1, Binding::Bound)];
    let [mut first, mut second] = [(); 2].map(|()| waiting(&backend, 0, Binding::Bound));
    let mut free = waiting(&backend, 0, Binding::Free);
    assert_eq!(backend.server_changed(0, false), 2);
    assert!([turn(&mut first), turn(&mut second)].iter().all(|turn| matches!(turn, Some(Err(_)))));
    assert_eq!(turn(&mut free), None);
    assert_eq!(backend.servers[0].queued.load(SeqCst), 0);
}

#[test]
fn without_redispatch_they_wait_on_and_a_server_that_is_down_serves_them_as_it_frees_places() {
    let backend = backend(&[Some(1), Some(1)], false);
    let held = ready(&backend, 0, Binding::Bound);
    let other = ready(&backend, 1, Binding::Bound);
    let mut free = waiting(&backend, 0, Binding::Free);
    let mut bound = waiting(&backend, 0, Binding::Bound);
    assert_eq!(backend.server_changed(0, false), 0);
    drop(held);
    assert_eq!(turn(&mut free), None);
    assert_eq!(turn(&mut bound), Some(Ok(0)));
    drop(other);
    assert_eq!(turn(&mut free), Some(Ok(1)));
}

/// The indices of servers that they have got, in their order; `None` for who still waits, or was sent away.
fn served(waiters: &mut [Waiting], slots: &mut Vec<Slot>) -> Vec<Option<usize>> {
    let one = |waiting: &mut Waiting| {
        let slot = slot(waiting)?.ok()?;
        slots.push(slot);
        slots.last().map(Slot::index)
    };
    waiters.iter_mut().map(one).collect()
}

/// A backend of servers with room for one request each, of which the last one is a backup.
fn with_backup(servers: usize, redispatch: bool) -> Arc<Backend> {
    let server =
        |index| model::Server { maxconn: Some(1), backup: index == servers - 1, ..fixtures::server("s") };
    let config = model::Backend { redispatch, ..fixtures::config("b") };
    fixtures::backend(config, (0..servers).map(server).collect())
}

#[test]
fn a_backup_serves_those_who_wait_once_the_last_active_server_is_down() {
    for redispatch in [false, true] {
        let backend = with_backup(3, redispatch);
        let held = [0, 1].map(|server| ready(&backend, server, Binding::Free));
        let mut waiters = [(); 3].map(|()| waiting(&backend, 0, Binding::Free));
        let mut slots = Vec::new();
        backend.server_changed(0, false);
        assert_eq!(served(&mut waiters, &mut slots), [None; 3], "one active server is left");
        backend.server_changed(1, false);
        assert_eq!(served(&mut waiters, &mut slots), [Some(2), None, None]);
        slots.clear();
        assert_eq!(served(&mut waiters[1..], &mut slots), [Some(2), None]);
        slots.clear();
        assert_eq!(served(&mut waiters[2..], &mut slots), [Some(2)]);
        drop((slots, held));
        assert_idle(&backend);
    }
}

#[test]
fn nobody_waits_for_any_server_where_there_is_none() {
    let backend = with_backup(2, false);
    backend.server_changed(1, false);
    let held = ready(&backend, 0, Binding::Free);
    let mut waiters = [(); 2].map(|()| waiting(&backend, 0, Binding::Free));
    let mut bound = waiting(&backend, 0, Binding::Bound);
    backend.server_changed(0, false);
    assert!(waiters.each_mut().map(slot).iter().all(|turn| matches!(turn, Some(Err(_)))));
    assert!(slot(&mut bound).is_none(), "without redispatch it waits for its server");
    // One that chose the server before, and joins only now, is sent away at once.
    let mut late = waiting(&backend, 0, Binding::Free);
    assert!(matches!(slot(&mut late), Some(Err(_))));
    drop((held, bound));
    assert_idle(&backend);
}

#[test]
fn who_is_bound_to_a_server_that_has_just_gone_down_does_not_begin_to_wait_for_it() {
    let backend = with_backup(2, true);
    let held = ready(&backend, 0, Binding::Bound);
    backend.server_changed(0, false);
    let mut late = waiting(&backend, 0, Binding::Bound);
    assert!(matches!(slot(&mut late), Some(Err(_))));
    drop(held);
    assert_idle(&backend);
}

#[test]
fn who_is_sent_away_and_waits_again_keeps_its_turn() {
    let backend = with_backup(3, true);
    let held = [0, 1].map(|server| ready(&backend, server, Binding::Free));
    let mut bound = [(); 2].map(|()| waiting(&backend, 0, Binding::Bound));
    let mut later = waiting(&backend, 1, Binding::Free);
    backend.server_changed(0, false);
    let mut again = bound.each_mut().map(|waiting| {
        let Some(Err(Evicted { turn })) = slot(waiting) else { panic!("it is sent away") };
        match backend.clone().place_again(1, Binding::Free, Some(turn)) {
            Place::Wait(waiting) => waiting,
            Place::Ready(slot) => panic!("{slot:?}"),
        }
    });
    assert_eq!(again.each_ref().map(|waiting| waiting.position), [1, 2]);
    drop(held);
    let mut slots = Vec::new();
    assert_eq!(served(&mut again, &mut slots), [Some(1), None]);
    slots.clear();
    assert_eq!((turn(&mut later), served(&mut again[1..], &mut slots)), (None, vec![Some(1)]));
    slots.clear();
    assert_eq!(turn(&mut later), Some(Ok(1)));
    assert_idle(&backend);
}

#[test]
fn servers_that_take_over_share_those_who_wait() {
    let backend = backend(&[Some(1), None, None], false);
    for server in [1, 2] {
        backend.server_changed(server, false);
    }
    let _held = ready(&backend, 0, Binding::Free);
    let mut waiters: Vec<Waiting> = (0..4).map(|_| waiting(&backend, 0, Binding::Free)).collect();
    // Both come back at once, as with a source of servers.
    for server in [1, 2] {
        backend.servers[server].set_up(true);
    }
    backend.candidates_changed();
    assert_eq!(served(&mut waiters, &mut Vec::new()), [Some(1), Some(2), Some(1), Some(2)]);
}

#[test]
fn requests_of_the_configuration_before_a_reload_move_on_too() {
    let old = with_backup(2, false);
    let _held = ready(&old, 0, Binding::Free);
    let mut waiters = [(); 2].map(|()| waiting(&old, 0, Binding::Free));
    let new = Backend::new(old.config.clone(), old.servers.clone());
    new.server_changed(0, false);
    let mut slots = Vec::new();
    assert_eq!(served(&mut waiters, &mut slots), [Some(1), None]);
    new.server_changed(1, false);
    assert!(matches!(slot(&mut waiters[1]), Some(Err(_))));
}

#[test]
fn a_server_that_comes_up_serves_those_who_wait_for_any() {
    let backend = backend(&[Some(2), Some(1)], false);
    backend.server_changed(0, false);
    let _held = ready(&backend, 1, Binding::Free);
    let mut waiters = [(); 3].map(|()| waiting(&backend, 1, Binding::Free));
    backend.server_changed(0, true);
    let turns = waiters.each_mut().map(slot);
    assert_eq!(turns.iter().filter(|turn| turn.is_some()).count(), 2);
    assert_eq!(backend.waiting(), 1);
}

#[test]
fn requests_of_the_configuration_before_a_reload_keep_their_turn() {
    let old = backend(&[Some(1), Some(1)], false);
    let held = [ready(&old, 0, Binding::Free), ready(&old, 1, Binding::Free)];
    let mut first = waiting(&old, 0, Binding::Free);
    // The reload keeps the second server alone, and puts a new one after it.
    let fresh = Server::all(&[model::Server { maxconn: Some(1), ..fixtures::server("t") }]).remove(0);
    let new = Backend::new(old.config.clone(), vec![old.servers[1].clone(), fresh]);
    let mut second = waiting(&new, 0, Binding::Bound);
    // The new server is none that the first could go to: it serves the third at once.
    let mut third = waiting(&new, 1, Binding::Free);
    assert_eq!(turn(&mut third), Some(Ok(1)));
    drop(held);
    assert_eq!(turn(&mut first), Some(Ok(0)));
    assert_eq!(turn(&mut second), Some(Ok(0)));
    drop((first, second, third));
    assert_idle(&old);
    assert_idle(&new);
}

/// A step of a simulation; the numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
enum Step {
    Place { server: usize, bound: bool },
    Finish(usize),
    GiveUp(usize),
    Look(usize),
    Change { server: usize, up: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..3_usize, any::<bool>()).prop_map(|(server, bound)| Step::Place { server, bound }),
        4 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::GiveUp),
        2 => any::<usize>().prop_map(Step::Look),
        1 => (0..3_usize, any::<bool>()).prop_map(|(server, up)| Step::Change { server, up }),
    ];
    prop::collection::vec(step, 0..300)
}

/// Whether somebody may be served by a server with a place, and is not, or waits for any where there is none.
fn forgotten(backend: &Backend, waiters: &VecDeque<Waiting>) -> bool {
    let has_place =
        |server: &Server| server.config.maxconn.is_none_or(|maxconn| server.in_flight.load(SeqCst) < maxconn);
    let any = backend.candidates().iter().any(|c| has_place(&backend.servers[c.server as usize]));
    let lines = backend.queue.lock();
    waiters.iter().any(|waiting| match waiting.binding {
        Binding::Free => (any || backend.candidates().is_empty()) && lines.free.contains_key(&waiting.turn),
        Binding::Bound => {
            let line = lines.bound.get(&waiting.server.key());
            has_place(&waiting.server) && line.is_some_and(|line| line.contains_key(&waiting.turn))
        }
    })
}

proptest! {
    #[test]
    fn no_limit_is_passed_and_nobody_is_forgotten_whatever_happens(
        maxconns in prop::collection::vec(prop_oneof![4 => (1..4_u32).prop_map(Some), 1 => Just(None)], 3),
        redispatch in any::<bool>(),
        steps in steps(),
    ) {
        let backend = backend(&maxconns, redispatch);
        let (mut slots, mut waiters) = (Vec::new(), VecDeque::new());
        for step in steps {
            match step {
                Step::Place { server, bound } => {
                    let binding = if bound { Binding::Bound } else { Binding::Free };
                    match backend.clone().place(server, binding) {
                        Place::Ready(slot) => slots.push(slot),
                        Place::Wait(waiting) => waiters.push_back(waiting),
                    }
                }
                Step::Finish(n) if !slots.is_empty() => drop(slots.swap_remove(n % slots.len())),
                Step::GiveUp(n) if !waiters.is_empty() => drop(waiters.remove(n % waiters.len())),
                Step::Look(n) if !waiters.is_empty() => {
                    let n = n % waiters.len();
                    if let Some(turn) = slot(&mut waiters[n]) {
                        waiters.remove(n);
                        slots.extend(turn);
                    }
                }
                Step::Change { server, up } => { backend.server_changed(server, up); }
                Step::Finish(_) | Step::GiveUp(_) | Step::Look(_) => {}
            }
            for server in &backend.servers {
                let limit = server.config.maxconn.unwrap_or(u32::MAX);
                prop_assert!(server.in_flight.load(SeqCst) <= limit);
            }
            prop_assert!(!forgotten(&backend, &waiters));
        }
        drop((slots, waiters));
        assert_idle(&backend);
    }

    #[test]
    fn a_line_is_served_in_the_order_of_arrival(gone in prop::collection::vec(any::<bool>(), 1..40)) {
        let backend = backend(&[Some(1)], false);
        let held = ready(&backend, 0, Binding::Bound);
        let all: Vec<Waiting> = gone
            .iter()
            .enumerate()
            .map(|(n, _)| waiting(&backend, 0, if n % 3 == 0 { Binding::Free } else { Binding::Bound }))
            .collect();
        let mut left: VecDeque<Waiting> =
            all.into_iter().zip(&gone).filter_map(|(waiting, gone)| (!gone).then_some(waiting)).collect();
        drop(held);
        while let Some(mut first) = left.pop_front() {
            let slot = slot(&mut first).expect("the turn of the first").expect("a place");
            prop_assert!(left.iter_mut().all(|waiting| turn(waiting).is_none()));
            drop(slot);
        }
        assert_idle(&backend);
    }
}

/// One of many requests: it waits, perhaps gives up, serves a while, and says if too many were served.
async fn request(backend: Arc<Backend>, served: Arc<[AtomicUsize; 2]>, number: usize) -> bool {
    let binding = if number.is_multiple_of(3) { Binding::Bound } else { Binding::Free };
    let slot = match backend.place(number % 2, binding) {
        Place::Ready(slot) => slot,
        // Some give up soon, at a point that their number and the other threads decide.
        Place::Wait(waiting) if number.is_multiple_of(5) => {
            tokio::select! {
                biased;
                () = yields(number % 7) => return false,
                turn = waiting => turn.expect("no server goes DOWN"),
            }
        }
        Place::Wait(waiting) => waiting.await.expect("no server goes DOWN"),
    };
    let limit = slot.server().config.maxconn.expect("a limit") as usize;
    let others = served[slot.index()].fetch_add(1, SeqCst);
    assert!(others < limit, "{others} others at a server of maxconn {limit}");
    yields(number % 4).await;
    served[slot.index()].fetch_sub(1, SeqCst);
    true
}

async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn four_threads_of_many_requests_keep_the_limits_and_all_are_served() {
    let backend = backend(&[Some(3), Some(2)], false);
    let served = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (backend, served) = (backend.clone(), served.clone());
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
                runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for number in 0..2_000 {
                        tasks.spawn(request(backend.clone(), served.clone(), number * 4 + thread));
                        // Waves of requests, so that lines form and empty again and again.
                        if number % 100 == 99 {
                            while tasks.len() > 20 {
                                tasks.join_next().await;
                            }
                        }
                    }
                    // Not a wait for something to happen, but the end of one that never would.
                    let all = tokio::time::timeout(Duration::from_secs(60), tasks.join_all());
                    all.await.expect("nobody waits for ever").len()
                })
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no limit is passed");
    }
    assert_idle(&backend);
}
