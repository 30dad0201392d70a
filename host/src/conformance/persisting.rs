//! What a persistence has to live through.

use super::Case;
use super::balancing::{LOOKS, steady};
use super::exam::{Exam, Scene, Stop, reply_in_words, start_of};
use super::samples::{self, Sample, servers};
use crate::http::head::{RequestHead, ResponseHead};
use crate::policy::{Amendment, HeaderEdit, Key, KeyEdit, Policy, Reply, Standing};

/// Exchanges of the long run; each is two calls.
const LONG_RUN: usize = 16_000;
/// How long a server may be in the host's reuse of an answer that holds for ever, in these histories.
const A_DAY_MS: u64 = 24 * 3600 * 1000;

pub(super) const CASES: &[Case] = &[
    Case { name: "key-place", applies: Policy::is_persistence, run: key_place },
    Case { name: "round-trip", applies: Policy::is_persistence, run: round_trip },
    Case { name: "round-trip-thousand", applies: Policy::is_persistence, run: round_trip_thousand },
    Case { name: "hostile-keys", applies: Policy::is_persistence, run: hostile_keys },
    Case { name: "responses", applies: Policy::is_persistence, run: responses },
    Case { name: "reused-answers", applies: Policy::is_persistence, run: reused_answers },
    Case { name: "reused-recalls", applies: Policy::is_persistence, run: reused_recalls },
    Case { name: "keys-reconfigured", applies: Policy::is_persistence, run: reconfigured },
    Case { name: "keys-long-run", applies: Policy::is_persistence, run: long_run },
];

const STANDINGS: [Standing; 6] =
    [Standing::Absent, Standing::Unknown, Standing::Down, Standing::Valid, Standing::Expired, Standing::Old];

/// The value that an amendment gives the client to come back with.
pub(crate) fn key_set<'a>(amendment: &'a Amendment, key: &Key) -> Option<&'a str> {
    if let KeyEdit::Replace(value) = &amendment.key {
        return Some(value);
    }
    amendment.headers.iter().find_map(|edit| {
        let (HeaderEdit::Append { name, value } | HeaderEdit::Set { name, value }) = edit else {
            return None;
        };
        match key {
            Key::Cookie(cookie) if name == "set-cookie" => {
                let rest = value.strip_prefix(&**cookie)?.strip_prefix('=')?;
                Some(rest.split(';').next().unwrap_or(rest).trim())
            }
            Key::Header(header) if **name == **header => Some(value.as_str()),
            Key::Cookie(_) | Key::Header(_) | Key::Query(_) => None,
        }
    })
}

