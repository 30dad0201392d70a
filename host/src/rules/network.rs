//! Sets of networks: sorted ranges that do not touch, so that a million entries take eight bytes each (IPv4) and a
//! look-up is a short binary search.

use std::net::IpAddr;
use std::sync::Arc;

use super::file::Contents;

/// From this many IPv4 ranges on, an index by the upper half of the address goes with them.
const INDEXED: usize = 1 << 10;

/// An address and a prefix length, as in `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address; bits past the prefix are 0.
    pub address: IpAddr,
    /// The prefix's length in bits.
    pub prefix: u8,
}

/// A set of addresses, made of networks.
#[derive(Debug, Default, Clone)]
pub struct NetworkSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// For the upper 16 bits of an IPv4 address, the first range that starts there or later.
    index: Option<Box<[u32]>>,
}

/// First and last addresses of ranges, ascending.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Ranges<T> {
    firsts: Vec<T>,
    lasts: Vec<T>,
}

/// What addresses can do, as numbers.
trait Number: Copy + Ord {
    fn next(self) -> Option<Self>;
}

impl Number for u32 {
    fn next(self) -> Option<u32> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn next(self) -> Option<u128> {
        self.checked_add(1)
    }
}

impl<T: Number> Ranges<T> {
    /// The union of ranges in any order.
    fn union(mut ranges: Vec<(T, T)>) -> Ranges<T> {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                // One that begins within the last, or right after it, makes it longer.
                Some((_, end)) if end.next().is_none_or(|next| first <= next) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        let (firsts, lasts) = merged.into_iter().unzip();
        Ranges { firsts, lasts }
    }

    fn contains(&self, address: T, low: usize, high: usize) -> bool {
        let Some(firsts) = self.firsts.get(low..high) else { return false };
        let at = low + firsts.partition_point(|first| *first <= address);
        at.checked_sub(1).and_then(|at| self.lasts.get(at)).is_some_and(|last| *last >= address)
    }
}

impl NetworkSet {
    /// The union of networks.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> NetworkSet {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.address {
                IpAddr::V4(address) => {
                    let first = u32::from(address);
                    v4.push((first, first | u32::MAX.checked_shr(u32::from(network.prefix)).unwrap_or(0)));
                }
                IpAddr::V6(address) => {
                    let first = u128::from(address);
                    v6.push((first, first | u128::MAX.checked_shr(u32::from(network.prefix)).unwrap_or(0)));
                }
            }
        }
        let (v4, v6) = (Ranges::union(v4), Ranges::union(v6));
        let index = (v4.firsts.len() >= INDEXED).then(|| {
            let start = |upper: u32| v4.firsts.partition_point(|first| *first >> 16 < upper) as u32;
            (0..=1 << 16).map(start).collect()
        });
        NetworkSet { v4, v6, index }
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                let address = u32::from(address);
                let upper = (address >> 16) as usize;
                match self.index.as_deref().and_then(|index| Some((index.get(upper)?, index.get(upper + 1)?)))
                {
                    Some((low, high)) => self.v4.contains(address, *low as usize, *high as usize),
                    None => self.v4.contains(address, 0, self.v4.firsts.len()),
                }
            }
            IpAddr::V6(address) => self.v6.contains(u128::from(address), 0, self.v6.firsts.len()),
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.v4.firsts.is_empty() && self.v6.firsts.is_empty()
    }

    /// How many ranges it takes.
    pub fn len(&self) -> usize {
        self.v4.firsts.len() + self.v6.firsts.len()
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| index.len() * size_of::<u32>());
        (self.v4.firsts.capacity() + self.v4.lasts.capacity()) * size_of::<u32>()
            + (self.v6.firsts.capacity() + self.v6.lasts.capacity()) * size_of::<u128>()
            + index
    }

    /// Whether all of it is in `other`.
    pub fn is_within(&self, other: &NetworkSet) -> bool {
        fn within<T: Number>(ranges: &Ranges<T>, others: &Ranges<T>) -> bool {
            ranges.firsts.iter().zip(&ranges.lasts).all(|(first, last)| {
                let at = others.firsts.partition_point(|other| other <= first);
                at.checked_sub(1).and_then(|at| others.lasts.get(at)).is_some_and(|end| end >= last)
            })
        }
        within(&self.v4, &other.v4) && within(&self.v6, &other.v6)
    }

    /// The networks in a text, one a line; what follows `#` is a comment.
    ///
    /// # Errors
    /// The first line that is none, and what is wrong with it.
    pub fn parse(text: &str) -> Result<NetworkSet, String> {
        let mut networks = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                networks.push(parse(line).ok_or_else(|| {
                    format!(
                        "line {}: `{}` is not a network, as in `10.0.0.0/8`",
                        number + 1,
                        line.escape_debug()
                    )
                })?);
            }
        }
        Ok(NetworkSet::new(networks))
    }
}

/// A network, its address cut to the prefix. An IPv4 network in IPv6's clothes is one of IPv4, as its clients are.
fn parse(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    if prefix > longest {
        return None;
    }
    let network = match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Network { address: IpAddr::from((u32::from(ip) & mask).to_be_bytes()), prefix }
        }
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) if prefix >= 96 => return parse(&format!("{ip}/{}", prefix - 96)),
            _ => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                Network { address: IpAddr::from((u128::from(ip) & mask).to_be_bytes()), prefix }
            }
        },
    };
    Some(network)
}

/// Networks from `lb.toml` and from files that it names.
#[derive(Debug, Default, Clone)]
pub struct Networks {
    /// Those that stand in `lb.toml`.
    pub inline: NetworkSet,
    /// Files with more of them.
    pub files: Vec<Arc<Contents<NetworkSet>>>,
}

impl Networks {
    /// Whether an address is in any of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.inline.contains(address)
            || self.files.iter().any(|file| file.loaded().is_some_and(|set| set.contains(address)))
    }

    /// Whether neither networks nor files are named. A file that is empty is named all the same: a list of nobody
    /// allows nobody.
    pub fn is_empty(&self) -> bool {
        self.inline.is_empty() && self.files.is_empty()
    }
}
