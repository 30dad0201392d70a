//! All that a policy says besides the changes to an answer: where its key is, what it makes of a request that has it, whom
//! it picks, what it says of itself and in the log.

use super::Target;
use super::http::{MOST_LINES, shown};
use crate::exchange;
use crate::http::cookies;
use crate::http::head::{Known, RequestHead};
use crate::http::parse;
use crate::policy::{Affinity, Key, KeyEdit, SettingValue, Standing, fit};

pub(super) const POLICY_ANSWERS: Target = Target::new(
    "policy-answers",
    &[
        "\n",
        "cookie ",
        "header ",
        "query ",
        "target ",
        "line ",
        "server ",
        "standing ",
        "number ",
        "replace ",
        "remove\n",
        "say ",
        "refuse ",
        "name ",
        "setting ",
        "choice ",
        "cookie S\n",
        "header x-key\n",
        "query S\n",
        "target /?S=a\n",
        "target /?S&S=b&T=c\n",
        "target http://a.test/x?S=a&T=b\n",
        "line Cookie: S=a; T=b\n",
        "line Cookie: T=b, S=\"a;b\"\n",
        "line X-Key: a\n",
        "line Content-Length: 5\n",
        "line Connection: x-key\n",
        "S",
        "T",
        "S=a",
        "x-key",
        "X-Key",
        "host",
        "content-length",
        "content_length",
        "transfer-encoding",
        "cookie",
        "connection",
        "te",
        "a",
        "b",
        "0",
        "1",
        "2",
        "3",
        "4294967295",
        "; ",
        ";",
        ", ",
        "=",
        "\"",
        "\\",
        "?",
        "&",
        "#",
        " ",
        "\t",
        "\r",
        "\u{0}",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "é",
        "-",
        "_",
    ],
    policy_answers,
)
.slow(2);

/// How many servers there are.
const SERVERS: usize = 3;

/// What a policy says, and of which request.
struct Said {
    key: Key,
    target: String,
    lines: String,
    server: Option<u32>,
    standing: Standing,
    number: usize,
    edit: KeyEdit,
}

/// A line of the input is one thing that is said.
fn policy_answers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut said = Said {
        key: Key::Cookie("S".into()),
        target: "/".into(),
        lines: String::new(),
        server: None,
        standing: Standing::Valid,
        number: 0,
        edit: KeyEdit::Keep,
    };
    let (mut name, mut setting) = ("p", "s");
    for line in text.split('\n') {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "cookie" => said.key = Key::Cookie(rest.into()),
            "header" => said.key = Key::Header(rest.into()),
            "query" => said.key = Key::Query(rest.into()),
            "target" => rest.clone_into(&mut said.target),
            "line" => said.lines.extend([rest, "\r\n"]),
            "server" => said.server = rest.parse().ok(),
            "standing" => said.standing = standing(rest),
            "number" => said.number = rest.parse().unwrap_or_default(),
            "replace" => said.edit = KeyEdit::Replace(rest.to_owned()),
            "remove" => said.edit = KeyEdit::Remove,
            "say" => is_one_line(&fit::line(rest)),
            "refuse" => is_one_line(&fit::refusal(name, rest)),
            "name" => name = rest,
            "setting" => setting = rest,
            "choice" => describes_itself(name, setting, rest),
            _ => {}
        }
    }
    picks(said.server);
    recalls(said);
}

fn standing(text: &str) -> Standing {
    match text {
        "0" => Standing::Absent,
        "1" => Standing::Unknown,
        "2" => Standing::Down,
        "3" => Standing::Expired,
        "a" => Standing::Old,
        _ => Standing::Valid,
    }
}

/// What is printed ends no line, and tells a terminal nothing.
fn is_one_line(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn describes_itself(name: &str, setting: &str, choice: &str) {
    let Some(description) = fit::description(name, choice, setting, choice) else { return };
    let plain = |text: &str, also: char| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also)
    };
    assert!(plain(&description.name, '-'), "{:?}", description.name);
    is_one_line(&description.version);
    is_one_line(&description.summary);
    for setting in &description.settings {
        assert!(plain(&setting.name, '_'), "{:?}", setting.name);
        is_one_line(&setting.doc);
        is_one_line(&setting.choices.concat());
        is_one_line(&setting.default.as_ref().map(SettingValue::to_string).unwrap_or_default());
    }
}

/// Whom a balancer picks is a candidate.
fn picks(answer: Option<u32>) {
    for candidates in [0, 1, SERVERS] {
        if let Some(Some(index)) = fit::pick(answer, candidates) {
            assert!((index as usize) < candidates);
        }
    }
}

