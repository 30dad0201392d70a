//! What policies are tried with: servers, clients, requests and responses, the usual and the hostile ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::backend::server::Server;
use crate::backend::{Backend, Candidate};
use crate::config::model;
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::parse;
use crate::policy::{SettingValue, Settings};

/// When histories begin, in milliseconds since 1970.
pub(super) const START: u64 = 1_700_000_000_000;

/// As many header lines as the host lets pass where nothing else is configured.
const MAX_LINES: usize = 101;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, fast, and the same everywhere.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The numbers that belong to a seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0; even enough for tests.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    pub(super) fn chance(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(super) fn one<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// So many servers: `s0`, `s1` …, each with a cookie value and labels, all of weight 1.
pub fn servers(count: usize) -> Vec<model::Server> {
    let server = |index: usize| model::Server {
        name: format!("s{index}").into(),
        address: match index % 3 {
            0 => model::ServerAddress::Ip(([10, 0, (index >> 8) as u8, index as u8], 80).into()),
            1 => model::ServerAddress::Ip(([0xfd00, 0, 0, 0, 0, 0, 0, index as u16], 8080).into()),
            _ => model::ServerAddress::Name(format!("host-{index}.example"), 80),
        },
        weight: 1,
        maxconn: None,
        backup: false,
        disabled: false,
        check: None,
        cookie: Some(format!("c{index}")),
        labels: vec![("zone".into(), format!("z{}", index % 3))],
        protocol: Default::default(),
        resolution: Default::default(),
        slowstart: None,
        circuit_breaker: None,
        tls: None,
    };
    (0..count).map(server).collect()
}

/// A backend of these servers, all UP, with nothing in flight.
pub fn backend_of(servers: Vec<model::Server>) -> Arc<Backend> {
    let shared = Server::all(&servers);
    let config = model::Backend {
        name: "check".into(),
        balance: Vec::new(),
        persistence: None,
        servers,
        template: None,
        check: model::CheckKind::Tcp,
        forwardfor: None,
        retries: 3,
        redispatch: false,
        abortonclose: model::AbortOnClose::WhileWaiting,
        http_reuse: Default::default(),
        retry_on: Default::default(),
        retry_budget: None,
        circuit_breaker: None,
        timeout: model::ServerTimeouts::default(),
        errorfile: Vec::new(),
        limits: Vec::new(),
        rules: Default::default(),
    };
    let backend = Backend::new(config, shared);
    // Names would have to be looked up first; here they need not.
    for index in 0..backend.servers.len() {
        let _ = backend.server_changed(index, true);
    }
    backend
}

/// Candidates of these servers, those without a weight left out.
pub(super) fn candidates(servers: &[model::Server]) -> Vec<Candidate> {
    let weighty = servers.iter().zip(0..).filter(|(server, _)| server.weight > 0);
    weighty.map(|(server, index)| Candidate { server: index, weight: server.weight }).collect()
}

/// A request, and what there is to say about it.
#[derive(Debug, Clone)]
pub(super) struct Sample<T> {
    pub(super) about: String,
    pub(super) head: Arc<T>,
}

/// A request as most are.
pub(super) fn plain_request() -> Sample<RequestHead> {
    sample("GET / as most are", b"GET / HTTP/1.1\r\nhost: example\r\nuser-agent: x\r\naccept: */*\r\n\r\n")
        .unwrap_or_else(|| Sample { about: "an empty head".into(), head: Arc::default() })
}

fn sample(about: &str, text: &[u8]) -> Option<Sample<RequestHead>> {
    let mut head = RequestHead::default();
    match parse::request(text, MAX_LINES, &mut head) {
        Ok(Some(_)) => Some(Sample { about: about.to_owned(), head: Arc::new(head) }),
        Ok(None) | Err(_) => None,
    }
}

/// The names that the settings hold: a header, a cookie or a parameter that the policy may look at.
pub(super) fn names_of(settings: &Settings) -> Vec<String> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text.len() < 100
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let mut names = vec!["x-key".to_owned()];
    for (_, value) in settings.iter() {
        match value {
            SettingValue::Text(text) => names.push(text.clone()),
            SettingValue::Texts(texts) => names.extend(texts.iter().cloned()),
            _ => {}
        }
    }
    names.retain(|name| is_name(name));
    names
}

