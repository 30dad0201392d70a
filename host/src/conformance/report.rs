//! What an examination found, for people and for tools.

use std::fmt::Write;

use serde_json::{Value, json};

use super::exam::Call;
use crate::policy::{MEMORY_BYTES, Policy};

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The policy does not keep to the interface.
    Wrong,
    /// It may be meant so.
    Note,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The case in which it showed.
    pub case: String,
    /// What it is.
    pub message: String,
    /// What the policy was sent; empty for notes.
    pub sent: String,
}

/// A case that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// Its name.
    pub name: &'static str,
    /// How many calls it made.
    pub calls: usize,
}

/// What calls of a kind took, in processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTime {
    /// The kind.
    pub call: Call,
    /// How many there were.
    pub calls: usize,
    /// The median.
    pub median_ns: u64,
    /// The most that one took.
    pub most_ns: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The policy's name and version.
    pub policy: String,
    /// The seed of its histories.
    pub seed: u64,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
    /// What was found, in order.
    pub findings: Vec<Finding>,
    /// What calls took, where nothing was wrong.
    pub times: Vec<CallTime>,
    /// The most memory that an instance held.
    pub memory_bytes: usize,
}

impl Report {
    pub(super) fn new(policy: &Policy, seed: u64) -> Report {
        let description = policy.description();
        Report {
            policy: format!("{} {}", description.name, description.version),
            seed,
            cases: Vec::new(),
            findings: Vec::new(),
            times: Vec::new(),
            memory_bytes: 0,
        }
    }

    pub(super) fn count(&mut self, case: &'static str, calls: usize) {
        match self.cases.iter_mut().find(|known| known.name == case) {
            Some(known) => known.calls += calls,
            None => self.cases.push(CaseReport { name: case, calls }),
        }
    }

    pub(super) fn note(&mut self, case: &str, message: String) {
        self.find(Finding { severity: Severity::Note, case: case.to_owned(), message, sent: String::new() });
    }

    pub(super) fn wrong(&mut self, case: &str, message: String, sent: String) {
        self.find(Finding { severity: Severity::Wrong, case: case.to_owned(), message, sent });
    }

    /// The second run of a case finds what the first did.
    fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// What is wrong.
    pub fn wrongs(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Wrong)
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        self.wrongs().next().is_none()
    }

    /// For people. `command` is how it was asked for, without seed and case.
    pub fn text(&self, command: &str) -> String {
        let mut out = format!("{}, seed {}\n\n", self.policy, self.seed);
        for case in &self.cases {
            let wrong = self.wrongs().any(|finding| finding.case == case.name);
            let verdict = if wrong { "WRONG" } else { "ok" };
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(out, "  {:24} {verdict:6} {:>8} calls", case.name, case.calls);
        }
        for finding in &self.findings {
            match finding.severity {
                Severity::Note => {
                    let _ = writeln!(out, "\nnote: {}: {}", finding.case, finding.message);
                }
                Severity::Wrong => {
                    let _ = writeln!(out, "\nwrong: {}: {}", finding.case, finding.message);
                    let _ = writeln!(out, "  sent:  {}", finding.sent);
                    let _ = writeln!(out, "  again: {}", again(command, self.seed, &finding.case));
                }
            }
        }
        if !self.times.is_empty() {
            let _ = writeln!(
                out,
                "\n  {:24} {:>10} {:>10} {:>10}",
                "processor time, µs", "median", "most", "limit"
            );
            for time in &self.times {
                let us = |ns: u64| ns as f64 / 1000.0;
                let _ = writeln!(
                    out,
                    "  {:24} {:>10.1} {:>10.1} {:>10}",
                    time.call.name(),
                    us(time.median_ns),
                    us(time.most_ns),
                    time.call.budget().as_micros()
                );
            }
            let (held, limit) = (self.memory_bytes >> 10, MEMORY_BYTES >> 10);
            let _ = writeln!(out, "  {:24} {held:>10} KiB at most, of {limit}", "memory");
        }
        let wrongs = self.wrongs().count();
        let _ = match wrongs {
            0 => writeln!(out, "\nfine: {} cases, nothing wrong", self.cases.len()),
            _ => writeln!(out, "\nWRONG: {wrongs} of {} cases", self.cases.len()),
        };
        out
    }

    /// For tools.
    pub(crate) fn json(&self, command: &str) -> Value {
        let finding = |finding: &Finding| {
            let wrong = finding.severity == Severity::Wrong;
            json!({
                "severity": if wrong { "wrong" } else { "note" },
                "case": finding.case,
                "message": finding.message,
                "sent": wrong.then_some(&finding.sent),
                "again": wrong.then(|| again(command, self.seed, &finding.case)),
            })
        };
        let case = |case: &CaseReport| json!({ "name": case.name, "calls": case.calls });
        let time = |time: &CallTime| {
            json!({
                "call": time.call.name(),
                "calls": time.calls,
                "median_ns": time.median_ns,
                "most_ns": time.most_ns,
                "limit_ns": time.call.budget().as_nanos() as u64,
            })
        };
        json!({
            "policy": self.policy,
            "seed": self.seed,
            "fine": self.is_fine(),
            "cases": self.cases.iter().map(case).collect::<Value>(),
            "findings": self.findings.iter().map(finding).collect::<Value>(),
            "times": self.times.iter().map(time).collect::<Value>(),
            "memory_bytes": self.memory_bytes,
        })
    }
}

fn again(command: &str, seed: u64, case: &str) -> String {
    format!("{command} --seed {seed} --case {case}")
}
