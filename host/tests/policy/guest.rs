//! Policies in a few lines of WebAssembly text, for tests: a core module with the component type of its world.
//!
//! Functions do something harmless unless a test says otherwise. Bodies are instructions; parameters have
//! names, and there are helpers for answers: `$some`, `$none`, `$affinity`, `$amendment`, `$header`.

use std::collections::BTreeMap;
use std::path::Path;

use wit_component::StringEncoding;
use wit_parser::{PackageId, Resolve};

/// Where a test may put data of its own.
pub(crate) const DATA: u32 = 0x4000;

/// A policy in the making.
#[derive(Clone)]
pub(crate) struct Guest {
    world: &'static str,
    extra: String,
    imports: String,
    items: String,
    settings: Vec<(&'static str, u8, Option<bool>)>,
    bodies: BTreeMap<&'static str, String>,
    pages: u32,
}

impl Guest {
    /// Picks each candidate in turn.
    pub(crate) fn balancer() -> Guest {
        Guest::of("balancing")
    }

    /// Picks each candidate in turn and hears how it went.
    pub(crate) fn observer() -> Guest {
        Guest::of("observing")
    }

    /// Knows the cookie `K`, and nobody by it.
    pub(crate) fn persistence() -> Guest {
        Guest::of("persisting")
    }

    fn of(world: &'static str) -> Guest {
        Guest {
            world,
            extra: String::new(),
            imports: String::new(),
            items: String::new(),
            settings: Vec::new(),
            bodies: BTreeMap::new(),
            pages: 2,
        }
    }

    /// Gives a function (`describe`, `configure`, `update`, `pick`, `place`, `recall`, `respond`, `observe`)
    /// another body.
    pub(crate) fn body(mut self, function: &'static str, body: &str) -> Guest {
        self.bodies.insert(function, body.to_owned());
        self
    }

    /// Adds an import: its module, name, and type as `(func $name …)`.
    pub(crate) fn import(mut self, module: &str, name: &str, function: &str) -> Guest {
        self.imports += &format!("(import {module:?} {name:?} {function})\n");
        self
    }

    /// Adds items to the module.
    pub(crate) fn items(mut self, items: &str) -> Guest {
        self.items += items;
        self
    }

    /// Begins with so many pages of 64 KiB.
    pub(crate) fn first_memory(self, pages: u32) -> Guest {
        Guest { pages, ..self }
    }

    /// Adds data at an address from [`DATA`] on.
    pub(crate) fn data(self, at: u32, text: &str) -> Guest {
        self.items(&format!("(data (i32.const {at}) \"{text}\")\n"))
    }

    /// Adds a setting that is described: a boolean or, without a default, a text.
    pub(crate) fn setting(mut self, name: &'static str, default: Option<bool>) -> Guest {
        self.settings.push((name, if default.is_some() { 3 } else { 0 }, default));
        self
    }

    /// Has the world import more: WIT packages, and a world `more` of `test:more` with those imports.
    pub(crate) fn extra_imports(mut self, packages: &str, imports: &str) -> Guest {
        self.extra = format!(
            "package test:more;\nworld more {{ include lb:policy/{}@0.1.0; {imports} }}\n{packages}",
            self.world
        );
        self
    }

    /// The module, with its component type.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(wit_dir()).expect("the WIT package parses");
        if self.extra.is_empty() {
            return self.typed(&resolve, package, self.world);
        }
        let package = resolve.push_source("more.wit", &self.extra).expect("the test's WIT parses");
        self.typed(&resolve, package, "more")
    }

