//! From bytes to a policy: what they are, whether they are one, and if not, why not.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use super::bindings::{balancer, feedback, persistence, setup};
use super::core_module;
use super::description::Description;
use super::fault::Fault;
use super::imports::Guest;
use super::instance::{Instance, StartError};
use super::sandbox;
use super::ticker::Ticker;
use super::voice::Voice;
use crate::suggest;

/// The version of `lb:policy` that this host offers. It runs components of any 0.1.x whose imports it has.
pub const INTERFACE_VERSION: &str = "0.1.0";

/// Why there is no policy to be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No built-in policy has this name.
    #[error("there is no built-in policy `{name}`")]
    NoBuiltIn {
        /// The name asked for.
        name: String,
    },
    /// The bytes are not WebAssembly.
    #[error("{found}, not a WebAssembly component")]
    NotWasm {
        /// What they are instead.
        found: &'static str,
    },
    /// A core module that neither carries a component type nor exports functions of `lb:policy`.
    #[error("a core WebAssembly module that exports no function of a policy")]
    Untyped,
    /// A core module that cannot be made a component.
    #[error("a core WebAssembly module that does not fit the world it names: {0}")]
    Misfit(String),
    /// A component that does not compile.
    #[error("not valid WebAssembly: {0}")]
    Invalid(String),
    /// A component made for another version of the interface.
    #[error("made for {found}, and this host offers lb:policy@{INTERFACE_VERSION}")]
    Version {
        /// What it imports or exports.
        found: String,
    },
    /// A component that is no policy.
    #[error("a component that is no policy: it exports {}", listed(exports))]
    NoPolicy {
        /// What it exports.
        exports: Vec<String>,
    },
    /// A policy that wants what the host does not have.
    #[error("it imports {import}, which this host does not have")]
    Import {
        /// The first such import.
        import: String,
    },
    /// Imports or exports of the right name and another type.
    #[error("it does not match lb:policy@{INTERFACE_VERSION}: {0}")]
    Mismatch(String),
    /// It fails before it can say what it is.
    #[error("it {0}, in `setup.describe`")]
    Describe(Fault),
    /// It says of itself what cannot be.
    #[error("its description cannot be: {0}")]
    Description(String),
}

