//! Heads as they are passed on where nobody changes anything, for what is fuzzed.

use super::edits::Edits;
use super::request::{self, Changes};
use super::response::{self, Shape};
use super::ruled::line_edit;
use crate::http::head::{RequestHead, ResponseHead, Version};
use crate::policy::{Amendment, Key, KeyEdit};
use crate::rules::Decision;

/// A request's head as its server gets it.
pub(crate) fn head_for_server(head: &RequestHead) -> Vec<u8> {
    with_edits(head, &Edits::default())
}

/// The same with what persistence makes of a key, the one with this number among those of its name.
pub(crate) fn head_with_key(head: &RequestHead, key: &Key, edit: &KeyEdit, number: usize) -> Vec<u8> {
    let edits = Edits::default();
    let key = Some((key, edit, number));
    let mut out = Vec::new();
    request::write(head, &Changes { key, forwardfor: [None; 2], client: None, edits: &edits }, &mut out);
    out
}

/// The same with what rules have decided.
pub(crate) fn ruled_head(head: &RequestHead, decision: Decision<'_>) -> Vec<u8> {
    let request = decision.request.into_iter().map(line_edit).collect();
    with_edits(head, &Edits { request, target: decision.target, ..Edits::default() })
}

fn with_edits(head: &RequestHead, edits: &Edits) -> Vec<u8> {
    let mut out = Vec::new();
    request::write(head, &Changes { key: None, forwardfor: [None; 2], client: None, edits }, &mut out);
    out
}

/// A response's head as its client gets it, on a connection that stays.
pub(crate) fn head_for_client(head: &ResponseHead) -> Vec<u8> {
    written(head, None)
}

/// The same with what persistence changes.
pub(crate) fn amended_head(head: &ResponseHead, key: &Key, amendment: &Amendment) -> Vec<u8> {
    written(head, Some((key, amendment)))
}

fn written(head: &ResponseHead, amendment: Option<(&Key, &Amendment)>) -> Vec<u8> {
    let switching = head.status == 101;
    let shape = Shape { dechunk: false, keep_alive: true, switching, cookie_attributes: b"" };
    let mut out = Vec::new();
    response::write(head, Version::Http11, &shape, amendment, &[], &mut out);
    out
}
