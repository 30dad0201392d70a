//! The files of each language's project: where each stands in it, and its text.

use super::Language;

type Files = &'static [(&'static str, &'static str)];

/// The project's files but for the interface's.
pub(super) fn of(language: Language) -> Files {
    match language {
        Language::C => C,
        Language::Go => GO,
        Language::Js => JS,
        Language::Python => PYTHON,
        Language::Zig => ZIG,
        Language::AssemblyScript => ASSEMBLYSCRIPT,
        Language::Wat => WAT,
    }
}

const C: Files = &[
    ("Makefile", include_str!("templates/c/Makefile")),
    ("README.md", include_str!("templates/c/README.md")),
    ("bindings/balancing.c", include_str!("templates/c/bindings/balancing.c")),
    ("bindings/balancing.h", include_str!("templates/c/bindings/balancing.h")),
    (".gitignore", include_str!("templates/c/gitignore")),
    ("policy.c", include_str!("templates/c/policy.c")),
    ("test.c", include_str!("templates/c/test.c")),
];

const GO: Files = &[
    ("README.md", include_str!("templates/go/README.md")),
    (".gitignore", include_str!("templates/go/gitignore")),
    ("go.mod", include_str!("templates/go/go.mod")),
    ("lb/exports_wasip1.go", include_str!("templates/go/lb/exports_wasip1.go")),
    ("lb/host_wasip1.go", include_str!("templates/go/lb/host_wasip1.go")),
    ("lb/memory_wasip1.go", include_str!("templates/go/lb/memory_wasip1.go")),
    ("lb/types.go", include_str!("templates/go/lb/types.go")),
    ("main_wasip1.go", include_str!("templates/go/main_wasip1.go")),
    ("policy.go", include_str!("templates/go/policy.go")),
    ("policy_test.go", include_str!("templates/go/policy_test.go")),
];

const JS: Files = &[
    ("README.md", include_str!("templates/js/README.md")),
    (".gitignore", include_str!("templates/js/gitignore")),
    ("package.json", include_str!("templates/js/package.json")),
    ("policy.js", include_str!("templates/js/policy.js")),
    ("policy.test.mjs", include_str!("templates/js/policy.test.mjs")),
];

const PYTHON: Files = &[
    ("README.md", include_str!("templates/python/README.md")),
    ("app.py", include_str!("templates/python/app.py")),
    (".gitignore", include_str!("templates/python/gitignore")),
    ("requirements.txt", include_str!("templates/python/requirements.txt")),
    ("test_app.py", include_str!("templates/python/test_app.py")),
];

const ZIG: Files = &[
    ("README.md", include_str!("templates/zig/README.md")),
    (".gitignore", include_str!("templates/zig/gitignore")),
    ("lb.zig", include_str!("templates/zig/lb.zig")),
    ("policy.zig", include_str!("templates/zig/policy.zig")),
];

const ASSEMBLYSCRIPT: Files = &[
    ("README.md", include_str!("templates/assemblyscript/README.md")),
    ("assembly/index.ts", include_str!("templates/assemblyscript/assembly/index.ts")),
    ("assembly/lb.ts", include_str!("templates/assemblyscript/assembly/lb.ts")),
    ("assembly/policy.ts", include_str!("templates/assemblyscript/assembly/policy.ts")),
    ("exports.mjs", include_str!("templates/assemblyscript/exports.mjs")),
    (".gitignore", include_str!("templates/assemblyscript/gitignore")),
    ("package.json", include_str!("templates/assemblyscript/package.json")),
    ("policy.test.mjs", include_str!("templates/assemblyscript/policy.test.mjs")),
];

const WAT: Files = &[
    ("README.md", include_str!("templates/wat/README.md")),
    (".gitignore", include_str!("templates/wat/gitignore")),
    ("policy.test.mjs", include_str!("templates/wat/policy.test.mjs")),
    ("policy.wat", include_str!("templates/wat/policy.wat")),
];
