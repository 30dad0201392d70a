//! Each target on its corpus, and on mutations of it. `LB_MUTATIONS=1000000` tries so many of each target, of
//! `LB_TARGET=http2` alone; `LB_SEED=2` has others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use super::{TARGETS, Target, expand};
use crate::random::Random;

/// How many mutations are tried of each target.
const MUTATIONS: u64 = 20_000;
/// The longest input.
const LONGEST: usize = 2_000;

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target.name);
    let files =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).expect("a file"))).collect()
}

/// What the environment says under this name.
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Why an input shows a fault, if it does.
fn fault(target: &Target, input: &[u8], what: &str) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| target.run(input))).err()?;
    let text = expand(input, target.words);
    Some(format!("{}, {what}: b\"{}\", that is {}", target.name, input.escape_ascii(), text.escape_ascii()))
}

/// The first fault on the corpus, or on what is like it.
fn first_fault(target: &Target) -> Option<String> {
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{}: no corpus", target.name);
    let mut random = Random::new(from_environment("LB_SEED").unwrap_or(1), 0);
    let mutations = from_environment("LB_MUTATIONS").unwrap_or(MUTATIONS / target.slowness);
    inputs.iter().find_map(|(name, input)| fault(target, input, name)).or_else(|| {
        (0..mutations).find_map(|number| {
            let input = mutated(&mut random, &inputs, target.words.len());
            fault(target, &input, &format!("mutation {number}"))
        })
    })
}

/// One input changed in a few places: words and bytes put in, taken out, doubled, or taken from another input.
fn mutated(random: &mut Random, inputs: &[(String, Vec<u8>)], words: usize) -> Vec<u8> {
    let one = |random: &mut Random| &inputs[random.below(inputs.len() as u64) as usize].1;
    let mut input = one(random).clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() as u64 + 1) as usize;
        let end = (at + 1 + random.below(8) as usize).min(input.len());
        match random.below(7) {
            0 | 1 if words > 0 => input.insert(at, 0x80 | random.below(words as u64) as u8),
            0..=2 => input.insert(at, random.bits() as u8),
            3 => drop(input.drain(at..end)),
            4 => input.splice(at..at, input[at..end].to_vec()).for_each(drop),
            5 if at < input.len() => input[at] = random.bits() as u8,
            _ => {
                let other = one(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input.truncate(LONGEST);
    input
}

#[test]
fn every_target_holds_on_its_corpus_and_on_what_is_like_it() {
    let wanted = std::env::var("LB_TARGET").ok();
    let targets = TARGETS.iter().filter(|target| wanted.as_ref().is_none_or(|name| name == target.name));
    let faults: Vec<_> = targets.filter_map(first_fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_input_is_text_words_and_bytes_as_they_are() {
    assert_eq!(expand(b"a\x81b\xff\xe9\x9f", &["x", "yz"]), b"ayzb\xe9\x9f");
}
