//! What happens next: events in the order of their times, those of one time in the order in which they were
//! planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::words::Nanoseconds;

/// Events that are to come.
#[derive(Debug)]
pub(super) struct Agenda<Event> {
    heap: BinaryHeap<Entry<Event>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<Event> {
    time: Nanoseconds,
    number: u64,
    event: Event,
}

impl<Event> Agenda<Event> {
    pub(super) fn new() -> Agenda<Event> {
        Agenda { heap: BinaryHeap::new(), planned: 0 }
    }

    /// Plans an event.
    pub(super) fn plan(&mut self, time: Nanoseconds, event: Event) {
        self.heap.push(Entry { time, number: self.planned, event });
        self.planned += 1;
    }

    /// When the next is due.
    pub(super) fn next_time(&self) -> Option<Nanoseconds> {
        self.heap.peek().map(|entry| entry.time)
    }

    /// Takes the next.
    pub(super) fn next(&mut self) -> Option<(Nanoseconds, Event)> {
        self.heap.pop().map(|entry| (entry.time, entry.event))
    }
}

impl<Event> Ord for Entry<Event> {
    /// The heap gives its greatest first, so the earliest is the greatest.
    fn cmp(&self, other: &Entry<Event>) -> Ordering {
        (other.time, other.number).cmp(&(self.time, self.number))
    }
}

impl<Event> PartialOrd for Entry<Event> {
    fn partial_cmp(&self, other: &Entry<Event>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<Event> PartialEq for Entry<Event> {
    fn eq(&self, other: &Entry<Event>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<Event> Eq for Entry<Event> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_those_of_one_time_as_planned() {
        let mut agenda = Agenda::new();
        for (time, event) in [(5, 'a'), (3, 'b'), (5, 'c'), (1, 'd'), (3, 'e')] {
            agenda.plan(time, event);
        }
        assert_eq!(agenda.next_time(), Some(1));
        let order: String = std::iter::from_fn(|| agenda.next()).map(|(_, event)| event).collect();
        assert_eq!(order, "dbeac");
    }
}
