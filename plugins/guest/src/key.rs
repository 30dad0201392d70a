//! What of a request is hashed: the settings that `hash` and `maglev` share, and the reading.

use alloc::string::String;

use crate::{IpAddress, Refusal, Setting, Settings, hash, request};

/// A part of a request.
#[derive(Debug)]
pub enum RequestKey {
    /// The URI, or what was chosen of it.
    Uri {
        /// Without the authority.
        path_only: bool,
        /// With the query.
        whole: bool,
        /// As far as the slash that follows this many directories; 0 is no limit.
        depth: usize,
        /// No more than so many bytes; 0 is no limit.
        len: usize,
    },
    /// The first header of this name.
    Header(String),
    /// The first query parameter of this name.
    Query(String),
    /// The first cookie of this name.
    Cookie(String),
    /// The client's address.
    Client,
}

impl RequestKey {
    /// The settings, of which [`new`](Self::new) makes a key.
    pub fn settings() -> [Setting; 6] {
        [
            Setting::text("key", "What is hashed: a part of the request, or the client's address.")
                .default("uri")
                .choices(&["uri", "header", "query", "cookie", "client"]),
            Setting::text(
                "name",
                "Of a header, query or cookie: its name. A request without it is passed on.",
            ),
            Setting::boolean(
                "path_only",
                "Of a uri: leave the authority out, so that a path has one server on all sites.",
            )
            .default(false),
            Setting::boolean("whole", "Of a uri: hash the query as well.").default(false),
            Setting::integer(
                "depth",
                "Of a uri: hash so many directories of the path and no more; 0 is all.",
            )
            .default(0),
            Setting::integer("len", "Of a uri: hash so many bytes of path and query and no more; 0 is all.")
                .default(0),
        ]
    }

    /// The key that the settings say.
    ///
    /// # Errors
    /// Where they contradict each other.
    pub fn new(settings: &Settings) -> Result<Self, Refusal> {
        let (key, name) = (settings.text("key"), settings.text("name"));
        let is_uri = key == "uri";
        let is_named = matches!(key, "header" | "query" | "cookie");
        if is_named && name.is_empty() {
            return Err(Refusal::of("key", ["a ", key, " needs its `name`"].concat()));
        }
        if !is_named && !name.is_empty() {
            return Err(Refusal::of("name", "only a header, query or cookie has a name"));
        }
        for flag in ["path_only", "whole"] {
            if settings.boolean(flag) && !is_uri {
                return Err(Refusal::of(flag, "it is for `key = \"uri\"`"));
            }
        }
        for limit in ["depth", "len"] {
            let value = settings.integer(limit);
            if value != 0 && !is_uri {
                return Err(Refusal::of(limit, "it is for `key = \"uri\"`"));
            }
            if !(0..=65_536).contains(&value) {
                return Err(Refusal::of(limit, "give a number up to 65536, or 0 for no limit"));
            }
        }
        Ok(match key {
            "header" => Self::Header(name.into()),
            "query" => Self::Query(name.into()),
            "cookie" => Self::Cookie(name.into()),
            "client" => Self::Client,
            _ => Self::Uri {
                path_only: settings.boolean("path_only"),
                whole: settings.boolean("whole"),
                depth: settings.integer("depth") as usize,
                len: settings.integer("len") as usize,
            },
        })
    }

    /// The hash of the key of the request being decided on; `None` where it has none, or an empty one.
    pub fn hash(&self, client: &IpAddress) -> Option<u64> {
        let of_text = |text: Option<String>| {
            text.filter(|text| !text.is_empty()).map(|text| hash::xxh64(text.as_bytes(), 0))
        };
        match self {
            Self::Uri { path_only, whole, depth, len } => {
                let site = if *path_only { 0 } else { hash::xxh64(request::authority().as_bytes(), 0) };
                let mut uri = request::path();
                uri.truncate(end_of(&uri, *depth));
                if *whole && let Some(query) = request::query() {
                    uri.push('?');
                    uri.push_str(&query);
                }
                let bytes = uri.as_bytes();
                let end = if *len > 0 { bytes.len().min(*len) } else { bytes.len() };
                Some(hash::xxh64(&bytes[..end], site))
            }
            Self::Header(name) => of_text(request::header(name)),
            Self::Cookie(name) => of_text(request::cookie(name)),
            Self::Query(name) => {
                let query = request::query()?;
                let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let (_, value) = pairs.find(|(other, _)| other == name)?;
                (!value.is_empty()).then(|| hash::xxh64(value.as_bytes(), 0))
            }
            Self::Client => Some(hash::of_address(client)),
        }
    }
}

