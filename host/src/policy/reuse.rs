//! Answers of `recall` and `respond` that the policy lets the host give again.
//!
//! One table of each a worker and configuration: a lookup is a comparison or a few, a newer answer takes an older one's
//! place, and it never grows. It goes with the configuration whose answers it holds; an instance that is made anew has
//! the same, so it need not forget.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::{Affinity, Amendment, Reply, Standing};

/// From when to when an answer may be given, both included, in milliseconds; a clock set back ends it.
#[derive(Debug, Clone, Copy)]
struct Lifetime(u64, u64);

impl Lifetime {
    /// Of an answer that holds for so long, which is not 0.
    fn new(time_ms: u64, reusable_ms: u32) -> Lifetime {
        match reusable_ms {
            u32::MAX => Lifetime(0, u64::MAX),
            ms => Lifetime(time_ms, time_ms.saturating_add(u64::from(ms) - 1)),
        }
    }

    fn contains(self, time_ms: u64) -> bool {
        (self.0..=self.1).contains(&time_ms)
    }
}

/// What `recall` said to a key's value while nothing changed about who is usable.
#[derive(Debug)]
pub(super) struct Recalled {
    sets: Sets<Visit>,
    /// Of this worker alone, so that nobody can choose values that push out one another.
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Visit {
    value: Box<[u8]>,
    /// The version of the backend that the answer was given in.
    version: u64,
    lifetime: Lifetime,
    affinity: Affinity,
}

/// A longer value is not kept, in bytes: it is not one that names a server and nothing else.
const LONGEST_VALUE: usize = 128;

impl Recalled {
    pub(super) fn new(servers: usize) -> Recalled {
        Recalled { sets: Sets::new(servers), hasher: RandomState::new() }
    }

    pub(super) fn find(&self, value: &[u8], version: u64, time_ms: u64) -> Option<&Affinity> {
        let visit = self.sets.find(self.hasher.hash_one(value), |visit| *visit.value == *value)?;
        (visit.version == version && visit.lifetime.contains(time_ms)).then_some(&visit.affinity)
    }

    pub(super) fn keep(
        &mut self,
        value: &[u8],
        version: u64,
        time_ms: u64,
        affinity: &Affinity,
        reusable_ms: u32,
    ) {
        if reusable_ms == 0 || value.len() > LONGEST_VALUE {
            return;
        }
        let lifetime = Lifetime::new(time_ms, reusable_ms);
        let visit = Visit { value: value.into(), version, lifetime, affinity: affinity.clone() };
        self.sets.keep(self.hasher.hash_one(value), visit, |visit| *visit.value == *value);
    }
}

/// All of a reply but its time; a reply with a value that the server sent is not kept: values are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Likeness {
    server: u32,
    standing: Standing,
    cacheable: bool,
    note: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    likeness: Likeness,
    lifetime: Lifetime,
    amendment: Arc<Amendment>,
}

/// What `respond` said to replies.
#[derive(Debug)]
pub(super) struct Reuse {
    sets: Sets<Entry>,
}

impl Reuse {
    pub(super) fn new(servers: usize) -> Reuse {
        Reuse { sets: Sets::new(servers) }
    }

    pub(super) fn find(&self, reply: &Reply<'_>) -> Option<&Arc<Amendment>> {
        let likeness = Likeness::of(reply)?;
        let entry = self.sets.find(likeness.hash(), |entry| entry.likeness == likeness)?;
        entry.lifetime.contains(reply.time_ms).then_some(&entry.amendment)
    }

    pub(super) fn keep(&mut self, reply: &Reply<'_>, amendment: &Arc<Amendment>, reusable_ms: u32) {
        let (Some(likeness), 1..) = (Likeness::of(reply), reusable_ms) else { return };
        let lifetime = Lifetime::new(reply.time_ms, reusable_ms);
        let entry = Entry { likeness, lifetime, amendment: amendment.clone() };
        self.sets.keep(likeness.hash(), entry, |entry| entry.likeness == likeness);
    }
}

