//! Writes the Rust bindings of the policies' worlds: `lb-policy-bindgen WIT-DIRECTORY OUTPUT-DIRECTORY`.
//!
//! The output is checked in, so that a policy builds in seconds: with wit-bindgen's macro, the parser and
//! everything else behind it would be built first. One file a world, included by the crates of that world.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_bindgen_rust::Opts;

const WORLDS: [&str; 2] = ["balancing", "persisting"];

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: lb-policy-bindgen WIT-DIRECTORY OUTPUT-DIRECTORY";
    let (wit, output) = (arguments.next().context(usage)?, arguments.next().context(usage)?);
    for world in WORLDS {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&wit)?;
        let world_id = resolve.select_world(&[package], Some(world))?;
        let options = Opts {
            format: true,
            generate_all: true,
            // The guest crate brings wit-bindgen's runtime, so that a policy depends on nothing else.
            runtime_path: Some("lb_policy_guest::rt".into()),
            // No C code here, so no constructors to call: the call would cost on every export.
            disable_run_ctors_once_workaround: true,
            additional_derive_attributes: vec!["PartialEq".into()],
            ..Opts::default()
        };
        let mut files = Files::default();
        options.build().generate(&mut resolve, world_id, &mut files)?;
        for (name, contents) in files.iter() {
            fs::write(output.join(name), contents).with_context(|| format!("cannot write {name}"))?;
        }
    }
    Ok(())
}
