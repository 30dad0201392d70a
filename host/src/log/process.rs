//! The program's own messages (a server DOWN or UP, start, reload, a policy's fault): events of `tracing`, led
//! to stderr until the logs are open, and to the targets of `[global] log` from then on.
//!
//! A message is one line: its sentence, then ` field=value` for each field. An event's level is its syslog
//! level (`error` → err, `warn` → warning, `info` → notice, `debug` and `trace` → debug), unless the event has
//! a field [`SYSLOG_FIELD`] that names another: `tracing::warn!(syslog = "alert", "Server b/s1 is DOWN")`.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{Directive, EnvFilter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use super::repeats::Repeats;
use super::{TargetSet, WorkerLog};
use crate::config::model::LogLevel;

/// The environment variable that chooses which messages are made, as in `LB_LOG=lb_host::policy=debug`.
pub const FILTER_VARIABLE: &str = "LB_LOG";

/// What the targets of lb's own events begin with. The libraries beneath say what the network's bytes make them say, h2 a
/// warning for each unwanted PING: whoever is connected could fill the log. They are heard where `LB_LOG` asks for them.
const OWN: &str = "lb";

/// The field of an event that names its syslog level; it is not printed.
pub const SYSLOG_FIELD: &str = "syslog";

/// Where the program's messages go. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct ProcessLog {
    state: Arc<Mutex<State>>,
    filter: Arc<OnceLock<reload::Handle<EnvFilter, Registry>>>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: stderr.
    output: Option<Output>,
    repeats: Repeats,
}

/// The targets, and the process's own side of the logs. Messages come from every thread, but rarely.
#[derive(Debug)]
struct Output {
    targets: TargetSet,
    log: WorkerLog,
}

impl ProcessLog {
    /// Takes up the program's events from now on, and prints them on stderr. Which ones is said by the environment
    /// variable [`FILTER_VARIABLE`]; without it, `info` and above of lb's own. Where something else takes up events
    /// already, that is left as it is.
    pub fn install() -> ProcessLog {
        let log = ProcessLog::default();
        let (filter, handle) = reload::Layer::new(filter(&[]));
        if tracing_subscriber::registry().with(log.clone().with_filter(filter)).try_init().is_ok() {
            let _ = log.filter.set(handle);
        }
        log
    }

    /// From now on the parts of the program speak from these levels on, unless the environment says otherwise.
    pub fn set_levels(&self, levels: &[(&'static str, &'static str)]) {
        if let Some(handle) = self.filter.get() {
            // It fails only where the subscriber is gone, and with it every message.
            let _ = handle.reload(filter(levels));
        }
    }

    /// From now on messages go to these targets, as a rule those of `[global] log`. With none, they are lost.
    pub fn to_targets(&self, targets: TargetSet) {
        self.replace(Some(Output { targets, log: WorkerLog::new("".into()) }));
    }

    /// From now on messages go to stderr. To be called before [`Logs::shutdown`](super::Logs::shutdown).
    pub fn to_stderr(&self) {
        self.replace(None);
    }

    fn replace(&self, output: Option<Output>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (level, message) in state.repeats.over(Instant::now(), true) {
            state.write(level, &message);
        }
        state.output = output;
    }

    /// Writes a line, unless there were too many of its sentence.
    fn write(&self, level: LogLevel, sentence: &str, message: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (level, message) in state.repeats.over(now, false) {
            state.write(level, &message);
        }
        if state.repeats.admits(sentence, level, now) {
            state.write(level, message);
        }
    }
}

impl State {
    fn write(&mut self, level: LogLevel, message: &str) {
        match &mut self.output {
            Some(output) => {
                output.log.message(&output.targets, level, message.as_bytes());
                output.log.hand_over(true);
            }
            None => {
                let line = match level {
                    LogLevel::Emerg | LogLevel::Alert | LogLevel::Crit | LogLevel::Err => {
                        format!("error: {message}\n")
                    }
                    LogLevel::Warning => format!("warning: {message}\n"),
                    LogLevel::Notice | LogLevel::Info | LogLevel::Debug => format!("{message}\n"),
                };
                // Where stderr is closed there is nobody to tell.
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }
}

impl<S: Subscriber> Layer<S> for ProcessLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = line.level.unwrap_or(syslog_level(*event.metadata().level()));
        let sentence = line.message.len();
        line.message.push_str(&line.fields);
        self.write(level, &line.message[..sentence], &line.message);
    }
}

/// The environment's word, and these levels where it has none.
fn filter(levels: &[(&str, &str)]) -> EnvFilter {
    // The default stands only where nothing else is said at all.
    let mut directives = if levels.is_empty() { String::new() } else { format!("{OWN}=info,") };
    directives.extend(levels.iter().map(|(target, level)| format!("{target}={level},")));
    directives.push_str(&std::env::var(FILTER_VARIABLE).unwrap_or_default());
    let unless_said =
        Directive::from_str(&format!("{OWN}=info")).unwrap_or_else(|_| LevelFilter::INFO.into());
    EnvFilter::builder().with_default_directive(unless_said).parse_lossy(directives)
}

fn syslog_level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Err,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Notice,
        _ => LogLevel::Debug,
    }
}

fn level_of_name(name: &str) -> Option<LogLevel> {
    Some(match name {
        "emerg" => LogLevel::Emerg,
        "alert" => LogLevel::Alert,
        "crit" => LogLevel::Crit,
        "err" => LogLevel::Err,
        "warning" => LogLevel::Warning,
        "notice" => LogLevel::Notice,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        _ => return None,
    })
}

/// An event on its way to being a line.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    level: Option<LogLevel>,
}

impl Line {
    fn field(&mut self, name: &str, value: &str) {
        // Text shown by its Debug form comes with its quotes.
        let quoted = value.is_empty() || value.contains([' ', '"', '=']) && !value.starts_with('"');
        let fields = &mut self.fields;
        fields.push(' ');
        fields.push_str(name);
        fields.push('=');
        if quoted {
            fields.push('"');
            printable(&value.replace('"', "\\\""), fields);
            fields.push('"');
        } else {
            printable(value, fields);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => printable(value, &mut self.message),
            SYSLOG_FIELD => self.level = level_of_name(value),
            name => self.field(name, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            // Writing to a String cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.field(field.name(), &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Appends text so that it stays one line: white space of any kind as a space, other control characters as `#`
/// and two hexadecimal digits.
fn printable(text: &str, out: &mut String) {
    for char in text.chars() {
        match char {
            '\n' | '\r' | '\t' => out.push(' '),
            _ if char.is_control() => {
                let _ = write!(out, "#{:02X}", u32::from(char));
            }
            _ => out.push(char),
        }
    }
}
