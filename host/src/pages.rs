//! Pages from files, `errorfile`: what clients get in place of the pages of [`failure`](crate::failure).
//!
//! They are read and checked when the configuration is, off the data path, and sent from memory as they are. A file
//! is a whole response, as HAProxy has it, or HTML alone, which gets a head here.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::config::diagnostics::Problem;
use crate::config::model::Config;
use crate::config::model::pages::ErrorFile;
use crate::failure::Page;
use crate::http::head::{Framing, Known, ResponseHead};
use crate::http::parse::{self, MAX_LINES};
use crate::rules::reason;

/// The largest file. Each page is held in memory, and sent to clients that may be many.
const MAX_BYTES: usize = 1 << 20;

/// The pages of a frontend or backend, by the status that they stand for.
#[derive(Debug, Default)]
pub(crate) struct Pages(Vec<(u16, Page)>);

impl Pages {
    /// The page for a status, if there is one of its own.
    pub(crate) fn find(&self, status: u16) -> Option<&Page> {
        self.0.iter().find(|(of, _)| *of == status).map(|(_, page)| page)
    }

    /// The page for a status: one of its own, or the built-in one.
    pub(crate) fn page(&self, status: u16) -> &Page {
        self.find(status).unwrap_or_else(|| Page::of(status))
    }
}

/// The pages of a configuration, by the indices of its frontends and backends.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) frontends: Vec<Arc<Pages>>,
    pub(crate) backends: Vec<Arc<Pages>>,
}

impl Shelf {
    /// Reads the files that a configuration names; also what is wrong with them, or hardly meant.
    pub(crate) fn read(config: &Config) -> (Shelf, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut all = |files: &[ErrorFile]| Arc::new(pages(files, &mut problems));
        let frontends = config.frontends.iter().map(|frontend| all(&frontend.errorfile)).collect();
        let backends = config.backends.iter().map(|backend| all(&backend.errorfile)).collect();
        // What `[defaults]` names is read for each frontend, and said once.
        let mut said = Vec::new();
        problems.retain(|problem| {
            let is_new = !said.contains(problem);
            said.extend(is_new.then(|| problem.clone()));
            is_new
        });
        (Shelf { frontends, backends }, problems)
    }
}

fn pages(files: &[ErrorFile], problems: &mut Vec<Problem>) -> Pages {
    let mut pages = Vec::new();
    for file in files {
        match read(file) {
            Ok(page) => {
                if page.status() != file.status {
                    let message = format!(
                        "`{}` is sent with the status {}, in place of {}",
                        file.path.display(),
                        page.status(),
                        file.status
                    );
                    problems.push(Problem::warning(file.span.clone(), message));
                }
                pages.push((file.status, page));
            }
            Err(Complaint { what, help }) => {
                let message = format!("`{}` {what}", file.path.display());
                problems.push(Problem::error(file.span.clone(), message).help(help));
            }
        }
    }
    Pages(pages)
}

/// Why a file is no page: continues the file's name; and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    what: String,
    help: &'static str,
}

fn complaint<T>(what: impl Into<String>, help: &'static str) -> Result<T, Complaint> {
    Err(Complaint { what: what.into(), help })
}

fn read(file: &ErrorFile) -> Result<Page, Complaint> {
    let mut bytes = Vec::new();
    let read =
        File::open(&file.path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return complaint(format!("cannot be read: {error}"), "");
    }
    if bytes.len() > MAX_BYTES {
        return complaint("is larger than 1 MiB", "pages are held in memory: link large things instead");
    }
    if is_html(&file.path) { html(file.status, &bytes) } else { raw(file.status, &bytes) }
}

fn is_html(path: &Path) -> bool {
    path.extension().is_some_and(|name| name.eq_ignore_ascii_case("html") || name.eq_ignore_ascii_case("htm"))
}

/// A page whose head is made here.
fn html(status: u16, body: &[u8]) -> Result<Page, Complaint> {
    if body.starts_with(b"HTTP/") {
        let help = "name it `.http`, or leave the head out of it";
        return complaint("is a whole response, and its name says that it is HTML alone", help);
    }
    if body.is_empty() {
        return complaint("is empty", "to close connections without an answer, name `/dev/null`");
    }
    let charset = if std::str::from_utf8(body).is_ok() { "; charset=utf-8" } else { "" };
    let lines = format!(
        "content-length: {}\r\ncache-control: no-cache\r\ncontent-type: text/html{charset}\r\n",
        body.len()
    );
    Ok(Page::made(status, reason(status).as_bytes(), lines.as_bytes(), body))
}

