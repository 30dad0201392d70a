//! A configuration that can run: read, resolved, its policies tried. What `lb check` finds out, and what a start and
//! a reload begin with.

use std::path::PathBuf;

use crate::capacity;
use crate::config::diagnostics::{Diagnostics, Problem, Severity};
use crate::config::model::BindAddress;
use crate::config::{self, Loaded};
use crate::inherited;
use crate::pages::Shelf;
use crate::policy::{self, Proven};
use crate::tls::{Preparation, Prepared};
use crate::unix_socket;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A file, read again for each reload.
    File(PathBuf),
    /// A text in memory, by this name.
    Text(&'static str, String),
}

impl Origin {
    pub(super) fn load(&self) -> Result<Loaded, Diagnostics> {
        match self {
            Origin::File(path) => config::load(path),
            Origin::Text(name, text) => config::parse(text, name),
        }
    }
}

/// A configuration that can run: read, resolved, its policies tried.
pub(crate) struct Checked {
    /// The configuration.
    pub(crate) loaded: Loaded,
    pub(crate) policies: Vec<Proven>,
    /// The pages from files.
    pub(crate) pages: Shelf,
    pub(crate) tls: Prepared,
}

/// Reads a configuration and tries its policies.
///
/// # Errors
/// Everything that is wrong with it, as text for people.
pub(crate) fn check(origin: &Origin, runtime: &policy::Runtime) -> Result<Checked, Diagnostics> {
    let mut loaded = origin.load()?;
    for shortage in capacity::shortages(&loaded.config, &capacity::System::read()) {
        loaded.warnings.push(shortage);
    }
    let mut diagnostics = Diagnostics::new(loaded.source.clone());
    load_lists(&loaded, &mut diagnostics);
    refuse_strangers(&loaded, &mut diagnostics);
    let mut policies = Vec::new();
    for backend in &loaded.config.backends {
        match runtime.prove(backend) {
            Ok(proven) => policies.push(proven),
            Err(problems) => problems.into_iter().for_each(|problem| {
                let found = Problem::error(problem.span, problem.message);
                diagnostics.push(match problem.help {
                    Some(help) => found.help(help),
                    None => found,
                });
            }),
        }
    }
    unix_socket::unknown_accounts(&loaded.config).into_iter().for_each(|problem| diagnostics.push(problem));
    let (pages, wrong_pages) = Shelf::read(&loaded.config);
    let Preparation { prepared: tls, problems } = Prepared::of(&loaded.config);
    for problem in problems.into_iter().chain(wrong_pages) {
        match problem.severity {
            Severity::Error => diagnostics.push(problem),
            Severity::Warning => loaded.warnings.push(problem),
        }
    }
    if diagnostics.has_errors() { Err(diagnostics) } else { Ok(Checked { loaded, policies, pages, tls }) }
}

/// Refuses listeners by descriptors that were not handed over: what is at such a number is something else of this process.
fn refuse_strangers(loaded: &Loaded, diagnostics: &mut Diagnostics) {
    for bind in loaded.config.frontends.iter().flat_map(|frontend| &frontend.bind) {
        if let BindAddress::Fd(number) = bind.address
            && let Err(refused) = inherited::listener(number)
        {
            diagnostics.push(Problem::error(bind.spot.0.clone(), refused.message).help(refused.help));
        }
    }
}

/// Reads the files that rules name.
pub(crate) fn load_lists(loaded: &Loaded, diagnostics: &mut Diagnostics) {
    for list in &loaded.config.lists {
        if let Err(wrong) = list.load() {
            diagnostics.push(Problem::error(list.span(), format!("{} {wrong}", list.path().display())));
        }
    }
}