impl Likeness {
    fn of(reply: &Reply<'_>) -> Option<Likeness> {
        let Reply { server, standing, note, cacheable, sent, .. } = *reply;
        sent.is_none().then_some(Likeness { server, standing, cacheable, note })
    }

    fn hash(self) -> u64 {
        let Likeness { server, standing, cacheable, note } = self;
        // Servers side by side, so that their usual replies do not collide; a note scatters.
        let usual = u64::from(server) * PER_SERVER as u64 / WAYS as u64 + u64::from(cacheable);
        let rest =
            note.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (standing as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        usual ^ (rest >> 40)
    }
}

/// Replies differ by server, and by a handful of standings and the rest.
const PER_SERVER: usize = 8;
/// At some 60 bytes each, up to half a megabyte a worker and backend; with values that name servers, a megabyte more.
const MOST: usize = 8192;
/// Entries in a set. With eight entries a server, about one server in six hundred is in a set that is too small
/// for those that fall into it.
const WAYS: usize = 4;

/// A table of a fixed size, in sets by hashes, the newest entry of each first. With one entry a set, two servers' values
/// might share it for as long as the process runs, and each would have the other forgotten at every request.
#[derive(Debug)]
struct Sets<T> {
    sets: Box<[[Option<T>; WAYS]]>,
}

impl<T> Sets<T> {
    fn new(servers: usize) -> Sets<T> {
        let size = (servers * PER_SERVER).next_power_of_two().clamp(64, MOST);
        Sets { sets: std::iter::repeat_with(<[Option<T>; WAYS]>::default).take(size / WAYS).collect() }
    }

    fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.sets[self.index(hash)].iter().flatten().find(|entry| is_it(entry))
    }

    /// Keeps the entry. What was kept of the same goes, or else the oldest of its set, which stands last.
    fn keep(&mut self, hash: u64, new: T, is_it: impl Fn(&T) -> bool) {
        let index = self.index(hash);
        let set = &mut self.sets[index];
        let known = set.iter().position(|entry| entry.as_ref().is_some_and(&is_it));
        set[..=known.unwrap_or(WAYS - 1)].rotate_right(1);
        set[0] = Some(new);
    }

