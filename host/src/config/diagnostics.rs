//! What is wrong with a configuration, and how that is shown: file, line, column, the line itself with a
//! caret, and where possible what to write instead.
//!
//! Reading `lb.toml` fills a [`Diagnostics`]; whoever finds more later (a policy that refuses a setting)
//! makes one from [`Loaded::source`](super::Loaded) and pushes to it.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::span::Span;

/// A configuration file: what messages call it, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as the user gave it.
    pub name: Arc<str>,
    /// Everything in it.
    pub text: Arc<str>,
}

impl Source {
    /// A source of this name and text.
    pub fn new(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into() }
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot run.
    Error,
    /// It can, but will hardly do what was meant.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The bytes of the source that are wrong. `None`: the file as a whole.
    pub span: Option<Span>,
    /// What is wrong: lower case, no full stop, names in backquotes.
    pub message: String,
    /// A few words beside the caret.
    pub label: Option<String>,
    /// Another place that belongs to it, and a few words on why.
    pub related: Option<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    /// An error at `span`, or in the file as a whole.
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            span: span.into(),
            message: message.into(),
            label: None,
            related: None,
            help: None,
        }
    }

    /// A warning at `span`, or about the file as a whole.
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(span, message) }
    }

    /// Says a few words beside the caret.
    pub fn label(self, label: impl Into<String>) -> Problem {
        Problem { label: Some(label.into()), ..self }
    }

    /// Points at another place as well.
    pub fn related(self, span: Span, label: impl Into<String>) -> Problem {
        Problem { related: Some((span, label.into())), ..self }
    }

    /// Says what to do. An empty text says nothing.
    pub fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()).filter(|help| !help.is_empty()), ..self }
    }
}

/// Everything that was found in one [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    source: Source,
    problems: Vec<Problem>,
}

impl Diagnostics {
    /// None so far.
    pub fn new(source: Source) -> Diagnostics {
        Diagnostics { source, problems: Vec::new() }
    }

    /// These.
    pub fn of(source: Source, problems: Vec<Problem>) -> Diagnostics {
        Diagnostics { source, problems }
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What was found, in the order in which it was.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether any of it keeps the configuration from running.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of it for people, in the order of the file; nothing if nothing was found. `colour` is for terminals.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        // Backends that take a policy over from [defaults] all find the same wrong with it.
        problems.dedup();
        let rendered = |problem| renderer.render(&[self.group(problem)]) + "\n";
        problems.into_iter().map(rendered).collect::<Vec<_>>().join("\n")
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&problem.message));
        if let Some(span) = &problem.span {
            let caret = AnnotationKind::Primary.span(self.inside(span)).label(problem.label.as_deref());
            let related = problem
                .related
                .as_ref()
                .map(|(span, label)| AnnotationKind::Context.span(self.inside(span)).label(label));
            let snippet = Snippet::source(&*self.source.text).path(&*self.source.name);
            group = group.element(snippet.annotation(caret).annotations(related));
        }
        if problem.span.is_none() {
            group = group.element(Origin::path(&*self.source.name));
        }
        group.elements(problem.help.as_deref().map(|help| Level::HELP.message(help)))
    }

    /// The span cut to what the text has, on the boundaries of characters.
    fn inside(&self, span: &Span) -> Span {
        let text = &self.source.text;
        let start = text.floor_char_boundary(span.start);
        start..text.ceil_char_boundary(span.end).max(start)
    }
}

/// As [`Diagnostics::render`] without colour.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
