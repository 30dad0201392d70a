//! The reader's tools: a [`Section`] gives out values by key, a [`Value`] gives itself as a Rust type.
//!
//! Whatever does not fit is reported to the [`Reading`] on the spot and then counts as absent, so that reading
//! goes on and finds the rest. Unknown keys are found when a section is opened, by the table of [`keys`].

use std::cell::{OnceCell, RefCell};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::Problem;
use super::discovery::Known;
use super::keys::{self, Key, Scope};
use crate::span::Span;
use crate::suggest;

/// A file while it is read.
#[derive(Debug)]
pub(super) struct Reading {
    problems: RefCell<Vec<Problem>>,
    directory: PathBuf,
    resolvers: OnceCell<Known>,
}

impl Reading {
    /// Begins on a file in `directory`, to which its relative paths are relative.
    pub(super) fn new(directory: &Path) -> Reading {
        Reading { problems: RefCell::default(), directory: directory.to_owned(), resolvers: OnceCell::new() }
    }

    /// Takes down a problem.
    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A path of the file, as the process can open it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// Sets who may be asked for the addresses of servers; once, before any server is read.
    pub(super) fn know_resolvers(&self, known: Known) {
        let _ = self.resolvers.set(known);
    }

    /// Who may be asked for the addresses of servers.
    pub(super) fn resolvers(&self) -> &Known {
        self.resolvers.get_or_init(Known::default)
    }

    /// Everything that was reported.
    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// Why a text is not what it should be, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// What is wrong: lower case, no full stop.
    pub(super) message: String,
    /// What to do; may be empty.
    pub(super) help: String,
}

impl Complaint {
    /// A complaint with advice.
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Complaint {
        Complaint { message: message.into(), help: help.into() }
    }
}

impl From<String> for Complaint {
    fn from(message: String) -> Complaint {
        Complaint { message, help: String::new() }
    }
}

/// A table whose keys are known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    reading: &'a Reading,
    scope: Scope,
    /// The name of the key whose table this is, and a dot; or nothing.
    prefix: String,
    /// What messages call it: "backend `app`".
    title: String,
    table: &'a DeTable<'a>,
    span: Option<Span>,
}

impl<'a> Section<'a> {
    /// Opens the top level of a file.
    pub(super) fn file(reading: &'a Reading, table: &'a DeTable<'a>) -> Section<'a> {
        let title = "the file".to_owned();
        let section =
            Section { reading, scope: Scope::File, prefix: String::new(), title, table, span: None };
        section.report_unknown_keys();
        section
    }

    /// The file that it is from.
    pub(super) fn reading(&self) -> &'a Reading {
        self.reading
    }

    /// Takes down a problem.
    pub(super) fn report(&self, problem: Problem) {
        self.reading.report(problem);
    }

    /// What messages call it.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// Where it is named, for problems with the whole of it; the top level is not.
    pub(super) fn span(&self) -> Option<Span> {
        self.span.clone()
    }

    /// The value of `key` as `read` makes it; `None` where it is absent, does not fit, or where the section
    /// does not have that key at all (frontends, backends and defaults are read by the same code).
    pub(super) fn read<T>(&self, key: &str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        self.value(key).and_then(read)
    }

    /// As [`Section::read`], and an error where the key is absent; unless there is a slip that was meant to be
    /// it.
    pub(super) fn require<T>(&self, key: &str, read: impl FnOnce(Value<'a>) -> Option<T>) -> Option<T> {
        let value = self.value(key);
        if value.is_none() && !self.others().any(|(name, ..)| self.sibling(name) == Some(key)) {
            let message = format!("{} has no `{key}`", self.title);
            let help = match self.key(key) {
                Some(key) => format!("it must be {}", key.kind),
                None => String::new(),
            };
            self.report(Problem::error(self.span(), message).help(help));
        }
        value.and_then(read)
    }

    /// The value of `key` as it stands.
    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        let node = self.table.get(key)?;
        Some(Value { reading: self.reading, scope: self.scope, key: self.key(key)?, node })
    }

    /// Where `key` stands, if it does.
    pub(super) fn span_of(&self, key: &str) -> Option<Span> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The keys that the key table does not have, for tables that take settings of a policy.
    pub(super) fn others(&self) -> impl Iterator<Item = (&'a str, Span, &'a Spanned<DeValue<'a>>)> {
        in_order(self.table).filter(|(name, ..)| self.key(name).is_none()).collect::<Vec<_>>().into_iter()
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        keys::find(self.scope, &format!("{}{name}", self.prefix))
    }

    fn report_unknown_keys(&self) {
        for (name, span, _) in self.others() {
            let message = format!("unknown key `{name}` in {}", self.title);
            self.report(Problem::error(span, message).help(self.advice_on(name)));
        }
    }

    /// What to do about an unknown key: move it to where it belongs, or take the one that was meant.
    fn advice_on(&self, name: &str) -> String {
        let full = format!("{}{name}", self.prefix);
        if let Some(key) = keys::all().find(|key| key.name == full) {
            let homes: Vec<_> = key.scopes.iter().map(|scope| format!("`{}`", scope.written())).collect();
            return format!("`{full}` belongs in {}", homes.join(" or "));
        }
        let in_a_table = |key: &&Key| key.name.rsplit_once('.').is_some_and(|(_, last)| last == name);
        let nested = keys::of(self.scope).find(in_a_table).map(|key| key.name);
        let meant: Vec<_> =
            self.sibling(name).into_iter().chain(nested).map(|key| format!("`{key}`")).collect();
        if meant.is_empty() { String::new() } else { format!("did you mean {}?", meant.join(" or ")) }
    }

