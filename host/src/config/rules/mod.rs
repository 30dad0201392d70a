//! `[[frontends.NAME.rules]]` and `[[backends.NAME.rules]]`, and who may connect to a frontend. Names of backends
//! become indices, patterns and templates are compiled; what rules would never do is warned of.

mod action;
mod condition;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::address;
use super::diagnostics::Problem;
use super::keys::Scope;
use super::section::{Complaint, Section, Value};
use crate::rules::{Access, Contents, Flaw, ListFile, Map, NetworkSet, Networks, Rule, RuleSet, flaws};
use crate::span::Span;
use crate::suggest;

/// What rules are read with: the backends there are, and what the rules want of them and of files.
pub(super) struct Reader {
    backends: Arc<[Arc<str>]>,
    /// Files that are named so far.
    lists: RefCell<Vec<ListFile>>,
    /// For each backend, whether a rule may choose it.
    used: RefCell<Vec<bool>>,
    /// Those of them that rules chose since this was asked last.
    chosen: RefCell<HashSet<usize>>,
    /// Whether rules stand in a backend, where no other can be chosen any more.
    in_backend: Cell<bool>,
}

impl Reader {
    /// A reader of a file with these backends.
    pub(super) fn new(backends: &[&str]) -> Reader {
        Reader {
            backends: backends.iter().map(|name| Arc::from(*name)).collect(),
            lists: RefCell::default(),
            used: RefCell::new(vec![false; backends.len()]),
            chosen: RefCell::default(),
            in_backend: Cell::new(false),
        }
    }

    /// The files that were named, and for each backend whether a rule may choose it.
    pub(super) fn finish(self) -> (Vec<ListFile>, Vec<bool>) {
        (self.lists.into_inner(), self.used.into_inner())
    }

    /// The backends that rules may choose which were read since this was asked last.
    pub(super) fn take_chosen(&self) -> HashSet<usize> {
        self.chosen.take()
    }

    /// The rules of a section.
    pub(super) fn rules(&self, section: &Section<'_>, in_backend: bool) -> Arc<RuleSet> {
        self.in_backend.set(in_backend);
        let values = section.read("rules", Value::elements).unwrap_or_default();
        let rules: Vec<Rule> = values.into_iter().filter_map(|value| self.rule(value)).collect();
        let set = RuleSet::new(rules);
        self.warn_of_flaws(section, &set);
        Arc::new(set)
    }

    /// Who may connect to a frontend; `None` where everybody may.
    pub(super) fn access(&self, section: &Section<'_>) -> Option<Arc<Access>> {
        let allow = self.networks(section, "allow", "allow_file");
        let deny = self.networks(section, "deny", "deny_file");
        (allow.is_some() || deny.is_some())
            .then(|| Arc::new(Access { allow: allow.unwrap_or_default(), deny: deny.unwrap_or_default() }))
    }

    fn rule(&self, value: Value<'_>) -> Option<Rule> {
        let section = value.section_of(Scope::Rule, "the rule".to_owned(), value.span())?;
        let when = section.read("when", |value| self.condition(value));
        let request = section.read("request", |value| self.header_edits(value));
        let response = section.read("response", |value| self.header_edits(value));
        let rewrite_path = section.read("rewrite_path", action::rewrite_path);
        let set_query = section.read("set_query", action::set_query);
        let use_backend = section.read("use_backend", |value| self.use_backend(value));
        let endings = [
            section.read("deny", action::deny).flatten(),
            section.read("tarpit", action::tarpit),
            section.read("redirect", action::redirect),
            section.read("respond", |value| self.respond(value)),
        ];
        let given: Vec<&str> = ["deny", "tarpit", "redirect", "respond", "use_backend"]
            .into_iter()
            .filter(|key| section.span_of(key).is_some())
            .collect();
        if let [first, second, ..] = given[..] {
            let message = format!("a rule cannot both `{first}` and `{second}`");
            let problem = Problem::error(section.span_of(second), message);
            section.report(problem.help("make two rules of it; the first that holds counts"));
        }
        if given.is_empty()
            && ["request", "response", "rewrite_path", "set_query"]
                .iter()
                .all(|key| section.span_of(key).is_none())
        {
            let help = "add one of `use_backend`, `deny`, `tarpit`, `redirect`, `respond`, `request`, `response`, \
                        `rewrite_path` and `set_query`";
            section.report(Problem::error(section.span(), "the rule does nothing").help(help));
        }
        Some(Rule {
            when: when.unwrap_or_else(|| crate::rules::Condition::All(Vec::new())),
            request: request.unwrap_or_default(),
            response: response.unwrap_or_default(),
            rewrite_path,
            set_query,
            use_backend,
            ending: endings.into_iter().flatten().next(),
            span: value.span(),
        })
    }