/// The reply of a server to a client without a key.
fn reply(exam: &Exam<'_>, server: u32) -> Reply<'static> {
    Reply { server, standing: Standing::Absent, note: 0, cacheable: true, sent: None, time_ms: exam.time_ms }
}

fn key_place(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(servers(3))?;
    let first = exam.probe().key().cloned();
    for count in [0, 1, 1000, 3] {
        exam.configure(servers(count))?;
        let now = exam.probe().key().cloned();
        if now != first {
            let message = format!("it placed its key at {now:?}, and before at {first:?}");
            return Err(Stop::wrong(message, format!("`configure` with {count} servers, then `place`")));
        }
    }
    let other = exam.another()?;
    if other.key() != first.as_ref() {
        let message = format!("one instance has its key at {first:?}, another at {:?}", other.key());
        return Err(Stop::wrong(message, "the same settings and servers"));
    }
    Ok(())
}

/// Has a client come without a key, and come back with what it was given.
fn one_round_trip(exam: &mut Exam<'_>, server: u32, sent: Option<&[u8]>) -> Result<bool, Stop> {
    let (request, response) = (samples::plain_request(), &samples::responses()[0]);
    let reply = Reply { sent, ..reply(exam, server) };
    let (amendment, _) = exam.respond(&request, response, reply)?;
    let Some(key) = exam.probe().key().cloned() else { return Ok(false) };
    let Some(value) = key_set(&amendment, &key).map(str::to_owned) else { return Ok(false) };
    let client = samples::clients()[0];
    let (affinity, _) = exam.recall(&request, &value, client)?;
    if affinity.server == Some(server) && affinity.standing == Standing::Valid {
        return Ok(true);
    }
    let found = match affinity.server {
        Some(other) => format!("server {other}, its standing {:?}", affinity.standing),
        None => format!("no server, its standing {:?}", affinity.standing),
    };
    let message = format!(
        "what `respond` set for server {server}, {}, `recall` does not find: it found {found}",
        start_of(&value)
    );
    Err(Stop::wrong(
        message,
        format!("{}; then `recall` of that value", reply_in_words(&reply, &request, response)),
    ))
}

fn round_trips(scene: &mut Scene<'_>, count: usize) -> Result<(), Stop> {
    let mut exam = scene.start(servers(count))?;
    let mut set = 0;
    for server in 0..count as u32 {
        for sent in [None, Some(&b"abc"[..])] {
            set += usize::from(one_round_trip(&mut exam, server, sent)?);
        }
    }
    if set == 0 {
        scene.note("`respond` gave no client a key, so whether `recall` would find it again was not tried");
    }
    Ok(())
}

fn round_trip(scene: &mut Scene<'_>) -> Result<(), Stop> {
    round_trips(scene, 5)
}

fn round_trip_thousand(scene: &mut Scene<'_>) -> Result<(), Stop> {
    round_trips(scene, 1000)
}

/// Values that no policy gave out, as far as they can stand where the key is.
fn values(exam: &mut Exam<'_>) -> Vec<String> {
    let mut values: Vec<String> = [
        "",
        "\"\"",
        "\"",
        "~",
        "s1",
        "c1",
        "c1~",
        "~c1",
        "c1~x",
        "c1|",
        "|",
        "c1|AAAAA|AAAAA",
        "c1|\u{10ffff}",
        "-1",
        "%00",
        "a b\tc",
        "é\u{feff}",
        "99999999999999999999",
        "../../etc/passwd",
        "a=b&c=d",
        ",;=",
    ]
    .map(str::to_owned)
    .into();
    values.push("x".repeat(8_000));
    values.push("|".repeat(1_000));
    for _ in 0..50 {
        let length = exam.rng.below(40);
        let byte = |exam: &mut Exam<'_>| char::from(b' ' + exam.rng.below(95) as u8);
        values.push((0..length).map(|_| byte(exam)).collect());
    }
    let fits: fn(char) -> bool = match exam.probe().key() {
        Some(Key::Cookie(_)) => |character| character != ';',
        Some(Key::Query(_)) => |character| character.is_ascii_graphic() && !"&#".contains(character),
        Some(Key::Header(_)) | None => |_| true,
    };
    let fitted =
        values.iter().map(|value| value.chars().filter(|character| fits(*character)).collect::<String>());
    fitted.map(|value| value.trim().to_owned()).collect()
}

fn hostile_keys(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut requests = samples::hostile_requests(scene.settings);
    requests.push(samples::plain_request());
    for count in [0, 1, 5] {
        let mut exam = scene.start(servers(count))?;
        if count == 5 {
            let _ = exam.backend.server_changed(1, false);
        }
        for value in values(&mut exam) {
            let client = *exam.rng.one(&samples::clients());
            let request = exam.rng.one(&requests).clone();
            exam.recall(&request, &value, client)?;
        }
    }
    Ok(())
}

fn responses(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut requests = samples::hostile_requests(scene.settings);
    requests.push(samples::plain_request());
    let answers = samples::responses();
    let long = vec![b'x'; 3_000];
    let sent: [Option<&[u8]>; 7] =
        [None, Some(b""), Some(b"c1"), Some(b"c1~x"), Some(b"\xff\xfe"), Some(b"a|b|c"), Some(&long)];
    let mut exam = scene.start(servers(4))?;
    for server in 0..4 {
        for standing in STANDINGS {
            for sent in sent {
                let note = *exam.rng.one(&[0, 1, u64::MAX]);
                let cacheable = exam.rng.chance(2);
                let reply = Reply { standing, note, cacheable, sent, ..reply(&exam, server) };
                let (request, response) = (exam.rng.one(&requests).clone(), exam.rng.one(&answers).clone());
                exam.respond(&request, &response, reply)?;
            }
        }
    }
    Ok(())
}

/// An answer that may be given again has to be the one that would be given again.
fn reused_answers(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut requests = samples::hostile_requests(scene.settings);
    requests.push(samples::plain_request());
    let answers = samples::responses();
    let mut exam = scene.start(servers(3))?;
    for server in 0..3 {
        for standing in STANDINGS {
            for cacheable in [true, false] {
                let asked = Reply { standing, cacheable, ..reply(&exam, server) };
                let (first, holds_ms) = exam.respond(&samples::plain_request(), &answers[0], asked)?;
                let later_ms = match holds_ms {
                    0 => continue,
                    u32::MAX => A_DAY_MS,
                    ms => u64::from(ms) - 1,
                };
                let (request, response) = (exam.rng.one(&requests).clone(), exam.rng.one(&answers).clone());
                again(&mut exam, &request, &response, asked, later_ms, &first)?;
            }
        }
    }
    Ok(())
}

fn again(
    exam: &mut Exam<'_>,
    request: &Sample<RequestHead>,
    response: &Sample<ResponseHead>,
    asked: Reply<'_>,
    later_ms: u64,
    first: &Amendment,
) -> Result<(), Stop> {
    let later = Reply { time_ms: asked.time_ms + later_ms, ..asked };
    let (second, _) = exam.respond(request, response, later)?;
    if second == *first {
        return Ok(());
    }
    let message = format!(
        "it let the host give its answer again, and {later_ms} ms later it has another itself: {}, then {}",
        start_of(first),
        start_of(&second)
    );
    Err(Stop::wrong(message, reply_in_words(&later, request, response)))
}

/// The same of whom a value names: for any client, with any request, at any time.
fn reused_recalls(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut requests = samples::hostile_requests(scene.settings);
    requests.push(samples::plain_request());
    let mut exam = scene.start(servers(5))?;
    let mut values = values(&mut exam);
    let key = exam.probe().key().cloned();
    for server in 0..5 {
        let asked = reply(&exam, server);
        let (amendment, _) = exam.respond(&samples::plain_request(), &samples::responses()[0], asked)?;
        values.extend(key.as_ref().and_then(|key| key_set(&amendment, key)).map(str::to_owned));
    }
    for value in values {
        let (first, holds_ms) = exam.recall(&samples::plain_request(), &value, samples::clients()[0])?;
        let later_ms = match holds_ms {
            // Each visit is a millisecond later than the one before it.
            0 | 1 => continue,
            u32::MAX => A_DAY_MS,
            ms => u64::from(ms) - 1,
        };
        let (request, client) = (exam.rng.one(&requests).clone(), *exam.rng.one(&samples::clients()));
        exam.time_ms += later_ms - 1;
        let (second, _) = exam.recall(&request, &value, client)?;
        if second != first {
            let message = format!(
                "it let the host give its answer again, and {later_ms} ms later it has another itself: {}, then {}",
                start_of(&first),
                start_of(&second)
            );
            let sent = format!("the key's value {}, client {client}; {}", start_of(&value), request.about);
            return Err(Stop::wrong(message, sent));
        }
    }
    Ok(())
}

fn reconfigured(scene: &mut Scene<'_>) -> Result<(), Stop> {
    let mut exam = scene.start(servers(5))?;
    for count in [1, 40, 3, 2, 300, 5] {
        let mut these = servers(count);
        if exam.rng.chance(2) {
            these.reverse();
        }
        exam.configure(these)?;
        for server in [0, count as u32 / 2, count as u32 - 1] {
            one_round_trip(&mut exam, server, None)?;
        }
    }
    Ok(())
}

fn long_run(scene: &mut Scene<'_>) -> Result<(), Stop> {
    const SERVERS: usize = 20;
    let mut requests = samples::hostile_requests(scene.settings);
    requests.push(samples::plain_request());
    let answers = samples::responses();
    let mut exam = scene.start(servers(SERVERS))?;
    let values = values(&mut exam);
    let mut held = Vec::new();
    for number in 0..LONG_RUN {
        let client = *exam.rng.one(&samples::clients());
        let (request, response) = (exam.rng.one(&requests).clone(), exam.rng.one(&answers).clone());
        let value = exam.rng.one(&values);
        let (affinity, _) = exam.recall(&request, value, client)?;
        let server = affinity.server.unwrap_or(exam.rng.below(SERVERS) as u32);
        let reply = Reply { standing: affinity.standing, note: affinity.note, ..reply(&exam, server) };
        exam.respond(&request, &response, reply)?;
        if (number + 1) % (LONG_RUN / LOOKS) == 0 {
            held.push(exam.probe().memory_bytes());
        }
    }
    steady(&held, LONG_RUN)
}
