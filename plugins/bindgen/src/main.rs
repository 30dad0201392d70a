//! Writes the Rust and C bindings of the policies' worlds: `lb-policy-bindgen WIT-DIRECTORY RUST-DIRECTORY C-DIRECTORY`.
//!
//! The output is checked in, so that a policy builds in seconds: with wit-bindgen's macro, the parser and
//! everything else behind it would be built first. The bindings are of all that there is; which of it a policy
//! exports is in the component type that `lb_policy::export!` puts into it, a file here for each choice.
//! The C bindings are of balancers, for the project that `lb policy new` writes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;
use wit_component::{StringEncoding, metadata};

/// What a policy may export, by the names of the files.
const EXPORTS: [(&str, &[&str]); 5] = [
    ("balancer", &["balancing"]),
    ("balancer-feedback", &["observing"]),
    ("persistence", &["persisting"]),
    ("balancer-persistence", &["balancing", "persisting"]),
    ("balancer-feedback-persistence", &["observing", "persisting"]),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: lb-policy-bindgen WIT-DIRECTORY RUST-DIRECTORY C-DIRECTORY";
    let mut directory = || arguments.next().context(usage);
    let (wit, output, c_output) = (directory()?, directory()?, directory()?);
    write_c(&wit, &c_output)?;

    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&wit)?;
    let everything = resolve.select_world(&[package], Some("everything"))?;
    let options = Opts {
        format: true,
        generate_all: true,
        // The guest crate brings wit-bindgen's runtime, so that a policy depends on nothing else.
        runtime_path: Some("crate::rt".into()),
        pub_export_macro: true,
        // No C code here, so no constructors to call: the call would cost on every export.
        disable_run_ctors_once_workaround: true,
        additional_derive_attributes: vec!["PartialEq".into()],
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, everything, &mut files)?;
    for (name, contents) in files.iter() {
        fs::write(output.join(name), contents).with_context(|| format!("cannot write {name}"))?;
    }
    for (name, worlds) in EXPORTS {
        let encoded = component_type(&wit, worlds)?;
        let file = output.join(name).with_extension("type");
        fs::write(&file, encoded).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Writes the C bindings of balancers. The object file with their component type is left out, and with it the line
/// that asks for it: the host takes a module at the names of its exports.
fn write_c(wit: &PathBuf, output: &Path) -> Result<()> {
    const WANTS_TYPE: &str = "\n// Ensure that the *_component_type.o object is linked in";
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("balancing"))?;
    let mut options = wit_bindgen_c::Opts::default();
    options.no_object_file = true;
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    for (name, contents) in files.iter() {
        let text = std::str::from_utf8(contents).with_context(|| format!("{name} is no text"))?;
        let text = text.split(WANTS_TYPE).next().unwrap_or(text);
        fs::write(output.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

/// The component type of a world that includes these, as linkers look for it in a custom section.
fn component_type(wit: &PathBuf, worlds: &[&str]) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let name = &resolve.packages[package].name;
    let (policy, version) = (format!("{}:{}", name.namespace, name.name), &name.version);
    let version = version.as_ref().context("the package has a version")?;
    let includes: String =
        worlds.iter().map(|world| format!("  include {policy}/{world}@{version};\n")).collect();
    let text = format!("package lb:guest;\nworld policy {{\n{includes}}}\n");
    let guest = resolve.push_str("guest.wit", &text)?;
    let world = resolve.select_world(&[guest], Some("policy"))?;
    Ok(metadata::encode(&resolve, world, StringEncoding::UTF8, None, false)?)
}