    /// The module, made for version 0.2.0 of the interface.
    pub(crate) fn bytes_of_another_version(&self) -> Vec<u8> {
        let mut text = String::from("package lb:policy@0.2.0;\n");
        let files = std::fs::read_dir(wit_dir()).expect("wit/ is there");
        let files = files.map(|file| file.expect("wit/ is readable").path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "wit")) {
            let file = std::fs::read_to_string(file).expect("it is text");
            text += &file.replace("package lb:policy@0.1.0;", "").replace("0.1.0", "0.2.0");
        }
        let mut resolve = Resolve::default();
        let package = resolve.push_source("other.wit", &text).expect("the other version parses");
        let other = Guest { imports: self.imports.replace("0.1.0", "0.2.0"), ..self.clone() };
        other.typed_text(&resolve, package, self.world, &other.text().replace("@0.1.0", "@0.2.0"))
    }

    fn typed(&self, resolve: &Resolve, package: PackageId, world: &str) -> Vec<u8> {
        self.typed_text(resolve, package, world, &self.text())
    }

    fn typed_text(&self, resolve: &Resolve, package: PackageId, world: &str, text: &str) -> Vec<u8> {
        let mut module = self.assemble(text);
        let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
        wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)
            .expect("the type can be embedded");
        module
    }

    /// The module without a component type.
    pub(crate) fn untyped(&self) -> Vec<u8> {
        self.assemble(&self.text())
    }

    fn assemble(&self, text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn function(&self, interface: &str, name: &str, signature: &str, default: &str) -> String {
        let body = self.bodies.get(name).map_or(default, String::as_str);
        format!("(func (export \"lb:policy/{interface}@0.1.0#{name}\") {signature} {body})\n")
    }

    fn text(&self) -> String {
        let mut functions = String::new();
        let mut add = |interface: &str, name: &str, signature: &str, default: &str| {
            functions += &self.function(interface, name, signature, default);
        };
        let lists = "(param $settings i32) (param $n i32) (param $servers i32) (param $m i32)";
        let arrival = "(param $sequence i64) (param $time i64) (param $family i32) (param i32 i32 i32 i32 i32 \
                       i32 i32 i32) (param $retry i32) (param $failed i32)";
        let visit = "(param $value i32) (param $length i32) (param $time i64) (param $family i32) (param i32 i32 \
                     i32 i32 i32 i32 i32 i32)";
        let reply = "(param $server i32) (param $standing i32) (param $note i64) (param $cacheable i32) (param \
                     $sent i32) (param $value i32) (param $length i32) (param $time i64)";
        add("setup", "describe", "(result i32)", "(i32.const 0x2000)");
        add("setup", "configure", &format!("{lists} (result i32)"), "(i32.const 0x100)");
        if self.world != "persisting" {
            let turn = "(call $some (i32.wrap_i64 (i64.rem_u (local.get $sequence) (i64.extend_i32_u (global.get \
                        $count)))))";
            add("balancer", "update", "(param $candidates i32) (param $n i32)", "");
            add("balancer", "pick", &format!("{arrival} (result i32)"), turn);
        } else {
            add("persistence", "place", "(result i32)", "(i32.const 0x200)");
            add("persistence", "recall", &format!("{visit} (result i32)"), UNKNOWN);
            add("persistence", "respond", &format!("{reply} (result i32)"), UNCHANGED);
        }
        if self.world == "observing" {
            let outcome = "(param $server i32) (param $verdict i32) (param $status i32) (param $connect i64) \
                           (param $latency i64) (param $bytes i64) (param $time i64)";
            add("feedback", "observe", outcome, "");
        }
        let functions = functions.replacen(
            "#update\") (param $candidates i32) (param $n i32) ",
            "#update\") (param $candidates i32) (param $n i32) (global.set $count (local.get $n)) ",
            1,
        );
        let (imports, items, pages, description) =
            (&self.imports, &self.items, self.pages, self.description());
        format!(
            "(module\n{imports}\n(memory (export \"memory\") {pages})\n{FRAME}\n{description}\n{items}\n{functions})"
        )
    }

    /// The record that `describe` answers, at 0x2000.
    fn description(&self) -> String {
        let (name, version, texts, list) = (0x2100u32, 0x2108u32, 0x2200u32, 0x3000u32);
        let mut text = String::new();
        let mut strings = String::new();
        for (setting, kind, default) in &self.settings {
            let at = texts + strings.len() as u32;
            strings += setting;
            let mut record = vec![0u8; 64];
            record[0..4].copy_from_slice(&at.to_le_bytes());
            record[4..8].copy_from_slice(&(setting.len() as u32).to_le_bytes());
            record[8] = *kind;
            if let Some(default) = default {
                record[16] = 1;
                record[24] = 3;
                record[32] = u8::from(*default);
            }
            text += &bytes(&record);
        }
        let words = [name, 5, version, 1, version, 0, list, self.settings.len() as u32];
        let record: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        format!(
            "(data (i32.const 0x2000) \"{}\") (data (i32.const {name}) \"probe\") (data (i32.const {version}) \"1\")
             (data (i32.const {texts}) \"{strings}\") (data (i32.const {list}) \"{text}\")",
            bytes(&record)
        )
    }
}

fn wit_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))
}