/// A request whose key is cut out or replaced is the same request in all else.
fn recalls(said: Said) {
    let Said { key, target, lines, server, standing, number, edit } = said;
    let Some(key) = fit::key(key) else { return };
    let affinity = Affinity { server, standing, key: edit, note: 0 };
    let Some(affinity) = fit::affinity(affinity, &key, SERVERS) else { return };
    assert!(affinity.server.is_none_or(|server| (server as usize) < SERVERS));
    assert_ne!(affinity.standing, Standing::Absent);
    let method = if number.is_multiple_of(2) { "GET" } else { "OPTIONS" };
    let text = format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
    let mut head = RequestHead::default();
    if parse::request(text.as_bytes(), MOST_LINES, &mut head) != Ok(Some(text.len())) {
        return;
    }
    let Some(number) = number.checked_rem(keys(&head, &key).len()) else { return };
    let plain = read(&exchange::head_for_server(&head));
    let recalled = keys(&plain, &key);
    // What is named by Connection does not get to the server anyway.
    let Some(recalled) = recalled.get(number) else { return };
    let written = exchange::head_with_key(&head, &key, &affinity.key, number);
    let again = read(&written);
    let shown = shown(&written);
    assert_eq!(
        (again.method(), again.path(), again.authority(), again.framing, again.keep_alive, again.upgrade),
        (plain.method(), plain.path(), plain.authority(), plain.framing, plain.keep_alive, plain.upgrade),
        "{shown}"
    );
    // What the interface lets stand in a cookie, and is more than one value of it for some readers.
    let is_several = |new: &str| matches!(key, Key::Cookie(_)) && new.contains([',', '"']);
    if matches!(&affinity.key, KeyEdit::Replace(new) if is_several(new)) {
        return;
    }
    assert_eq!(others(&again, &key), others(&plain, &key), "{shown}");
    let left = keys(&again, &key);
    match &affinity.key {
        KeyEdit::Keep => assert_eq!(left, keys(&plain, &key), "{shown}"),
        KeyEdit::Remove => assert!(left.is_empty(), "{shown}"),
        KeyEdit::Replace(new) => {
            let new = new.trim_matches([' ', '\t']).as_bytes().to_vec();
            assert!(left.get(number) == Some(&new), "{shown}: {left:?} and not {new:?} for {recalled:?}");
        }
    }
}

fn read(text: &[u8]) -> RequestHead {
    let mut head = RequestHead::default();
    assert_eq!(parse::request(text, MOST_LINES, &mut head), Ok(Some(text.len())), "{}", shown(text));
    head
}

/// The values of the key.
fn keys(head: &RequestHead, key: &Key) -> Vec<Vec<u8>> {
    let values = match key {
        Key::Cookie(name) => {
            let pairs = head.lines().known(Known::Cookie).flat_map(cookies::pairs);
            return pairs
                .filter(|pair| pair.name == name.as_bytes())
                .map(|pair| pair.value.to_vec())
                .collect();
        }
        // One is asked for.
        Key::Header(name) => head.lines().header(name.as_bytes()),
        Key::Query(name) => {
            parameters(head).find_map(|(own, value)| (own == name.as_bytes()).then_some(value)?)
        }
    };
    values.map(<[u8]>::to_vec).into_iter().collect()
}

/// The query's parameters; one without `=` has no value.
fn parameters(head: &RequestHead) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let parameters = head.query().into_iter().flat_map(|query| query.split(|byte| *byte == b'&'));
    parameters.map(|text| match memchr::memchr(b'=', text) {
        Some(equals) => (&text[..equals], Some(&text[equals + 1..])),
        None => (text, None),
    })
}

/// All that is not the key: lines, cookies and parameters of other names.
fn others(head: &RequestHead, key: &Key) -> Vec<String> {
    let mut all = Vec::new();
    for line in head.lines().iter() {
        let (name, value) = (String::from_utf8_lossy(line.name), String::from_utf8_lossy(line.value));
        let is_key = matches!(key, Key::Header(key) if **key == *name);
        match key {
            Key::Cookie(cookie) if line.known == Known::Cookie => {
                let pairs = cookies::pairs(line.value).filter(|pair| pair.name != cookie.as_bytes());
                all.extend(pairs.map(|pair| format!("{name}: {}={}", shown(pair.name), shown(pair.value))));
            }
            _ if !is_key => all.push(format!("{name}: {value}")),
            _ => {}
        }
    }
    let is_key = |name: &[u8]| matches!(key, Key::Query(key) if name == key.as_bytes());
    let parameters = parameters(head).filter(|(name, _)| !is_key(name));
    all.extend(parameters.map(|(name, value)| format!("?{} {:?}", shown(name), value.map(shown))));
    all
}
