//! From a core module to a component: which interfaces it exports, what it needs of WASI's first version, and
//! the wrapping of it all.
//!
//! A module may carry its component type, as bindings that are generated from `wit/` have it. One that does not
//! is taken at the names of its exports, `lb:policy/balancer@0.1.0#pick` and so on: there is one package that they
//! can be of, and the host has it. So a policy is whatever a compiler makes, with no tool after it.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, UnresolvedPackageGroup, WorldId};

use super::component::LoadError;

/// The package of the interface, file by file.
pub const WIT: [(&str, &str); 11] = [
    ("balancer.wit", include_str!("../../../../wit/balancer.wit")),
    ("candidates.wit", include_str!("../../../../wit/candidates.wit")),
    ("feedback.wit", include_str!("../../../../wit/feedback.wit")),
    ("log.wit", include_str!("../../../../wit/log.wit")),
    ("persistence.wit", include_str!("../../../../wit/persistence.wit")),
    ("request.wit", include_str!("../../../../wit/request.wit")),
    ("response.wit", include_str!("../../../../wit/response.wit")),
    ("servers.wit", include_str!("../../../../wit/servers.wit")),
    ("setup.wit", include_str!("../../../../wit/setup.wit")),
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("world.wit", include_str!("../../../../wit/world.wit")),
];

/// The name by which modules import WASI's first version.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// What they get for it: `preview1.wat`, assembled.
const PREVIEW1_ADAPTER: &[u8] = include_bytes!("preview1.wasm");

/// Makes a component of a core module.
pub(super) fn encode(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let found = survey(module);
    let misfit = |error: anyhow::Error| LoadError::Misfit(format!("{error:#}"));
    let typed;
    let module = if found.typed {
        module
    } else if found.interfaces.is_empty() {
        return Err(LoadError::Untyped);
    } else {
        if let Some(name) =
            found.interfaces.iter().find(|name| super::component::is_ours(name) == Some(false))
        {
            return Err(LoadError::Version { found: name.clone() });
        }
        typed = with_type(module, &found.interfaces).map_err(misfit)?;
        &typed
    };
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let encoder = if found.preview1 {
        let adapter = adapter().map_err(misfit)?;
        encoder.and_then(|encoder| encoder.adapter(PREVIEW1, &adapter))
    } else {
        encoder
    };
    encoder.and_then(|mut encoder| encoder.encode()).map_err(misfit)
}

/// What a core module says of itself.
#[derive(Default)]
struct Survey {
    /// Whether it carries its component type.
    typed: bool,
    /// Whether it imports WASI's first version.
    preview1: bool,
    /// The interfaces of `lb:policy` whose functions it exports.
    interfaces: BTreeSet<String>,
}

/// Reads as far as the module is well-formed; whatever else is wrong with it, wrapping it will say.
fn survey(module: &[u8]) -> Survey {
    let mut found = Survey::default();
    for payload in Parser::new(0).parse_all(module) {
        match payload {
            Ok(Payload::CustomSection(section)) => {
                found.typed |= section.name().starts_with("component-type");
            }
            Ok(Payload::ImportSection(imports)) => {
                found.preview1 |=
                    imports.into_imports().any(|import| import.is_ok_and(|import| import.module == PREVIEW1));
            }
            Ok(Payload::ExportSection(exports)) => {
                let names =
                    exports.into_iter().filter_map(|export| Some(export.ok()?.name.split_once('#')?.0));
                let ours = names.filter(|name| name.starts_with("lb:policy/"));
                found.interfaces.extend(ours.map(str::to_owned));
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    found
}

/// Adds the type of a world that has all imports of the package, and just these exports.
fn with_type(module: &[u8], interfaces: &BTreeSet<String>) -> anyhow::Result<Vec<u8>> {
    let exports = interfaces.iter().filter_map(|name| name.split(['/', '@']).nth(1));
    let exports: String = exports.map(|name| format!("  export {name};\n")).collect();
    let imports =
        "  import request;\n  import response;\n  import candidates;\n  import servers;\n  import log;\n";
    embed(module, "module", &format!("{imports}{exports}"))
}

/// The adapter, with the type of what it imports.
fn adapter() -> anyhow::Result<Vec<u8>> {
    embed(PREVIEW1_ADAPTER, "adapter", "  import log;\n")
}

/// Adds the type of a world of `lb:policy` that has this name and holds these items.
fn embed(module: &[u8], name: &str, items: &str) -> anyhow::Result<Vec<u8>> {
    let (resolve, world) = world(name, items)?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

fn world(name: &str, items: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut sources = SourceMap::default();
    for (file, text) in WIT {
        sources.push_str(file, text);
    }
    sources.push_str("module.wit", format!("world {name} {{\n{items}}}\n"));
    let group: UnresolvedPackageGroup =
        sources.parse().map_err(|(_, error)| anyhow::Error::msg(error.to_string()))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group)?;
    let world = resolve.select_world(&[package], Some(name))?;
    Ok((resolve, world))
}