fn bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// Nobody is known, and the key stays.
pub(crate) const UNKNOWN: &str = "(call $affinity (i32.const -1) (i32.const 1))";
/// Nothing is changed, and not to be reused.
pub(crate) const UNCHANGED: &str = "(call $amendment (i32.const 0) (i32.const 0) (i32.const 0))";

/// What every module has: memory, an allocator that never frees, places for answers.
/// 0x100: `ok`. 0x200: the key `cookie("K")`. 0x300: an option. 0x400: an affinity. 0x500: an amendment.
/// 0x600: header edits. 0x700: a refusal.
const FRAME: &str = r#"
(global $count (mut i32) (i32.const 1))
(global $heap (mut i32) (i32.const 0x10000))
(data (i32.const 0x200) "\00\00\00\00\10\02\00\00\01\00\00\00") (data (i32.const 0x210) "K")
(func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 0x10000)))
    (then (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $size) (i32.const 0x10000)))))))
  (local.get $at))
(func $none (result i32) (i32.store8 (i32.const 0x300) (i32.const 0)) (i32.const 0x300))
(func $some (param i32) (result i32)
  (i32.store8 (i32.const 0x300) (i32.const 1)) (i32.store (i32.const 0x304) (local.get 0)) (i32.const 0x300))
(func $affinity (param $server i32) (param $standing i32) (result i32)
  (i32.store8 (i32.const 0x400) (i32.ge_s (local.get $server) (i32.const 0)))
  (i32.store (i32.const 0x404) (local.get $server))
  (i32.store8 (i32.const 0x408) (local.get $standing))
  (i32.const 0x400))
(func $amendment (param $headers i32) (param $n i32) (param $reusable i32) (result i32)
  (i32.store (i32.const 0x50c) (local.get $headers))
  (i32.store (i32.const 0x510) (local.get $n))
  (i32.store (i32.const 0x514) (local.get $reusable))
  (i32.const 0x500))
(func $header (param $at i32) (param $name i32) (param $n i32) (param $value i32) (param $m i32)
  (i32.store8 (local.get $at) (i32.const 0))
  (i32.store offset=4 (local.get $at) (local.get $name)) (i32.store offset=8 (local.get $at) (local.get $n))
  (i32.store offset=12 (local.get $at) (local.get $value)) (i32.store offset=16 (local.get $at) (local.get $m)))
(func $refuse (param $setting i32) (param $n i32) (param $message i32) (param $m i32) (result i32)
  (i32.store8 (i32.const 0x700) (i32.const 1))
  (i32.store8 (i32.const 0x704) (i32.ne (local.get $n) (i32.const 0)))
  (i32.store (i32.const 0x708) (local.get $setting)) (i32.store (i32.const 0x70c) (local.get $n))
  (i32.store (i32.const 0x710) (local.get $message)) (i32.store (i32.const 0x714) (local.get $m))
  (i32.const 0x700))
"#;