/// Requests that nobody means well with, as far as the host's own parser lets them pass: what it refuses reaches
/// no policy.
pub(super) fn hostile_requests(settings: &Settings) -> Vec<Sample<RequestHead>> {
    let mut texts: Vec<(String, Vec<u8>)> = [
        ("no headers at all", &b"GET / HTTP/1.0\r\n\r\n"[..]),
        ("an empty Host", b"GET / HTTP/1.1\r\nhost:\r\n\r\n"),
        ("a path and a query in escapes", b"GET /%ff%00%2F?%c3=%26&%%%= HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a query of nothing but separators", b"GET /?&&=&a=&=b&%00%ff? HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("the absolute form", b"GET http://u:p@[::1]:1/%2e%2e/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a method of one's own", b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "cookies that are none",
            b"GET / HTTP/1.1\r\nhost: x\r\ncookie: =; ;;;a; \"=\"; a==b\r\ncookie:\r\n\r\n",
        ),
    ]
    .map(|(about, text)| (about.to_owned(), text.to_vec()))
    .into();
    let long = |length: usize| "a".repeat(length);
    texts.push((
        "a path of 8,000 bytes".into(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", long(8000)).into(),
    ));
    let lines: String = (0..95).map(|number| format!("x-{number}: {number}\r\n")).collect();
    texts.push(("95 headers".into(), format!("GET / HTTP/1.1\r\nhost: x\r\n{lines}\r\n").into()));
    let values: [(&str, &[u8]); 8] = [
        ("empty", b""),
        ("not UTF-8", b"\xff\xc0\x80\xed\xa0\x80"),
        ("with a tab", b"a\tb"),
        ("with control characters", b"a\x01\x7fb"),
        ("in quotes", b"\"a\\\"b\""),
        ("of digits without end", b"99999999999999999999999999999999999999999"),
        ("of signs", b"-1,;=~|%00../"),
        ("in the farthest of UTF-8", "\u{10ffff}\u{feff}é".as_bytes()),
    ];
    let huge = long(8000);
    for name in names_of(settings) {
        for (kind, value) in values.iter().copied().chain([("of 8,000 bytes", huge.as_bytes())]) {
            let escaped: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
            let parameter = if value.len() > 1_000 { "x".repeat(4_000) } else { escaped };
            let mut text = format!("GET /?{name}={parameter}").into_bytes();
            text.extend_from_slice(format!(" HTTP/1.1\r\nhost: x\r\n{name}: ").as_bytes());
            text.extend_from_slice(value);
            text.extend_from_slice(format!("\r\ncookie: {name}=").as_bytes());
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n\r\n");
            texts.push((format!("`{name}` as header, cookie and parameter, its value {kind}"), text));
        }
    }
    texts.iter().filter_map(|(about, text)| sample(about, text)).collect()
}

/// Responses of all kinds.
pub(super) fn responses() -> Vec<Sample<ResponseHead>> {
    let texts: [(&str, &[u8]); 6] = [
        ("200", b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n"),
        ("304", b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n"),
        ("500 without headers", b"HTTP/1.0 500 \r\n\r\n"),
        (
            "200 with cookies of its own",
            b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nset-cookie: =\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "200 with bytes that are not UTF-8",
            b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\nset-cookie: \x80=\xff\r\ncontent-length: 0\r\n\r\n",
        ),
        ("599", b"HTTP/1.1 599 Odd\r\ncache-control: no-store\r\ncontent-length: 0\r\n\r\n"),
    ];
    let parsed = texts.iter().filter_map(|(about, text)| {
        let mut head = ResponseHead::default();
        let fit = matches!(parse::response(text, MAX_LINES, false, &mut head), Ok(Some(_)));
        fit.then(|| Sample { about: (*about).to_owned(), head: Arc::new(head) })
    });
    parsed.collect()
}

/// Clients of both families, at the edges of their ranges and within.
pub(super) fn clients() -> Vec<IpAddr> {
    vec![
        Ipv4Addr::new(192, 0, 2, 7).into(),
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6).into(),
        Ipv6Addr::from([0xff; 16]).into(),
        Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_row_of_numbers() {
        let row = |seed| {
            let mut rng = Rng::new(seed);
            [rng.next_u64(), rng.next_u64(), rng.below(10) as u64]
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        assert_eq!(Rng::new(0).next_u64(), 0xe220_a839_7b1d_cdaf, "the published first number of seed 0");
    }

    #[test]
    fn the_samples_pass_the_hosts_own_parser() {
        let requests = hostile_requests(&Settings::default());
        assert!(requests.len() >= 14, "{}", requests.len());
        assert!(requests.iter().any(|request| request.about.contains("not UTF-8")));
        assert_eq!(responses().len(), 6);
        assert_eq!(plain_request().head.path(), b"/");
    }
}
