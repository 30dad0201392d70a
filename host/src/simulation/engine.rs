//! The simulation itself: the clock jumps from event to event until no request is left. No real time passes in it,
//! and nothing in it comes from anywhere but its scenario and the policy.

use std::collections::VecDeque;

use super::event::Agenda;
use super::fleet::Fleet;
use super::histogram::Histogram;
use super::probe::Probe;
use super::results::{End, Results, SLICES, Slice};
use super::scenario::{Change, Fate, Scenario, Stream};
use super::station::{Station, Ticket};
use super::traffic::{Arrival, Traffic};
use super::words::{How, MS, Nanoseconds, Window};
use crate::policy::{SimulatedPolicies, Verdict};

/// How long a server takes to answer 500.
const ERROR_TIME: Nanoseconds = MS;

/// What may happen, besides arrivals and ends of patience.
#[derive(Debug)]
enum Event {
    /// A server has done its work at a request.
    Served { server: u32, ticket: Ticket },
    /// A server answers 500.
    Errs { ticket: Ticket },
    /// A balancer's health checks see a server change.
    Notice { balancer: u32, server: u32, up: bool },
    /// The set of servers changes.
    Change(Change),
    /// A slice of the course is over.
    Sample,
}

/// A request on its way through.
#[derive(Debug, Clone)]
struct Request {
    arrival: Arrival,
    /// When its attempt began.
    began: Nanoseconds,
    server: u32,
    /// Counts the attempts made from this place, over all requests that have had it.
    turn: u32,
    retries: u32,
    /// Whether the server is at work on it.
    served: bool,
}

/// A world at work.
pub(super) struct Engine<'a> {
    scenario: &'a Scenario,
    traffic: &'a Traffic,
    fates: Vec<Fate>,
    fleet: Fleet,
    probe: Option<Probe<'a>>,
    stations: Vec<Station>,
    requests: Vec<Request>,
    free: Vec<u32>,
    agenda: Agenda<Event>,
    /// Ends of patience, in order, since all are equally patient; of attempts that are over too.
    deadlines: VecDeque<(Nanoseconds, Ticket)>,
    now: Nanoseconds,
    results: Results,
}

