//! Who gets which slot. No I/O, no clock.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// A slot as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The address that fills it, or filled it last.
    pub address: Option<SocketAddr>,
    /// Whether that address fills it still.
    pub filled: bool,
    /// Whether requests are still under way there.
    pub busy: bool,
}

/// Slots, and who is to fill them.
#[derive(Debug, PartialEq, Eq)]
pub struct Seating {
    /// For each slot the index of the server that fills it from now on.
    pub slots: Vec<Option<usize>>,
    /// The servers for which there is no slot.
    pub left_over: usize,
}

/// Seats servers, which are named by their addresses, each once: who has a slot keeps it; who comes gets the one that
/// it had last, if that is free, or else the first free one, those at rest before those where requests are still
/// under way.
pub fn seat(slots: &[Slot], servers: &[SocketAddr]) -> Seating {
    let mut waiting: HashMap<SocketAddr, usize> = HashMap::new();
    for (index, address) in servers.iter().enumerate() {
        waiting.entry(*address).or_insert(index);
    }
    let mut seats = vec![None; slots.len()];
    for filled in [true, false] {
        for (seat, slot) in seats.iter_mut().zip(slots) {
            if let (None, true, Some(address)) = (*seat, slot.filled == filled, slot.address) {
                *seat = waiting.remove(&address);
            }
        }
    }
    let mut free: Vec<usize> = (0..slots.len()).filter(|slot| seats[*slot].is_none()).collect();
    free.sort_by_key(|slot| (slots[*slot].busy || slots[*slot].filled, *slot));
    let mut free = VecDeque::from(free);
    let mut left_over = 0;
    let mut newcomers: Vec<usize> = waiting.into_values().collect();
    newcomers.sort_unstable();
    for newcomer in newcomers {
        match free.pop_front() {
            Some(slot) => seats[slot] = Some(newcomer),
            None => left_over += 1,
        }
    }
    Seating { slots: seats, left_over }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const EMPTY: Slot = Slot { address: None, filled: false, busy: false };

    fn address(number: u8) -> SocketAddr {
        ([10, 0, 0, number], 80).into()
    }

    fn filled(number: u8) -> Slot {
        Slot { address: Some(address(number)), filled: true, busy: false }
    }

    fn addresses(numbers: &[u8]) -> Vec<SocketAddr> {
        numbers.iter().copied().map(address).collect()
    }

    #[test]
    fn slots_are_filled_in_order_and_what_does_not_fit_is_counted() {
        let seating = seat(&[EMPTY; 2], &addresses(&[5, 6, 7]));
        assert_eq!(seating, Seating { slots: vec![Some(0), Some(1)], left_over: 1 });
    }

    #[test]
    fn who_stays_keeps_its_slot_and_who_comes_gets_one_that_is_at_rest() {
        let draining = Slot { filled: false, busy: true, ..filled(9) };
        let seating = seat(&[filled(1), draining, filled(2), EMPTY], &addresses(&[3, 2]));
        assert_eq!(seating, Seating { slots: vec![None, None, Some(1), Some(0)], left_over: 0 });
    }

    #[test]
    fn who_comes_back_gets_the_slot_that_it_had() {
        let left = Slot { filled: false, ..filled(2) };
        let seating = seat(&[EMPTY, left], &addresses(&[1, 2]));
        assert_eq!(seating.slots, [Some(0), Some(1)]);
        let seating = seat(&[EMPTY, left], &addresses(&[2]));
        assert_eq!(seating.slots, [None, Some(0)]);
    }

    #[test]
    fn a_server_that_is_named_twice_has_one_slot() {
        let seating = seat(&[EMPTY; 3], &addresses(&[1, 1, 2]));
        assert_eq!(seating, Seating { slots: vec![Some(0), Some(2), None], left_over: 0 });
    }

    proptest! {
        #[test]
        fn whatever_comes_and_goes_who_stays_keeps_its_slot(
            count in 1_usize..12,
            rounds in prop::collection::vec(prop::collection::vec(0_u8..20, 0..16), 1..12),
            busy in any::<u16>(),
        ) {
            let mut slots = vec![EMPTY; count];
            for wanted in rounds {
                let servers = addresses(&wanted);
                let seating = seat(&slots, &servers);
                prop_assert_eq!(seating.slots.len(), count);
                let seated: Vec<_> = seating.slots.iter().flatten().map(|index| servers[*index]).collect();
                let apart: HashSet<_> = seated.iter().copied().collect();
                let named: HashSet<_> = servers.iter().copied().collect();
                prop_assert_eq!(apart.len(), seated.len(), "one slot each");
                prop_assert_eq!(seated.len() + seating.left_over, named.len());
                prop_assert_eq!(seating.left_over, named.len().saturating_sub(count));
                for (number, (slot, seat)) in slots.iter_mut().zip(&seating.slots).enumerate() {
                    if let (true, Some(before)) = (slot.filled, slot.address.filter(|it| named.contains(it))) {
                        prop_assert_eq!(seat.map(|index| servers[index]), Some(before));
                    }
                    let address = seat.map(|index| servers[index]);
                    *slot = Slot {
                        address: address.or(slot.address),
                        filled: seat.is_some(),
                        busy: busy >> number & 1 == 1,
                    };
                }
            }
        }
    }
}
