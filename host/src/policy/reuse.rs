//! Answers of `respond` that the policy lets the host give again.
//!
//! One table a worker and configuration, direct mapped: a lookup is one comparison, a newer answer takes an
//! older one's place, and it never grows. It goes with the configuration whose answers it holds; an instance
//! that is made anew has the same, so it need not forget.

use std::sync::Arc;

use super::{Amendment, Reply, Standing};

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
    /// From when to when it may be given, both included; a clock set back ends it.
    time_ms: (u64, u64),
    amendment: Arc<Amendment>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Reuse {
    entries: Box<[Option<Entry>]>,
}

/// Replies differ by server, and by a handful of standings and the rest.
const PER_SERVER: usize = 8;
/// At some 60 bytes each, up to half a megabyte a worker and backend.
const MOST: usize = 8192;

impl Reuse {
    pub(super) fn new(servers: usize) -> Reuse {
        let size = (servers * PER_SERVER).next_power_of_two().clamp(64, MOST);
        Reuse { entries: vec![None; size].into() }
    }

    pub(super) fn find(&self, reply: &Reply<'_>) -> Option<&Arc<Amendment>> {
        let likeness = Likeness::of(reply)?;
        let entry = self.entries.get(self.place(likeness))?.as_ref()?;
        let (from, to) = entry.time_ms;
        (entry.likeness == likeness && (from..=to).contains(&reply.time_ms)).then_some(&entry.amendment)
    }

    pub(super) fn keep(&mut self, reply: &Reply<'_>, amendment: &Arc<Amendment>, reusable_ms: u32) {
        let (Some(likeness), 1..) = (Likeness::of(reply), reusable_ms) else { return };
        let time_ms = match reusable_ms {
            u32::MAX => (0, u64::MAX),
            ms => (reply.time_ms, reply.time_ms.saturating_add(u64::from(ms) - 1)),
        };
        let place = self.place(likeness);
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Some(Entry { likeness, time_ms, amendment: amendment.clone() });
        }
    }

    fn place(&self, likeness: Likeness) -> usize {
        let Likeness { server, standing, cacheable, note } = likeness;
        // Servers side by side, so that their usual replies do not collide; a note scatters.
        let place = server as usize * PER_SERVER + (standing as usize % 4) * 2 + usize::from(cacheable);
        let scatter = note.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        (place ^ scatter as usize) & (self.entries.len() - 1)
    }
}

impl Likeness {
    fn of(reply: &Reply<'_>) -> Option<Likeness> {
        let Reply { server, standing, note, cacheable, sent, .. } = *reply;
        sent.is_none().then_some(Likeness { server, standing, cacheable, note })
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
        assert_eq!(reuse.entries.len(), MOST);
        for (server, note) in &answers {
            if let Some(found) = reuse.find(&Reply { server: *server, note: *note, ..REPLY }) {
                assert_eq!(found.headers, [super::super::HeaderEdit::Remove(format!("{server}-{note}"))]);
            }
        }
    }
}
