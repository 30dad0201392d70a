//! Conditions: tests of a request, and how they are put together.

use regex::bytes::Regex;

use super::facts::Facts;
use super::network::Networks;
use crate::http::cookies;
use crate::http::head::Known;

/// Which requests a rule means.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Those for which each of these holds; all of them, if there is none.
    All(Vec<Condition>),
    /// Those for which one of these holds.
    Any(Vec<Condition>),
    /// Those for which this does not hold.
    Not(Box<Condition>),
    /// Those that pass a test.
    Test(Test),
}

/// A test of one thing; where there are several values, one of them is enough.
#[derive(Debug, Clone)]
pub enum Test {
    /// The host that was asked for.
    Host(Vec<HostPattern>),
    /// The same, by a pattern.
    HostRegex(Vec<Pattern>),
    /// The path, byte for byte.
    Path(Vec<Box<[u8]>>),
    /// How the path begins.
    PathPrefix(Vec<Box<[u8]>>),
    /// How the path ends.
    PathSuffix(Vec<Box<[u8]>>),
    /// A pattern found in the path.
    PathRegex(Vec<Pattern>),
    /// The method, in its capitals.
    Method(Vec<Box<[u8]>>),
    /// A header line of this name.
    Header(Box<str>, ValueTest),
    /// A cookie of this name.
    Cookie(Box<str>, ValueTest),
    /// A query parameter of this name.
    Query(Box<str>, ValueTest),
    /// The client's network.
    From(Networks),
    /// The port that the client connected to, as ranges with both ends in them.
    Port(Vec<(u16, u16)>),
    /// Whether the client speaks TLS.
    Tls(bool),
    /// The host that the client named in its TLS handshake.
    Sni(Vec<HostPattern>),
}

/// A host, or the hosts under one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// This one, in lower case.
    Exact(Box<[u8]>),
    /// Those that end with this, in lower case: `.example.com`.
    Under(Box<[u8]>),
}

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// What the value of a header line, a cookie or a query parameter is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueTest {
    /// Anything, but there.
    Present,
    /// Not there.
    Absent,
    /// One of these, whole.
    Is(Vec<Box<[u8]>>),
    /// It begins with one of these.
    Prefix(Vec<Box<[u8]>>),
    /// It ends with one of these.
    Suffix(Vec<Box<[u8]>>),
    /// One of these is somewhere in it.
    Contains(Vec<Box<[u8]>>),
    /// One of these is found in it.
    Regex(Vec<Pattern>),
}

impl Condition {
    /// Whether it holds for each request.
    pub fn is_always(&self) -> bool {
        matches!(self, Condition::All(none) if none.is_empty())
    }

    /// Whether it holds for this request.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Condition::All(all) => all.iter().all(|condition| condition.holds(facts)),
            Condition::Any(any) => any.iter().any(|condition| condition.holds(facts)),
            Condition::Not(condition) => !condition.holds(facts),
            Condition::Test(test) => test.passes(facts),
        }
    }

    /// The names of the header lines that it looks at.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        match self {
            Condition::All(many) | Condition::Any(many) => {
                many.iter().flat_map(Condition::header_names).collect()
            }
            Condition::Not(condition) => condition.header_names(),
            Condition::Test(Test::Header(name, _)) => vec![name],
            Condition::Test(_) => Vec::new(),
        }
    }

    /// Whether it looks at the port that the client connected to.
    pub(crate) fn asks_for_port(&self) -> bool {
        match self {
            Condition::All(many) | Condition::Any(many) => many.iter().any(Condition::asks_for_port),
            Condition::Not(condition) => condition.asks_for_port(),
            Condition::Test(test) => matches!(test, Test::Port(_)),
        }
    }
}

impl Test {
    fn passes(&self, facts: &Facts<'_>) -> bool {
        match self {
            Test::Host(hosts) => hosts.iter().any(|pattern| pattern.fits(facts.host)),
            Test::HostRegex(patterns) => found(patterns, facts.host),
            Test::Path(paths) => paths.iter().any(|path| **path == *facts.path),
            Test::PathPrefix(prefixes) => prefixes.iter().any(|prefix| facts.path.starts_with(prefix)),
            Test::PathSuffix(suffixes) => suffixes.iter().any(|suffix| facts.path.ends_with(suffix)),
            Test::PathRegex(patterns) => found(patterns, facts.path),
            Test::Method(methods) => methods.iter().any(|method| **method == *facts.head.method()),
            Test::Header(name, value) => value.passes(facts.headers(name)),
            Test::Cookie(name, value) => {
                let pairs = facts.head.lines().known(Known::Cookie).flat_map(cookies::pairs);
                value.passes(pairs.filter(|pair| pair.name == name.as_bytes()).map(|pair| pair.value))
            }
            Test::Query(name, value) => value.passes(facts.parameter(name.as_bytes()).into_iter()),
            Test::From(networks) => facts.address().is_some_and(|address| networks.contains(address)),
            Test::Port(ports) => facts.local.is_some_and(|local| {
                ports.iter().any(|(first, last)| (*first..=*last).contains(&local.port()))
            }),
            Test::Tls(wanted) => facts.tls.is_some() == *wanted,
            Test::Sni(hosts) => {
                facts.tls.is_some_and(|tls| hosts.iter().any(|pattern| pattern.fits(tls.sni.as_bytes())))
            }
        }
    }
}

impl HostPattern {
    /// Whether this is such a host. What stands for the star is never empty.
    pub fn fits(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Exact(name) => host.eq_ignore_ascii_case(name),
            HostPattern::Under(end) => {
                host.len() > end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end)
            }
        }
    }
}

impl ValueTest {
    fn passes<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
        match self {
            ValueTest::Present => values.next().is_some(),
            ValueTest::Absent => values.next().is_none(),
            ValueTest::Is(wanted) => values.any(|value| wanted.iter().any(|one| **one == *value)),
            ValueTest::Prefix(wanted) => values.any(|value| wanted.iter().any(|one| value.starts_with(one))),
            ValueTest::Suffix(wanted) => values.any(|value| wanted.iter().any(|one| value.ends_with(one))),
            ValueTest::Contains(wanted) => {
                values.any(|value| wanted.iter().any(|one| memchr::memmem::find(value, one).is_some()))
            }
            ValueTest::Regex(patterns) => values.any(|value| found(patterns, value)),
        }
    }
}

fn found(patterns: &[Pattern], text: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.0.is_match(text))
}
