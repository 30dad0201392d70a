//! The status page: one document that stands by itself, made at the first request from the files in `page/`. What it
//! shows it asks of `/status.json`.
//!
//! Its policy lets a browser run this script and apply this style, by their hashes, and ask this listener; nothing
//! else. So even a name in the configuration that the page failed to treat as text could do nothing.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

const INDEX: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(
    include_str!("page/figures.js"),
    include_str!("page/charts.js"),
    include_str!("page/tables.js"),
    include_str!("page/columns.js"),
    include_str!("page/app.js"),
    include_str!("page/controls.js"),
);

/// The document, and what a browser may do with it.
pub(super) struct Page {
    pub(super) html: String,
    /// The value of `content-security-policy`.
    pub(super) policy: HeaderValue,
}

/// The page, put together once.
pub(super) static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        source(STYLE),
        source(SCRIPT)
    );
    Page {
        html: INDEX.replacen("{{style}}", STYLE, 1).replacen("{{script}}", SCRIPT, 1),
        // Should it ever be no header's value, nothing at all is allowed.
        policy: policy.try_into().unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
    }
});

/// How a policy names an inline text: by its SHA-256.
fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_the_standard() {
        assert_eq!(source("abc"), "'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='");
    }

    #[test]
    fn the_document_is_whole_and_asks_nobody_else() {
        let Page { html, policy } = &*PAGE;
        assert!(html.contains(&format!("<style>{STYLE}</style>")));
        assert!(html.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(!html.contains("{{style}}") && !html.contains("{{script}}"));
        assert!(!SCRIPT.contains("innerHTML") && !SCRIPT.contains("</script"));
        let policy = policy.to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    }
}
