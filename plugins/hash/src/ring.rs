//! The ring: points of the servers by name, so that it is the same in whatever order they are configured.
//!
//! A server has as many points as its weight is of the heaviest configured one's. The points of a weight are among
//! those of any greater one, so that a server that starts slowly takes keys over and gives none away.

use alloc::vec::Vec;

use lb_policy::{Candidate, Server, hash::xxh64, random::mix};

/// The points of the heaviest: shares stay within about a tenth of what is fair. Ketama has as many.
const POINTS: u32 = 160;
/// From so many servers on they have fewer points, so that an update stays quick.
const MANY: usize = 2_000;
const POINTS_OF_MANY: u32 = 40;

/// All points of the configured servers, and those of the candidates.
#[derive(Debug)]
pub struct Ring {
    points: Vec<Point>,
    /// The points of a server of weight `heaviest`.
    most: u32,
    heaviest: u32,
    servers: usize,
    /// The candidates' points, in order.
    hashes: Vec<u64>,
}

/// The order of the fields is that of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u64,
    server: u32,
    /// Which of its server's points it is.
    number: u32,
}

impl Ring {
    /// The ring of these servers.
    pub fn new(servers: &[Server]) -> Self {
        let most = if servers.len() < MANY { POINTS } else { POINTS_OF_MANY };
        let heaviest = servers.iter().map(|server| server.weight).max().unwrap_or(1).max(1);
        let mut points = Vec::with_capacity(servers.len() * most as usize);
        for (server, it) in (0..).zip(servers) {
            let name = xxh64(it.name.as_bytes(), 0);
            points.extend((0..most).map(|number| {
                let hash = mix(name.wrapping_add(mix(u64::from(number) + 1)));
                Point { hash, server, number }
            }));
        }
        points.sort_unstable();
        Self { points, most, heaviest, servers: servers.len(), hashes: Vec::new() }
    }

    /// Takes the candidates, and says which of them is at each of their points, in order.
    pub fn update(&mut self, candidates: &[Candidate]) -> Vec<u32> {
        // For each server its candidate, and how many points that has.
        let mut standing = alloc::vec![(0, 0); self.servers];
        for (number, candidate) in (0..).zip(candidates) {
            let count = (candidate.weight * self.most).div_ceil(self.heaviest);
            if let Some(place) = standing.get_mut(candidate.server as usize) {
                *place = (number, count);
            }
        }
        self.hashes.clear();
        let mut places = Vec::new();
        for point in &self.points {
            let (candidate, count) = standing[point.server as usize];
            if point.number < count {
                self.hashes.push(point.hash);
                places.push(candidate);
            }
        }
        places
    }

    /// The number of the point that a hash belongs to: the next one, or the first behind the last.
    pub fn place(&self, hash: u64) -> u64 {
        let next = self.hashes.partition_point(|point| *point < hash);
        if next < self.hashes.len() { next as u64 } else { 0 }
    }
}
