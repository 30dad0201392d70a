//! Rules between frontends and backends: which requests they mean, and what becomes of those. Compiled when the
//! configuration is read; here they are evaluated, for traffic and for `lb route` by the same code.
//!
//! Pure: no I/O and no clock on the way of a request. Files of networks and maps are read by [`ListFile::load`],
//! before a configuration comes into force.

mod action;
mod condition;
mod facts;
mod file;
mod map;
mod network;
mod reach;
mod template;

#[cfg(test)]
mod tests;

use crate::span::Span;

pub use action::{
    Answered, Cookie, Ending, HeaderEdit, HeaderEdits, HostOrPath, Redirect, RedirectTo, Respond,
    RewritePath, SetQuery, UseBackend, reason,
};
pub use condition::{Condition, HostPattern, Pattern, Test, ValueTest};
pub use facts::{CERTIFICATE_LINES, Certificate, Facts, Tls};
pub use file::{Contents, ListFile};
pub use map::Map;
pub use network::{Network, NetworkSet, Networks};
pub use reach::{Flaw, flaws, is_never};
pub use template::{Template, VARIABLES};

/// One rule: what it means, and what it does.
#[derive(Debug)]
pub struct Rule {
    /// Which requests it means; an empty [`Condition::All`] means each.
    pub when: Condition,
    /// Changes to the request's header lines.
    pub request: HeaderEdits,
    /// Changes to the response's header lines.
    pub response: HeaderEdits,
    /// Another path for the server.
    pub rewrite_path: Option<RewritePath>,
    /// Another query for the server.
    pub set_query: Option<SetQuery>,
    /// The backend that serves.
    pub use_backend: Option<UseBackend>,
    /// An end without a server.
    pub ending: Option<Ending>,
    /// Where it stands.
    pub span: Span,
}

/// The rules of a frontend or a backend, in the order of the file.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    needs_local: bool,
    needs_request_id: bool,
}

impl RuleSet {
    /// These rules.
    pub fn new(rules: Vec<Rule>) -> RuleSet {
        let needs_local =
            rules.iter().any(|rule| rule.when.asks_for_port() || rule.templates(Template::asks_for_local));
        let needs_request_id = rules.iter().any(|rule| rule.templates(Template::asks_for_request_id));
        RuleSet { rules, needs_local, needs_request_id }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a rule wants to know the address that the client connected to.
    pub fn needs_local(&self) -> bool {
        self.needs_local
    }

    /// Whether a rule wants a request to have a number of its own.
    pub fn needs_request_id(&self) -> bool {
        self.needs_request_id
    }

    /// Evaluates the rules in their order, adding to `decision`, until one ends the request. `met` hears of each that
    /// means it.
    pub fn decide<'r>(
        &'r self,
        facts: &Facts<'_>,
        decision: &mut Decision<'r>,
        mut met: impl FnMut(&'r Rule),
    ) {
        for rule in &self.rules {
            if !rule.when.holds(facts) {
                continue;
            }
            met(rule);
            rule.request.apply(facts, &mut decision.request);
            rule.response.apply(facts, &mut decision.response);
            if let Some(rewrite) = &rule.rewrite_path {
                rewrite.apply(facts, &mut decision.target);
            }
            if let Some(query) = &rule.set_query {
                query.apply(facts, &mut decision.target);
            }
            if decision.backend.is_none()
                && let Some(choice) = &rule.use_backend
            {
                decision.backend = choice.choose(facts);
            }
            if let Some(ending) = &rule.ending {
                decision.ending = Some(ending);
                return;
            }
        }
    }
}

impl Rule {
    /// Whether any of its templates is `asked` for.
    fn templates(&self, asked: fn(&Template) -> bool) -> bool {
        self.request.templates().any(asked)
            || self.response.templates().any(asked)
            || matches!(&self.set_query, Some(SetQuery::Whole(template)) if asked(template))
            || self.ending.as_ref().is_some_and(|ending| ending.templates().any(asked))
    }
}

/// What rules have come to.
#[derive(Debug, Default)]
pub struct Decision<'r> {
    /// The backend that the first rule chose; otherwise the frontend's default serves.
    pub backend: Option<usize>,
    /// How the request ends without a server, if it does.
    pub ending: Option<&'r Ending>,
    /// Changes to the request's lines, in their order.
    pub request: Vec<HeaderEdit<'r>>,
    /// Changes to the response's lines, in their order.
    pub response: Vec<HeaderEdit<'r>>,
    /// The target for the server, where it is not the client's.
    pub target: Option<Vec<u8>>,
}

/// Who may connect to a frontend.
#[derive(Debug, Default)]
pub struct Access {
    /// Where it is not empty, clients of these networks alone.
    pub allow: Networks,
    /// Clients of these networks never.
    pub deny: Networks,
}

impl Access {
    /// Whether a client may connect. One on a Unix socket has no address, and may.
    pub fn permits(&self, client: Option<std::net::IpAddr>) -> bool {
        let Some(client) = client else { return true };
        !self.deny.contains(client) && (self.allow.is_empty() || self.allow.contains(client))
    }
}