/// A whole response. As in HAProxy, nothing at all means that nothing is sent.
pub(crate) fn raw(status: u16, bytes: &[u8]) -> Result<Page, Complaint> {
    if bytes.is_empty() {
        return Ok(Page::silence(status));
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        let help = "put a status line and headers before it, or name it `.html`";
        return complaint("is no whole response: it begins with HTML", help);
    }
    let mut head = ResponseHead::default();
    let length = match parse::response(bytes, MAX_LINES, false, &mut head) {
        Ok(Some(length)) => length,
        Ok(None) => {
            return complaint("is no whole response: its head does not end", "an empty line ends the head");
        }
        Err(malformed) => {
            let help =
                "it must begin as in `HTTP/1.1 503 Service Unavailable`, with headers and an empty line";
            return complaint(format!("is no HTTP response: {malformed}"), help);
        }
    };
    let body = &bytes[length..];
    let bodiless = matches!(head.status, 204 | 304);
    if head.status < 200 {
        return complaint(format!("has the status {}, which no answer ends with", head.status), "");
    }
    if head.framing == Framing::Chunked || head.lines().known(Known::TransferEncoding).next().is_some() {
        return complaint(
            "has a transfer-encoding",
            "take that line out, and the chunks' sizes out of the body",
        );
    }
    if let Framing::Length(said) = head.framing
        && said != body.len() as u64
    {
        let what = format!("has a body of {} bytes, and its content-length says {said}", body.len());
        return complaint(what, "leave the content-length out: it is added");
    }
    if bodiless && !body.is_empty() {
        return complaint(format!("has a body, which a {} cannot have", head.status), "");
    }
    let mut lines = Vec::new();
    if !bodiless {
        lines.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    for line in head.lines().iter() {
        // What becomes of the connection is seen when the page is sent.
        if !matches!(
            line.known,
            Known::ContentLength
                | Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::Upgrade
        ) {
            line.write(&mut lines);
        }
    }
    Ok(Page::made(head.status, head.reason(), &lines, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::failure::Connection;

    fn text(page: &Page, connection: Connection) -> String {
        String::from_utf8(page.response(connection, false).to_vec()).unwrap()
    }

    #[test]
    fn a_whole_response_is_sent_as_it_is_but_for_the_connection() {
        let file =
            b"HTTP/1.0 503 Gone fishing\nContent-Type: text/plain\nConnection: close\nX-A: b\n\nhello\n";
        let page = raw(503, file).unwrap();
        let kept = "HTTP/1.1 503 Gone fishing\r\ncontent-length: 6\r\ncontent-type: text/plain\r\nx-a: b\r\n\r\nhello\n";
        assert_eq!(text(&page, Connection::Keep), kept);
        let closing = kept.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        assert_eq!(text(&page, Connection::Close), closing);
        assert_eq!(page.response(Connection::Keep, true), kept.strip_suffix("hello\n").unwrap().as_bytes());
    }

    #[test]
    fn html_gets_a_head() {
        let page = html(404, "<h1>wëg</h1>".as_bytes()).unwrap();
        let expected = "HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\ncache-control: no-cache\r\ncontent-type: \
                        text/html; charset=utf-8\r\n\r\n<h1>wëg</h1>";
        assert_eq!(text(&page, Connection::Keep), expected);
        let latin = html(404, b"<h1>w\xebg</h1>").unwrap();
        assert!(latin.response(Connection::Keep, true).ends_with(b"content-type: text/html\r\n\r\n"));
    }

    #[test]
    fn an_empty_file_is_no_answer() {
        let page = raw(408, b"").unwrap();
        assert!(page.is_silence() && page.response(Connection::Close, false).is_empty());
    }

    #[test]
    fn what_is_no_page_says_why() {
        for (file, part) in [
            ("<html></html>", "begins with HTML"),
            ("HTTP/1.1 503 Busy\r\ncontent-type: a", "does not end"),
            ("503 Busy\r\n\r\n", "is no HTTP response"),
            ("HTTP/1.1 103 Early\r\n\r\n", "status 103"),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\nhello", "5 bytes, and its content-length says 3"),
            ("HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "has a transfer-encoding"),
            ("HTTP/1.1 204 None\r\n\r\nhello", "which a 204 cannot have"),
        ] {
            let what = raw(503, file.as_bytes()).expect_err(file).what;
            assert!(what.contains(part), "{file}: {what}");
        }
        assert!(html(503, b"HTTP/1.1 503 Busy\r\n\r\n").is_err());
        assert!(html(503, b"").is_err());
    }

    proptest! {
        #[test]
        fn no_file_panics_and_every_page_has_one_length(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = b"HTTP/1.1 503 Busy\r\n".to_vec();
            file.extend_from_slice(&bytes);
            for file in [&file, &bytes] {
                if let Ok(page) = raw(503, file) && !page.is_silence() && page.status() >= 400 {
                    let whole = page.response(Connection::Close, false);
                    let head = page.response(Connection::Close, true);
                    let body = whole.len() - head.len();
                    let line = format!("content-length: {body}\r\n");
                    prop_assert!(memchr::memmem::find(head, line.as_bytes()).is_some());
                }
            }
        }
    }
}
