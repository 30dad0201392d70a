//! Rules that never do anything: what a condition implies, and what it excludes, as far as that can be told from its
//! text. Says nothing where it cannot tell.

use std::sync::Arc;

use super::condition::{Condition, HostPattern, Test, ValueTest};
use super::network::Networks;
use super::{Rule, RuleSet};

/// A rule that does nothing, by its index, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Its conditions exclude each other.
    Contradiction(usize),
    /// Each request that it means is ended by this earlier rule.
    Ended(usize, usize),
    /// It only chooses a backend, and for each request that it means this earlier rule has chosen one.
    Chosen(usize, usize),
}

/// Which of the rules never do anything.
pub fn flaws(set: &RuleSet) -> Vec<Flaw> {
    let rules = set.rules();
    let found = rules.iter().enumerate().filter_map(|(index, rule)| {
        if is_never(&rule.when) {
            return Some(Flaw::Contradiction(index));
        }
        let earlier =
            rules[..index].iter().enumerate().filter(|(_, earlier)| implies(&rule.when, &earlier.when));
        earlier.into_iter().find_map(|(by, earlier)| {
            let chooses = earlier.use_backend.as_ref().is_some_and(|choice| choice.is_total());
            if earlier.ending.is_some() {
                Some(Flaw::Ended(index, by))
            } else if chooses && only_chooses(rule) {
                Some(Flaw::Chosen(index, by))
            } else {
                None
            }
        })
    });
    found.collect()
}

fn only_chooses(rule: &Rule) -> bool {
    rule.use_backend.is_some()
        && rule.ending.is_none()
        && rule.rewrite_path.is_none()
        && rule.set_query.is_none()
        && rule.request.is_empty()
        && rule.response.is_empty()
}

/// Whether `wide` holds wherever `narrow` does.
fn implies(narrow: &Condition, wide: &Condition) -> bool {
    match (narrow, wide) {
        (_, Condition::All(all)) => all.iter().all(|wide| implies(narrow, wide)),
        (Condition::Any(any), _) if !any.is_empty() => any.iter().all(|narrow| implies(narrow, wide)),
        (_, Condition::Any(any)) if any.iter().any(|wide| implies(narrow, wide)) => true,
        (Condition::All(all), _) => all.iter().any(|narrow| implies(narrow, wide)),
        (Condition::Not(narrow), Condition::Not(wide)) => implies(wide, narrow),
        (Condition::Test(narrow), Condition::Test(wide)) => test_implies(narrow, wide),
        _ => false,
    }
}

fn test_implies(narrow: &Test, wide: &Test) -> bool {
    use Test::{
        From, Header, Host, HostRegex, Method, Path, PathPrefix, PathRegex, PathSuffix, Port, Query, Sni, Tls,
    };
    match (narrow, wide) {
        (Host(a), Host(b)) | (Sni(a), Sni(b)) => each_in(a, b, host_within),
        (HostRegex(a), HostRegex(b)) | (PathRegex(a), PathRegex(b)) => each_in(a, b, PartialEq::eq),
        (Path(a), Path(b)) | (Method(a), Method(b)) => each_in(a, b, PartialEq::eq),
        (Path(a) | PathPrefix(a), PathPrefix(b)) => each_in(a, b, |a, b| a.starts_with(b)),
        (Path(a) | PathSuffix(a), PathSuffix(b)) => each_in(a, b, |a, b| a.ends_with(b)),
        (Path(a), PathRegex(b)) => each_in(a, b, |a, b| b.0.is_match(a)),
        (Header(a, value), Header(b, wide)) => a.eq_ignore_ascii_case(b) && value_implies(value, wide),
        (Test::Cookie(a, value), Test::Cookie(b, wide)) | (Query(a, value), Query(b, wide)) => {
            a == b && value_implies(value, wide)
        }
        (From(a), From(b)) => networks_within(a, b),
        (Port(a), Port(b)) => each_in(a, b, |a, b| a.0 >= b.0 && a.1 <= b.1),
        (Tls(a), Tls(b)) => a == b,
        (Sni(_), Tls(b)) => *b,
        _ => false,
    }
}