impl LoadError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            LoadError::Unreadable { .. } => {
                Some("a path is taken from the directory of the configuration file".into())
            }
            LoadError::NotWasm { found } if found.starts_with("text") => {
                Some("assemble it first, with `wasm-tools parse`".into())
            }
            LoadError::NotWasm { .. } | LoadError::Invalid(_) => None,
            LoadError::NoBuiltIn { name } => Some(suggest::help(name, super::built_ins())),
            LoadError::Untyped => Some(
                "export functions by names such as `lb:policy/balancer@0.1.0#pick`, or build with bindings generated \
                 from `wit/`"
                    .into(),
            ),
            LoadError::Misfit(_) => None,
            LoadError::Version { .. } => Some("build it anew against the `wit/` of this version".into()),
            LoadError::NoPolicy { .. } => Some(format!(
                "a policy exports lb:policy/setup@{INTERFACE_VERSION} and lb:policy/balancer@{INTERFACE_VERSION} or \
                 lb:policy/persistence@{INTERFACE_VERSION}"
            )),
            LoadError::Import { .. } => Some(
                "a policy may import request, response, candidates, servers and log of lb:policy, and wasi:*".into(),
            ),
            LoadError::Mismatch(_) => Some("generate its bindings anew from `wit/`".into()),
            LoadError::Describe(_) | LoadError::Description(_) => None,
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// A loaded policy: compiled, linked, described; not yet configured.
pub struct Policy {
    pub(super) pre: InstancePre<Guest>,
    pub(super) setup: setup::GuestIndices,
    pub(super) balancer: Option<balancer::GuestIndices>,
    pub(super) persistence: Option<persistence::GuestIndices>,
    pub(super) feedback: Option<feedback::GuestIndices>,
    /// Keeps deadlines working for as long as there may be an instance.
    pub(super) ticker: Arc<Ticker>,
    description: Description,
    imports: Vec<String>,
    exports: Vec<String>,
    bytes: usize,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Policy {
    /// Makes a policy of a component's bytes, or of a core module's that carries its component type.
    pub(super) fn from_bytes(
        bytes: &[u8],
        linker: &Linker<Guest>,
        ticker: &Arc<Ticker>,
    ) -> Result<Policy, LoadError> {
        let encoded;
        let component = match form(bytes) {
            Form::Component => bytes,
            Form::Module => {
                encoded = core_module::encode(bytes)?;
                &encoded
            }
            Form::Other(found) => return Err(LoadError::NotWasm { found }),
        };
        let engine = linker.engine();
        let component = Component::from_binary(engine, component)
            .map_err(|error| LoadError::Invalid(error.root_cause().to_string()))?;
        let exports = names(component.component_type().exports(engine).map(|(name, _)| name));
        let imports = names(component.component_type().imports(engine).map(|(name, _)| name));
        check_exports(&exports)?;
        let linker = link(linker, engine, &component)?;
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        let pre = linker.instantiate_pre(&component).map_err(mismatch)?;
        let mut policy = Policy {
            setup: setup::GuestIndices::new(&pre).map_err(mismatch)?,
            balancer: balancer::GuestIndices::new(&pre).ok(),
            persistence: persistence::GuestIndices::new(&pre).ok(),
            feedback: feedback::GuestIndices::new(&pre).ok(),
            ticker: ticker.clone(),
            description: Description {
                name: "unknown".into(),
                version: String::new(),
                summary: String::new(),
                settings: vec![],
            },
            imports,
            exports,
            bytes: bytes.len(),
            pre,
        };
        policy.description = describe(&policy)?;
        Ok(policy)
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether it can stand under `balance`.
    pub fn is_balancer(&self) -> bool {
        self.balancer.is_some()
    }

    /// Whether it can stand under `persistence`.
    pub fn is_persistence(&self) -> bool {
        self.persistence.is_some()
    }

    /// Whether it wants to hear how attempts went.
    pub fn wants_feedback(&self) -> bool {
        self.feedback.is_some()
    }

    /// The smallest worlds of `lb:policy` that hold what it exports.
    pub fn worlds(&self) -> Vec<&'static str> {
        let balancing = if self.wants_feedback() { "observing" } else { "balancing" };
        let balancing = self.is_balancer().then_some(balancing);
        balancing.into_iter().chain(self.is_persistence().then_some("persisting")).collect()
    }

    /// The interfaces that it imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The interfaces that it exports.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The size of its file in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

enum Form {
    Component,
    Module,
    Other(&'static str),
}

fn form(bytes: &[u8]) -> Form {
    // The preamble: a magic number, a version, a layer.
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Form::Module,
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Form::Component,
        [0, b'a', b's', b'm', ..] => Form::Other("WebAssembly of an unknown kind"),
        [] => Form::Other("an empty file"),
        _ if bytes.trim_ascii_start().starts_with(b"(") => Form::Other("text, perhaps WebAssembly's"),
        _ => Form::Other("something else"),
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

/// Whether a name of the form `lb:policy/interface@version` is of a version that is ours.
pub(super) fn is_ours(name: &str) -> Option<bool> {
    let (_, version) = name.strip_prefix("lb:policy/")?.split_once('@').unwrap_or(("", ""));
    let (offered, _) = INTERFACE_VERSION.rsplit_once('.').unwrap_or_default();
    Some(version.rsplit_once('.').is_some_and(|(version, _)| version == offered))
}

fn check_exports(exports: &[String]) -> Result<(), LoadError> {
    if let Some(found) = exports.iter().find(|name| is_ours(name) == Some(false)) {
        return Err(LoadError::Version { found: found.clone() });
    }
    let has = |interface: &str| {
        exports.iter().any(|name| {
            name.strip_prefix("lb:policy/").and_then(|name| name.split_once('@')).map(|(name, _)| name)
                == Some(interface)
        })
    };
    if has("setup") && (has("balancer") || has("persistence")) {
        Ok(())
    } else {
        Err(LoadError::NoPolicy { exports: exports.to_vec() })
    }
}

/// Holds the component's imports against what there is, and adds what it wants of WASI.
fn link(linker: &Linker<Guest>, engine: &Engine, component: &Component) -> Result<Linker<Guest>, LoadError> {
    const INTERFACES: [&str; 6] = ["types", "request", "response", "candidates", "servers", "log"];
    let mut linker = linker.clone();
    for (name, import) in component.component_type().imports(engine) {
        let interface = name.strip_prefix("lb:policy/").map(|rest| rest.split('@').next().unwrap_or(rest));
        match (interface, &import.ty) {
            (Some(_), _) if is_ours(name) == Some(false) => {
                return Err(LoadError::Version { found: name.to_owned() });
            }
            (Some(interface), _) if INTERFACES.contains(&interface) => {}
            // Types of an interface that it exports: no capability.
            (Some("setup" | "balancer" | "persistence" | "feedback"), _) => {}
            (None, ComponentItem::ComponentInstance(interface)) if name.starts_with("wasi:") => {
                sandbox::define(&mut linker, engine, name, interface)
                    .map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
            }
            _ => return Err(LoadError::Import { import: name.to_owned() }),
        }
    }
    Ok(linker)
}

/// Makes an instance for the asking: it proves the types of all exports, and that the policy can speak.
fn describe(policy: &Policy) -> Result<Description, LoadError> {
    let voice = Arc::new(Voice::new("being loaded", "none"));
    let mut instance = Instance::new(policy, None, voice).map_err(|why| match why {
        StartError::Fault(fault) => LoadError::Describe(fault),
        StartError::Mismatch(why) => LoadError::Mismatch(why),
    })?;
    let description = instance.describe().map_err(LoadError::Describe)?;
    match description.fault() {
        Some(fault) => Err(LoadError::Description(fault)),
        None => Ok(description),
    }
}