impl<'a> Engine<'a> {
    /// Sets everything up: the instances too, which takes the most of it.
    pub(super) fn new(
        name: &str,
        policies: &SimulatedPolicies,
        scenario: &'a Scenario,
        traffic: &'a Traffic,
    ) -> Engine<'a> {
        let counted = Window { from: scenario.warmup, to: scenario.duration };
        let fleet = Fleet::new(policies, scenario);
        let changes = scenario.changes();
        let probe =
            (!changes.is_empty()).then(|| Probe::new(policies, scenario, traffic.keys(), fleet.everyone()));
        let mut engine = Engine {
            scenario,
            traffic,
            fates: scenario.fates(),
            fleet,
            probe,
            stations: scenario.servers.iter().map(|_| Station::new(scenario.concurrency, counted)).collect(),
            requests: Vec::new(),
            free: Vec::new(),
            agenda: Agenda::new(),
            deadlines: VecDeque::new(),
            now: 0,
            results: Results {
                policy: name.to_owned(),
                arrived: 0,
                ended: 0,
                ends: [0; End::ALL.len()],
                retries: 0,
                times: Histogram::new(10),
                loads: Vec::new(),
                taken: Vec::new(),
                peak: 0,
                course: vec![Slice { times: Histogram::new(6), most: 0 }; SLICES],
                moved: None,
                conduct: crate::policy::Conduct::default(),
            },
        };
        engine.plan(changes);
        engine
    }

    fn plan(&mut self, changes: Vec<Change>) {
        let scenario = self.scenario;
        let mut moments = scenario.random(Stream::Notices);
        for (server, window) in (0..).zip(&self.fates).filter_map(|(n, fate)| Some((n, fate.down()?))) {
            for balancer in 0..scenario.balancers {
                for (time, up) in [(window.from, false), (window.to, true)] {
                    let time = time.saturating_add(moments.below(scenario.detect + 1));
                    if time < scenario.duration {
                        self.agenda.plan(time, Event::Notice { balancer, server, up });
                    }
                }
            }
        }
        for change in changes {
            self.agenda.plan(change.time, Event::Change(change));
        }
        for slice in 1..=SLICES as u64 {
            self.agenda.plan(scenario.duration / SLICES as u64 * slice, Event::Sample);
        }
    }

    /// Runs to the end of the last request.
    pub(super) fn run(mut self) -> Results {
        let mut arrivals = self.traffic.arrivals(self.scenario).peekable();
        loop {
            let never = Nanoseconds::MAX;
            let arrival = arrivals.peek().map_or(never, |arrival| arrival.time);
            let event = self.agenda.next_time().unwrap_or(never);
            let deadline = self.next_deadline().unwrap_or(never);
            let next = arrival.min(event).min(deadline);
            if next == never {
                break;
            }
            debug_assert!(next >= self.now, "time goes forwards");
            self.now = next;
            if event == next {
                if let Some((_, event)) = self.agenda.next() {
                    self.happen(event);
                }
            } else if deadline == next {
                if let Some((_, ticket)) = self.deadlines.pop_front() {
                    self.give_up(ticket);
                }
            } else if let Some(arrival) = arrivals.next() {
                self.arrive(arrival);
            }
        }
        self.finish()
    }

    fn finish(mut self) -> Results {
        self.results.loads = self.stations.iter_mut().map(Station::mean).collect();
        self.results.taken = self.stations.iter().map(Station::taken).collect();
        self.results.peak = self.stations.iter().map(Station::peak).max().unwrap_or(0);
        self.results.moved = self.probe.as_ref().and_then(Probe::moved);
        self.results.conduct = self.fleet.conduct();
        self.results
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Served { server, ticket } => self.served(server, ticket),
            Event::Errs { ticket } => {
                if self.is_alive(ticket) {
                    self.leave(ticket);
                    self.close(ticket, Verdict::Answered, 500, End::Error);
                }
            }
            Event::Notice { balancer, server, up } => self.fleet.notice(balancer, server, up),
            Event::Change(Change { leave, join, .. }) => {
                self.fleet.change(&leave, &join);
                if let Some(probe) = &mut self.probe {
                    probe.changed(self.fleet.everyone(), leave.len(), join.len(), self.now);
                }
            }
            Event::Sample => {
                let most = self.stations.iter().map(Station::present).max().unwrap_or(0);
                let slice = self.slice(self.now.saturating_sub(1));
                self.results.course[slice].most = most;
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        self.results.arrived += 1;
        let place = self.free.pop().unwrap_or(self.requests.len() as u32);
        let request = Request { arrival, began: self.now, server: 0, turn: 0, retries: 0, served: false };
        match self.requests.get_mut(place as usize) {
            Some(old) => *old = Request { turn: old.turn.wrapping_add(1), ..request },
            None => self.requests.push(request),
        }
        self.attempt(place);
    }

    /// Has a server picked until one takes the request, or none will.
    fn attempt(&mut self, place: u32) {
        let mut failed = None;
        loop {
            let Request { arrival, turn, retries, .. } = self.requests[place as usize];
            let ticket = Ticket { request: place, turn };
            let key = &self.traffic.keys()[arrival.key as usize];
            let Some(server) = self.fleet.pick(arrival.balancer, key, failed, self.now) else {
                return self.end(ticket, End::NoServer);
            };
            let failure = self.fates[server as usize].failure(self.now);
            if failure != Some(How::Refuses) {
                return self.send(ticket, server, failure);
            }
            self.fleet.observe(arrival.balancer, server, Verdict::Unreachable, 0, 0, self.now);
            if retries == self.scenario.retries {
                return self.end(ticket, End::Refused);
            }
            self.requests[place as usize].retries += 1;
            if self.counts(arrival.time) {
                self.results.retries += 1;
            }
            failed = Some(server);
        }
    }

    /// A server takes the request.
    fn send(&mut self, ticket: Ticket, server: u32, failure: Option<How>) {
        let request = &mut self.requests[ticket.request as usize];
        request.server = server;
        request.began = self.now;
        request.served = false;
        self.fleet.begin(request.arrival.balancer, server);
        let station = &mut self.stations[server as usize];
        station.enter(self.now);
        self.deadlines.push_back((self.now + self.scenario.timeout, ticket));
        match failure {
            None => {
                if station.serve_or_line_up(ticket) {
                    self.serve(server, ticket);
                }
            }
            Some(How::Errors) => self.agenda.plan(self.now + ERROR_TIME, Event::Errs { ticket }),
            Some(How::Hangs | How::Refuses) => {}
        }
    }

    fn serve(&mut self, server: u32, ticket: Ticket) {
        let request = &mut self.requests[ticket.request as usize];
        request.served = true;
        let time = request.arrival.work as f64 * self.fates[server as usize].factor(self.now);
        // A tail can be so heavy that it never ends; patience does.
        self.agenda.plan(self.now.saturating_add(time as Nanoseconds), Event::Served { server, ticket });
    }

    /// A server has done its work, whether or not someone waits for it still.
    fn served(&mut self, server: u32, ticket: Ticket) {
        if self.is_alive(ticket) {
            self.close(ticket, Verdict::Answered, 200, End::Answered);
        }
        let requests = &self.requests;
        let station = &mut self.stations[server as usize];
        station.leave(self.now);
        let next = station.served(|ticket| requests[ticket.request as usize].turn == ticket.turn);
        if let Some(next) = next {
            self.serve(server, next);
        }
    }

    /// A request has waited long enough. A server that is at work on it does not hear of that.
    fn give_up(&mut self, ticket: Ticket) {
        if !self.requests[ticket.request as usize].served {
            self.leave(ticket);
        }
        self.close(ticket, Verdict::TimedOut, 0, End::TimedOut);
    }

    fn leave(&mut self, ticket: Ticket) {
        let server = self.requests[ticket.request as usize].server;
        self.stations[server as usize].leave(self.now);
    }

    /// An attempt at a server is over, and with it the request.
    fn close(&mut self, ticket: Ticket, verdict: Verdict, status: u16, end: End) {
        let Request { arrival, server, began, .. } = self.requests[ticket.request as usize];
        self.fleet.end(arrival.balancer, server);
        self.fleet.observe(arrival.balancer, server, verdict, status, self.now - began, self.now);
        self.end(ticket, end);
    }

    fn end(&mut self, ticket: Ticket, end: End) {
        let request = &mut self.requests[ticket.request as usize];
        // From now on no ticket is for this request.
        request.turn = request.turn.wrapping_add(1);
        self.free.push(ticket.request);
        let came = request.arrival.time;
        let took = self.now - came;
        self.results.ended += 1;
        if self.counts(came) {
            self.results.ends[end as usize] += 1;
            self.results.times.add(took);
        }
        let slice = self.slice(came);
        self.results.course[slice].times.add(took);
    }

    fn is_alive(&self, ticket: Ticket) -> bool {
        self.requests[ticket.request as usize].turn == ticket.turn
    }

    /// When the first attempt that still goes on has waited long enough.
    fn next_deadline(&mut self) -> Option<Nanoseconds> {
        while let Some((time, ticket)) = self.deadlines.front() {
            if self.is_alive(*ticket) {
                return Some(*time);
            }
            self.deadlines.pop_front();
        }
        None
    }

    fn counts(&self, came: Nanoseconds) -> bool {
        came >= self.scenario.warmup
    }

    fn slice(&self, time: Nanoseconds) -> usize {
        let slice = u128::from(time) * SLICES as u128 / u128::from(self.scenario.duration);
        (slice as usize).min(SLICES - 1)
    }
}