    /// The index of a backend by its name.
    fn backend(&self, value: Value<'_>) -> Option<usize> {
        let name = value.text()?;
        let index = self.backends.iter().position(|known| **known == *name);
        match index {
            Some(index) => {
                self.used.borrow_mut()[index] = true;
                self.chosen.borrow_mut().insert(index);
            }
            None => {
                let help = suggest::help(name, self.backends.iter().map(|name| &**name));
                value.refuse(Complaint::new(format!("there is no backend `{}`", name.escape_debug()), help));
            }
        }
        index
    }

    /// Networks that stand here under one key, and in files under another; `None` where neither key is there.
    fn networks(&self, section: &Section<'_>, inline: &str, files: &str) -> Option<Networks> {
        let here = section.read(inline, |value| {
            let network = |value: Value<'_>| value.accept(address::network(value.text()?));
            Some(value.one_or_many().into_iter().filter_map(network).collect::<Vec<_>>())
        });
        let named = section.read(files, |value| {
            Some(
                value
                    .one_or_many()
                    .into_iter()
                    .filter_map(|value| self.network_file(value))
                    .collect::<Vec<_>>(),
            )
        });
        (here.is_some() || named.is_some()).then(|| Networks {
            inline: NetworkSet::new(here.unwrap_or_default()),
            files: named.unwrap_or_default(),
        })
    }

    /// A file of networks; one that is named twice is read once.
    fn network_file(&self, value: Value<'_>) -> Option<Arc<Contents<NetworkSet>>> {
        let (path, span) = path(value)?;
        let mut lists = self.lists.borrow_mut();
        let known = lists.iter().find_map(|list| match list {
            ListFile::Networks(file) if file.path == path => Some(file.clone()),
            _ => None,
        });
        Some(known.unwrap_or_else(|| {
            let file = Arc::new(Contents::new(path, span));
            lists.push(ListFile::Networks(file.clone()));
            file
        }))
    }

    /// A map's file; one that is named twice is read once.
    fn map_file(&self, value: Value<'_>) -> Option<Arc<Contents<Map>>> {
        let (path, span) = path(value)?;
        // Which backends it has is known only when it is read.
        self.used.borrow_mut().fill(true);
        self.chosen.borrow_mut().extend(0..self.backends.len());
        let mut lists = self.lists.borrow_mut();
        let known = lists.iter().find_map(|list| match list {
            ListFile::Map(file, _) if file.path == path => Some(file.clone()),
            _ => None,
        });
        Some(known.unwrap_or_else(|| {
            let file = Arc::new(Contents::new(path, span));
            lists.push(ListFile::Map(file.clone(), self.backends.clone()));
            file
        }))
    }

    fn warn_of_flaws(&self, section: &Section<'_>, set: &RuleSet) {
        let span = |index: usize| set.rules()[index].span.clone();
        for flaw in flaws(set) {
            section.report(match flaw {
                Flaw::Contradiction(rule) => {
                    Problem::warning(span(rule), "no request meets this rule: its conditions exclude each other")
                }
                Flaw::Ended(rule, by) => {
                    Problem::warning(span(rule), "no request meets this rule: an earlier one has ended each that it means")
                        .related(span(by), "this one")
                        .help("put the narrower rule first")
                }
                Flaw::Chosen(rule, by) => {
                    let message = "this rule has no effect: an earlier one has chosen a backend for each request that it means";
                    Problem::warning(span(rule), message).related(span(by), "this one").help("put the narrower rule first")
                }
            });
        }
    }
}

/// A path, and where it is named.
fn path(value: Value<'_>) -> Option<(PathBuf, Span)> {
    let text = value.text()?;
    if text.is_empty() {
        value.unfit("this is empty");
        return None;
    }
    Some((value.reading.path(text), value.span()))
}