/// Where so many directories of a path end, the slash behind the last included.
fn end_of(path: &str, depth: usize) -> usize {
    if depth == 0 {
        return path.len();
    }
    path.match_indices('/').nth(depth).map_or(path.len(), |(slash, _)| slash + 1)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        Value,
        testing::{Request, world},
    };

    fn key(settings: &[(&str, Value)]) -> Result<RequestKey, Refusal> {
        let values = settings.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        RequestKey::new(&Settings::new(values))
    }

    fn hash_of(settings: &[(&str, Value)], request: Request) -> Option<u64> {
        let key = key(settings).expect("a key");
        let world = world::World { request: Some(request), ..world::World::default() };
        world::during(world, || key.hash(&IpAddress::Ipv4((192, 0, 2, 1)))).0
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        for (settings, wrong) in [
            (&[("key", "header".into())][..], "key"),
            (&[("key", "uri".into()), ("name", "x".into())], "name"),
            (&[("key", "client".into()), ("whole", true.into())], "whole"),
            (&[("key", "client".into()), ("depth", 1.into())], "depth"),
            (&[("key", "uri".into()), ("len", (-1).into())], "len"),
        ] {
            let refusal = key(settings).expect_err("it is refused");
            assert_eq!(refusal.setting.as_deref(), Some(wrong));
        }
    }

    #[test]
    fn a_uri_is_what_was_chosen_of_it() {
        let uri = |more: &[(&str, Value)], target: &str, host: &str| {
            let settings: Vec<_> = [("key", "uri".into())].into_iter().chain(more.iter().cloned()).collect();
            hash_of(&settings, Request::get(target).header("host", host))
        };
        assert_eq!(uri(&[], "/a?b", "x"), uri(&[], "/a?c", "x"));
        assert_ne!(uri(&[], "/a", "x"), uri(&[], "/a", "y"));
        assert_ne!(uri(&[], "/a", "x"), uri(&[], "/b", "x"));
        let path_only = ("path_only", true.into());
        assert_eq!(
            uri(std::slice::from_ref(&path_only), "/a", "x"),
            uri(std::slice::from_ref(&path_only), "/a", "y")
        );
        let whole = [("whole", true.into())];
        assert_ne!(uri(&whole, "/a?b", "x"), uri(&whole, "/a?c", "x"));
        assert_ne!(uri(&whole, "/a?", "x"), uri(&whole, "/a", "x"));
        let depth = [("depth", 2.into())];
        assert_eq!(uri(&depth, "/a/b/c", "x"), uri(&depth, "/a/b/d/e", "x"));
        assert_ne!(uri(&depth, "/a/b/c", "x"), uri(&depth, "/a/c/c", "x"));
        let len = [("len", 3.into())];
        assert_eq!(uri(&len, "/abc", "x"), uri(&len, "/abd", "x"));
        assert_ne!(uri(&len, "/abc", "x"), uri(&len, "/acc", "x"));
    }

    #[test]
    fn what_is_absent_or_empty_has_no_hash() {
        for (kind, target, header) in [
            ("header", "/", ("other", "v")),
            ("header", "/", ("k", "")),
            ("cookie", "/", ("cookie", "other=v")),
            ("query", "/?other=v&k", ("k", "v")),
            ("query", "/", ("k", "v")),
        ] {
            let settings = [("key", kind.into()), ("name", "k".into())];
            assert_eq!(hash_of(&settings, Request::get(target).header(header.0, header.1)), None, "{kind}");
        }
        let found = [
            hash_of(&[("key", "header".into()), ("name", "K".into())], Request::get("/").header("k", "v")),
            hash_of(&[("key", "cookie".into()), ("name", "k".into())], Request::get("/").cookie("k", "v")),
            hash_of(&[("key", "query".into()), ("name", "k".into())], Request::get("/?a&k=v&k=w")),
        ];
        assert_eq!(found, [Some(hash::xxh64(b"v", 0)); 3]);
        let client = hash_of(&[("key", "client".into())], Request::get("/"));
        assert_eq!(client, Some(hash::xxh64(&[192, 0, 2, 1], 0)));
    }

    #[test]
    fn directories_end_with_their_slash() {
        assert_eq!(["/a/b/c", "/a", "", "/", "//"].map(|path| end_of(path, 1)), [3, 2, 0, 1, 2]);
    }
}