    fn index(&self, hash: u64) -> usize {
        debug_assert!(self.sets.len().is_power_of_two());
        hash as usize & (self.sets.len() - 1)
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: Reply<'_> =
        Reply { server: 1, standing: Standing::Absent, note: 0, cacheable: true, sent: None, time_ms: 1000 };

    #[test]
    fn an_answer_is_given_again_to_replies_that_are_equal_in_all_but_time() {
        let mut reuse = Reuse::new(2);
        let answer = Arc::new(Amendment::default());
        reuse.keep(&REPLY, &answer, u32::MAX);
        assert!(reuse.find(&Reply { time_ms: 9_999_999, ..REPLY }).is_some());
        for other in [
            Reply { server: 0, ..REPLY },
            Reply { standing: Standing::Valid, ..REPLY },
            Reply { standing: Standing::Expired, ..REPLY },
            Reply { note: 1, ..REPLY },
            Reply { cacheable: false, ..REPLY },
            Reply { sent: Some(b"x"), ..REPLY },
        ] {
            assert!(reuse.find(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn an_answer_lasts_as_long_as_it_says() {
        let mut reuse = Reuse::new(2);
        let answer = Arc::new(Amendment::default());
        reuse.keep(&REPLY, &answer, 0);
        assert!(reuse.find(&REPLY).is_none());
        reuse.keep(&REPLY, &answer, 10);
        assert!(reuse.find(&Reply { time_ms: 1009, ..REPLY }).is_some());
        assert!(reuse.find(&Reply { time_ms: 1010, ..REPLY }).is_none());
        assert!(reuse.find(&Reply { time_ms: 999, ..REPLY }).is_none(), "the clock was set back");
    }

    #[test]
    fn what_was_recalled_is_given_again_for_its_value_while_it_lasts_and_no_server_changes() {
        let mut recalled = Recalled::new(2);
        let affinity =
            |server| Affinity { server: Some(server), standing: Standing::Valid, ..Affinity::default() };
        recalled.keep(b"a", 1, 1000, &affinity(0), u32::MAX);
        assert_eq!(recalled.find(b"a", 1, 9_999_999), Some(&affinity(0)));
        assert_eq!(recalled.find(b"a", 2, 1000), None, "some server came or went");
        assert_eq!(recalled.find(b"A", 1, 1000), None);
        recalled.keep(b"b", 1, 1000, &affinity(1), 10);
        assert_eq!(recalled.find(b"b", 1, 1009), Some(&affinity(1)));
        assert_eq!(recalled.find(b"b", 1, 1010), None);
        assert_eq!(recalled.find(b"b", 1, 999), None, "the clock was set back");
        recalled.keep(b"c", 1, 1000, &affinity(1), 0);
        assert_eq!(recalled.find(b"c", 1, 1000), None);
        let long = [b'x'; LONGEST_VALUE + 1];
        recalled.keep(&long, 1, 1000, &affinity(1), u32::MAX);
        assert_eq!(recalled.find(&long, 1, 1000), None);
    }

    #[test]
    fn a_flood_of_values_does_not_let_what_was_recalled_grow_or_mix() {
        let mut recalled = Recalled::new(2);
        let values: Vec<_> = (0..10_000u32).map(|number| (number, number.to_string())).collect();
        for (number, value) in &values {
            let affinity = Affinity { note: u64::from(*number), ..Affinity::default() };
            recalled.keep(value.as_bytes(), 1, 1000, &affinity, u32::MAX);
        }
        assert_eq!(recalled.sets.capacity(), 64);
        for (number, value) in &values {
            if let Some(found) = recalled.find(value.as_bytes(), 1, 1000) {
                assert_eq!(found.note, u64::from(*number));
            }
        }
    }

    #[test]
    fn as_many_values_as_a_set_has_entries_never_push_out_one_another() {
        let affinity = |note| Affinity { note, ..Affinity::default() };
        for _ in 0..1_000 {
            let mut recalled = Recalled::new(2);
            let values = [b"a", b"b", b"c", b"d"];
            for round in 0..2 {
                for value in values {
                    recalled.keep(value, 1, 1000, &affinity(round), u32::MAX);
                }
                for value in values {
                    assert_eq!(recalled.find(value, 1, 1000), Some(&affinity(round)));
                }
            }
        }
    }

    #[test]
    fn the_usual_replies_of_all_servers_are_kept_beside_one_another() {
        let mut reuse = Reuse::new(100);
        let usual = (0..100).flat_map(|server| {
            [false, true].map(|cacheable| {
                [Standing::Absent, Standing::Valid].map(|standing| Reply {
                    server,
                    standing,
                    cacheable,
                    ..REPLY
                })
            })
        });
        let usual: Vec<_> = usual.flatten().collect();
        for reply in &usual {
            reuse.keep(reply, &Arc::new(Amendment::default()), u32::MAX);
        }
        let lost = usual.iter().filter(|reply| reuse.find(reply).is_none()).count();
        assert_eq!(lost, 0, "of {}", usual.len());
    }

    #[test]
    fn the_table_does_not_grow_and_never_gives_anothers_answer() {
        let mut reuse = Reuse::new(1000);
        let answers: Vec<_> = (0..20_000u32).map(|i| (i % 1000, u64::from(i / 1000))).collect();
        for (server, note) in &answers {
            let amendment = Amendment {
                headers: vec![super::super::HeaderEdit::Remove(format!("{server}-{note}"))],
                ..Amendment::default()
            };
            reuse.keep(&Reply { server: *server, note: *note, ..REPLY }, &Arc::new(amendment), u32::MAX);
        }
        assert_eq!(reuse.sets.capacity(), MOST);
        for (server, note) in &answers {
            if let Some(found) = reuse.find(&Reply { server: *server, note: *note, ..REPLY }) {
                assert_eq!(found.headers, [super::super::HeaderEdit::Remove(format!("{server}-{note}"))]);
            }
        }
    }
}