    /// The key of this section that an unknown one was most likely meant to be.
    fn sibling(&self, name: &str) -> Option<&'static str> {
        let siblings = keys::of(self.scope)
            .filter_map(|key| key.name.strip_prefix(&self.prefix))
            .filter(|name| !name.contains('.'));
        suggest::nearest(name, siblings)
    }
}

/// The entries of a table in the order of the file, each with where its key stands.
pub(super) fn in_order<'a>(
    table: &'a DeTable<'a>,
) -> impl Iterator<Item = (&'a str, Span, &'a Spanned<DeValue<'a>>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(key, value)| (&**key.get_ref(), key.span(), value)).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries.into_iter()
}

/// A value in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    /// The file it is from.
    pub(super) reading: &'a Reading,
    scope: Scope,
    key: &'static Key,
    node: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Where it stands.
    pub(super) fn span(&self) -> Span {
        self.node.span()
    }

    /// The value as TOML has it.
    pub(super) fn toml(&self) -> &'a DeValue<'a> {
        self.node.get_ref()
    }

    /// Reports that it is of the wrong type or out of range.
    pub(super) fn unfit(&self, label: impl Into<String>) {
        let message = format!("`{}` must be {}", self.key.name, self.key.kind);
        self.reading.report(Problem::error(self.span(), message).label(label));
    }

    /// Reports that it is of the wrong type.
    pub(super) fn wrong_type<T>(&self) -> Option<T> {
        self.unfit(format!("this is {}", described(self.toml())));
        None
    }

    /// Reports what is wrong with it.
    pub(super) fn refuse(&self, complaint: impl Into<Complaint>) {
        let Complaint { message, help } = complaint.into();
        self.reading.report(Problem::error(self.span(), message).help(help));
    }

    /// What was made of it; a complaint is reported.
    pub(super) fn accept<T, E: Into<Complaint>>(&self, result: Result<T, E>) -> Option<T> {
        result.map_err(|complaint| self.refuse(complaint)).ok()
    }

    /// A string.
    pub(super) fn text(self) -> Option<&'a str> {
        self.toml().as_str().or_else(|| self.wrong_type())
    }

    /// A boolean.
    pub(super) fn boolean(self) -> Option<bool> {
        self.toml().as_bool().or_else(|| self.wrong_type())
    }

    /// An integer of this range.
    pub(super) fn integer<T: TryFrom<i64> + PartialOrd>(self, range: RangeInclusive<T>) -> Option<T> {
        let DeValue::Integer(integer) = self.toml() else { return self.wrong_type() };
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fit = number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
        if fit.is_none() {
            self.unfit("out of range");
        }
        fit
    }

    /// A string that some type can be made from.
    pub(super) fn parsed<T: FromStr>(self) -> Option<T> {
        let text = self.text()?;
        text.parse().map_err(|_| self.unfit(format!("`{text}` is not"))).ok()
    }

    /// A string that is one of these names.
    pub(super) fn one_of<T: Copy>(self, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let message = format!("`{}` cannot be `{text}`", self.key.name);
            let help = suggest::help(text, names.iter().map(|(name, _)| *name));
            self.refuse(Complaint::new(message, help));
        }
        found
    }

    /// The elements of an array, or else the value itself.
    pub(super) fn one_or_many(self) -> Vec<Value<'a>> {
        match self.toml() {
            DeValue::Array(array) => array.iter().map(|node| Value { node, ..self }).collect(),
            _ => vec![self],
        }
    }

    /// The elements of an array.
    pub(super) fn elements(self) -> Option<Vec<Value<'a>>> {
        if self.toml().is_array() { Some(self.one_or_many()) } else { self.wrong_type() }
    }

    /// A table of the keys that have this value's key and a dot before their names.
    pub(super) fn section(self) -> Option<Section<'a>> {
        let section = self.open_section()?;
        section.report_unknown_keys();
        Some(section)
    }

    /// As [`Value::section`], where every other key is a setting of a policy.
    pub(super) fn open_section(self) -> Option<Section<'a>> {
        let prefix = format!("{}.", self.key.name);
        let title = format!("`{}`", self.key.name);
        self.table_of(self.scope, prefix, title, self.span())
    }

    /// A table of the keys of another scope; `title` is what messages call it, `span` where it is named.
    pub(super) fn section_of(self, scope: Scope, title: String, span: Span) -> Option<Section<'a>> {
        let section = self.table_of(scope, String::new(), title, span)?;
        section.report_unknown_keys();
        Some(section)
    }

    fn table_of(self, scope: Scope, prefix: String, title: String, span: Span) -> Option<Section<'a>> {
        let Some(table) = self.toml().as_table() else { return self.wrong_type() };
        Some(Section { reading: self.reading, scope, prefix, title, table, span: Some(span) })
    }

    /// A table whose keys are names of the user's: each with where it stands and its value.
    pub(super) fn named(self) -> Option<Vec<(&'a str, Span, Value<'a>)>> {
        let Some(table) = self.toml().as_table() else { return self.wrong_type() };
        Some(in_order(table).map(|(name, span, node)| (name, span, Value { node, ..self })).collect())
    }
}

/// A TOML type with its article.
fn described(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}
