//! How many requests servers have in flight, side by side in one table: a policy that asks for the loads of a
//! thousand servers reads a few kilobytes, not a thousand places all over memory.

use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

type Table = Arc<[AtomicU32]>;

/// A server's place in a table of loads. It lives as long as the server does, however many configurations
/// come and go.
#[derive(Debug)]
pub struct Load {
    table: Table,
    index: usize,
}

impl Load {
    /// Places for so many servers, next to each other, all 0.
    pub fn table(servers: usize) -> impl Iterator<Item = Load> {
        let table: Table = (0..servers).map(|_| AtomicU32::new(0)).collect();
        (0..servers).map(move |index| Load { table: table.clone(), index })
    }
}

/// Loads by number, for who has no servers: a balancer that is simulated, whose view is its own.
#[derive(Debug, Clone)]
pub struct LoadTable(Table);

impl LoadTable {
    /// Places for so many servers, all 0.
    pub fn new(servers: usize) -> LoadTable {
        LoadTable((0..servers).map(|_| AtomicU32::new(0)).collect())
    }

    /// A server's load; `None` where there are not so many.
    pub fn load(&self, server: usize) -> Option<&AtomicU32> {
        self.0.get(server)
    }

    /// Where to read the loads of these servers; those that are not there are left out.
    pub fn loads(&self, servers: impl Iterator<Item = usize>) -> Loads {
        let mut loads = Loads::default();
        servers.filter(|server| *server < self.0.len()).for_each(|server| loads.push(&self.0, server));
        loads
    }
}

impl Deref for Load {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.table[self.index]
    }
}

/// Where to read the loads of several servers, in order.
#[derive(Debug, Default)]
pub struct Loads {
    /// Stretches of tables. Servers that one configuration brought are one stretch.
    runs: Vec<(Table, Range<usize>)>,
    len: usize,
}

impl Loads {
    /// How many servers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, table: &Table, index: usize) {
        self.len += 1;
        match self.runs.last_mut() {
            Some((last, range)) if Arc::ptr_eq(last, table) && range.end == index => range.end += 1,
            _ => self.runs.push((table.clone(), index..index + 1)),
        }
    }

    /// The loads now. They are read one after another, so they need not be of one instant.
    pub fn read(&self) -> Vec<u32> {
        let mut loads = Vec::with_capacity(self.len);
        for (table, range) in &self.runs {
            loads.extend(table[range.clone()].iter().map(|load| load.load(Relaxed)));
        }
        loads
    }

    /// The load of one server now; `None` where there are not so many.
    pub fn read_one(&self, index: usize) -> Option<u32> {
        let mut before = 0;
        for (table, range) in &self.runs {
            if index - before < range.len() {
                return Some(table[range.start + index - before].load(Relaxed));
            }
            before += range.len();
        }
        None
    }
}

impl<'a> FromIterator<&'a Load> for Loads {
    fn from_iter<I: IntoIterator<Item = &'a Load>>(servers: I) -> Loads {
        let mut loads = Loads::default();
        servers.into_iter().for_each(|load| loads.push(&load.table, load.index));
        loads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_read_in_the_order_asked_for_wherever_they_are() {
        let (first, second): (Vec<Load>, Vec<Load>) = (Load::table(4).collect(), Load::table(2).collect());
        for (number, load) in first.iter().chain(&second).enumerate() {
            load.store(number as u32, Relaxed);
        }
        let loads: Loads = [&first[1], &first[2], &second[0], &first[3], &first[0]].into_iter().collect();
        assert_eq!(loads.runs.len(), 4);
        assert_eq!(loads.read(), [1, 2, 4, 3, 0]);
        assert_eq!((0..6).map_while(|index| loads.read_one(index)).collect::<Vec<_>>(), [1, 2, 4, 3, 0]);
        assert_eq!(loads.len(), 5);
        assert!(Loads::default().is_empty() && Loads::default().read_one(0).is_none());
    }

    #[test]
    fn a_table_gives_the_loads_of_the_servers_asked_for() {
        let table = LoadTable::new(4);
        table.load(2).expect("it is there").store(7, Relaxed);
        assert_eq!(table.loads([0, 2, 3, 9].into_iter()).read(), [0, 7, 0]);
        assert!(table.load(4).is_none());
    }

    #[test]
    fn servers_of_one_configuration_are_one_stretch() {
        let servers: Vec<Load> = Load::table(1000).collect();
        assert_eq!(servers.iter().collect::<Loads>().runs.len(), 1);
    }
}