fn value_implies(narrow: &ValueTest, wide: &ValueTest) -> bool {
    use ValueTest::{Absent, Contains, Is, Prefix, Present, Suffix};
    match (narrow, wide) {
        (Absent, Absent) => true,
        (Absent, _) => false,
        (_, Present) => true,
        (Is(a), Is(b)) => each_in(a, b, PartialEq::eq),
        (Is(a) | Prefix(a), Prefix(b)) => each_in(a, b, |a, b| a.starts_with(b)),
        (Is(a) | Suffix(a), Suffix(b)) => each_in(a, b, |a, b| a.ends_with(b)),
        (Is(a) | Contains(a), Contains(b)) => each_in(a, b, |a, b| memchr::memmem::find(a, b).is_some()),
        _ => narrow == wide,
    }
}

fn networks_within(narrow: &Networks, wide: &Networks) -> bool {
    narrow.inline.is_within(&wide.inline)
        && narrow.files.iter().all(|file| wide.files.iter().any(|other| Arc::ptr_eq(file, other)))
}

fn host_within(narrow: &HostPattern, wide: &HostPattern) -> bool {
    match (narrow, wide) {
        (HostPattern::Exact(host), _) => wide.fits(host),
        (HostPattern::Under(a), HostPattern::Under(b)) => a.ends_with(b),
        (HostPattern::Under(_), HostPattern::Exact(_)) => false,
    }
}

fn each_in<A, B>(narrow: &[A], wide: &[B], within: impl Fn(&A, &B) -> bool) -> bool {
    narrow.iter().all(|one| wide.iter().any(|other| within(one, other)))
}

fn none_meets<A, B>(some: &[A], others: &[B], meets: impl Fn(&A, &B) -> bool) -> bool {
    !some.iter().any(|one| others.iter().any(|other| meets(one, other)))
}

/// Whether it holds for no request, as far as its text tells.
pub fn is_never(condition: &Condition) -> bool {
    match condition {
        Condition::Any(any) => any.iter().all(is_never),
        Condition::Not(condition) => condition.is_always(),
        Condition::Test(_) => false,
        Condition::All(_) => {
            let mut parts = Vec::new();
            flatten(condition, &mut parts);
            parts.iter().enumerate().any(|(index, part)| {
                is_never(part) || parts[..index].iter().any(|other| exclude_each_other(part, other))
            })
        }
    }
}

fn flatten<'c>(condition: &'c Condition, parts: &mut Vec<&'c Condition>) {
    match condition {
        Condition::All(all) => all.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(condition),
    }
}

fn exclude_each_other(one: &Condition, other: &Condition) -> bool {
    match (one, other) {
        (Condition::Test(a), Condition::Test(b)) => tests_exclude(a, b) || tests_exclude(b, a),
        (Condition::Not(a), b) | (b, Condition::Not(a)) => implies(b, a),
        _ => false,
    }
}

fn tests_exclude(one: &Test, other: &Test) -> bool {
    use Test::{Cookie, Header, Host, Method, Path, PathPrefix, PathSuffix, Port, Query, Sni, Tls};
    match (one, other) {
        (Host(a), Host(b)) | (Sni(a), Sni(b)) => {
            none_meets(a, b, |a, b| host_within(a, b) || host_within(b, a))
        }
        (Path(a), Path(b)) | (Method(a), Method(b)) => none_meets(a, b, PartialEq::eq),
        (Path(a), PathPrefix(b)) => none_meets(a, b, |a, b| a.starts_with(b)),
        (Path(a), PathSuffix(b)) => none_meets(a, b, |a, b| a.ends_with(b)),
        (PathPrefix(a), PathPrefix(b)) => none_meets(a, b, |a, b| a.starts_with(b) || b.starts_with(a)),
        (PathSuffix(a), PathSuffix(b)) => none_meets(a, b, |a, b| a.ends_with(b) || b.ends_with(a)),
        (Port(a), Port(b)) => none_meets(a, b, |a, b| a.0 <= b.1 && b.0 <= a.1),
        (Tls(a), Tls(b)) => a != b,
        (Sni(_), Tls(false)) | (Tls(false), Sni(_)) => true,
        (Header(a, ValueTest::Absent), Header(b, value)) => {
            a.eq_ignore_ascii_case(b) && *value != ValueTest::Absent
        }
        (Cookie(a, ValueTest::Absent), Cookie(b, value)) | (Query(a, ValueTest::Absent), Query(b, value)) => {
            a == b && *value != ValueTest::Absent
        }
        _ => false,
    }
}
