//! The files of each language's project: where each stands in it, and what it holds.

use super::Language;

type Files = &'static [(&'static str, &'static [u8])];

/// The project's files but for the interface's.
pub(super) fn of(language: Language) -> Files {
    match language {
        Language::C => C,
        Language::Go => GO,
        Language::Js => JS,
        Language::Python => PYTHON,
        Language::Rust => RUST,
        Language::Zig => ZIG,
        Language::AssemblyScript => ASSEMBLYSCRIPT,
        Language::Wat => WAT,
    }
}

const C: Files = &[
    ("Makefile", include_bytes!("templates/c/Makefile")),
    ("README.md", include_bytes!("templates/c/README.md")),
    ("bindings/balancing.c", include_bytes!("templates/c/bindings/balancing.c")),
    ("bindings/balancing.h", include_bytes!("templates/c/bindings/balancing.h")),
    (".gitignore", include_bytes!("templates/c/gitignore")),
    ("policy.c", include_bytes!("templates/c/policy.c")),
    ("test.c", include_bytes!("templates/c/test.c")),
];

const GO: Files = &[
    ("README.md", include_bytes!("templates/go/README.md")),
    (".gitignore", include_bytes!("templates/go/gitignore")),
    ("go.mod", include_bytes!("templates/go/go.mod")),
    ("lb/exports_wasip1.go", include_bytes!("templates/go/lb/exports_wasip1.go")),
    ("lb/host_wasip1.go", include_bytes!("templates/go/lb/host_wasip1.go")),
    ("lb/memory_wasip1.go", include_bytes!("templates/go/lb/memory_wasip1.go")),
    ("lb/types.go", include_bytes!("templates/go/lb/types.go")),
    ("main_wasip1.go", include_bytes!("templates/go/main_wasip1.go")),
    ("policy.go", include_bytes!("templates/go/policy.go")),
    ("policy_test.go", include_bytes!("templates/go/policy_test.go")),
];

const JS: Files = &[
    ("README.md", include_bytes!("templates/js/README.md")),
    (".gitignore", include_bytes!("templates/js/gitignore")),
    ("package.json", include_bytes!("templates/js/package.json")),
    ("policy.js", include_bytes!("templates/js/policy.js")),
    ("policy.test.mjs", include_bytes!("templates/js/policy.test.mjs")),
];

const PYTHON: Files = &[
    ("README.md", include_bytes!("templates/python/README.md")),
    ("app.py", include_bytes!("templates/python/app.py")),
    (".gitignore", include_bytes!("templates/python/gitignore")),
    ("requirements.txt", include_bytes!("templates/python/requirements.txt")),
    ("test_app.py", include_bytes!("templates/python/test_app.py")),
];

const RUST: Files = &[
    ("Cargo.toml", include_bytes!("templates/rust/Cargo.toml")),
    ("README.md", include_bytes!("templates/rust/README.md")),
    (".gitignore", include_bytes!("templates/rust/gitignore")),
    ("lb-policy/Cargo.toml", include_bytes!("templates/rust/lb-policy.toml")),
    ("src/lib.rs", include_bytes!("templates/rust/src/lib.rs")),
    ("tests/policy.rs", include_bytes!("templates/rust/tests/policy.rs")),
    (
        "lb-policy/bindings/balancer-feedback-persistence.type",
        include_bytes!("../../../plugins/guest/bindings/balancer-feedback-persistence.type"),
    ),
    (
        "lb-policy/bindings/balancer-feedback.type",
        include_bytes!("../../../plugins/guest/bindings/balancer-feedback.type"),
    ),
    (
        "lb-policy/bindings/balancer-persistence.type",
        include_bytes!("../../../plugins/guest/bindings/balancer-persistence.type"),
    ),
    ("lb-policy/bindings/balancer.type", include_bytes!("../../../plugins/guest/bindings/balancer.type")),
    ("lb-policy/bindings/everything.rs", include_bytes!("../../../plugins/guest/bindings/everything.rs")),
    (
        "lb-policy/bindings/persistence.type",
        include_bytes!("../../../plugins/guest/bindings/persistence.type"),
    ),
    ("lb-policy/src/blocks.rs", include_bytes!("../../../plugins/guest/src/blocks.rs")),
    ("lb-policy/src/bound.rs", include_bytes!("../../../plugins/guest/src/bound.rs")),
    ("lb-policy/src/draw.rs", include_bytes!("../../../plugins/guest/src/draw.rs")),
    ("lb-policy/src/export.rs", include_bytes!("../../../plugins/guest/src/export.rs")),
    ("lb-policy/src/hash.rs", include_bytes!("../../../plugins/guest/src/hash.rs")),
    ("lb-policy/src/host.rs", include_bytes!("../../../plugins/guest/src/host.rs")),
    ("lb-policy/src/key.rs", include_bytes!("../../../plugins/guest/src/key.rs")),
    ("lb-policy/src/latency.rs", include_bytes!("../../../plugins/guest/src/latency.rs")),
    ("lb-policy/src/lib.rs", include_bytes!("../../../plugins/guest/src/lib.rs")),
    ("lb-policy/src/random.rs", include_bytes!("../../../plugins/guest/src/random.rs")),
    ("lb-policy/src/set_cookie.rs", include_bytes!("../../../plugins/guest/src/set_cookie.rs")),
    ("lb-policy/src/settings.rs", include_bytes!("../../../plugins/guest/src/settings.rs")),
    ("lb-policy/src/spread.rs", include_bytes!("../../../plugins/guest/src/spread.rs")),
    ("lb-policy/src/testing.rs", include_bytes!("../../../plugins/guest/src/testing.rs")),
    ("lb-policy/src/testing/request.rs", include_bytes!("../../../plugins/guest/src/testing/request.rs")),
    ("lb-policy/src/testing/world.rs", include_bytes!("../../../plugins/guest/src/testing/world.rs")),
    ("lb-policy/src/weights.rs", include_bytes!("../../../plugins/guest/src/weights.rs")),
];

const ZIG: Files = &[
    ("README.md", include_bytes!("templates/zig/README.md")),
    (".gitignore", include_bytes!("templates/zig/gitignore")),
    ("lb.zig", include_bytes!("templates/zig/lb.zig")),
    ("policy.zig", include_bytes!("templates/zig/policy.zig")),
];

const ASSEMBLYSCRIPT: Files = &[
    ("README.md", include_bytes!("templates/assemblyscript/README.md")),
    ("assembly/index.ts", include_bytes!("templates/assemblyscript/assembly/index.ts")),
    ("assembly/lb.ts", include_bytes!("templates/assemblyscript/assembly/lb.ts")),
    ("assembly/policy.ts", include_bytes!("templates/assemblyscript/assembly/policy.ts")),
    ("exports.mjs", include_bytes!("templates/assemblyscript/exports.mjs")),
    (".gitignore", include_bytes!("templates/assemblyscript/gitignore")),
    ("package.json", include_bytes!("templates/assemblyscript/package.json")),
    ("policy.test.mjs", include_bytes!("templates/assemblyscript/policy.test.mjs")),
];

const WAT: Files = &[
    ("README.md", include_bytes!("templates/wat/README.md")),
    (".gitignore", include_bytes!("templates/wat/gitignore")),
    ("policy.test.mjs", include_bytes!("templates/wat/policy.test.mjs")),
    ("policy.wat", include_bytes!("templates/wat/policy.wat")),
];
