//! Each expectation that is about HAProxy was seen with HAProxy 2.6.

use proptest::prelude::*;

use lb_policy::{IpAddress, Refusal, Server, Settings, Value};

use super::*;
use crate::settings::configure;

/// 2026-11-22 22:10:00 UTC, a whole unit.
const NOW_MS: u64 = 1_795_385_400_000;

/// Three servers with the values a, b and none, and one with d that is down.
fn servers() -> Vec<Server> {
    [("s1", Some("a")), ("s2", Some("b")), ("s3", None), ("s4", Some("d"))]
        .into_iter()
        .map(|(name, cookie)| Server {
            name: name.into(),
            address: format!("{name}:80"),
            weight: 1,
            cookie: cookie.map(Into::into),
            labels: Vec::new(),
        })
        .collect()
}

/// The policy of options written as in haproxy.cfg: `insert indirect maxidle=60s`.
fn try_cookie(options: &str) -> Result<Cookie, Refusal> {
    let mut settings = Vec::new();
    for option in options.split_whitespace() {
        let (name, value) = match option.split_once('=') {
            None => (option, Value::Boolean(true)),
            Some((name @ ("maxidle" | "maxlife"), ms)) => {
                (name, Value::Integer(ms.parse().expect("milliseconds")))
            }
            Some((name @ ("domain" | "attr"), texts)) => {
                (name, Value::Texts(texts.split('+').map(Into::into).collect()))
            }
            Some((name, text)) => (name, Value::Text(text.into())),
        };
        settings.push((name.into(), value));
    }
    if !settings.iter().any(|(name, _)| name == "name") {
        settings.push(("name".to_string(), Value::Text("S".into())));
    }
    configure(&Settings::new(settings), &servers())
}

fn cookie(options: &str) -> Cookie {
    try_cookie(options).unwrap_or_else(|refusal| panic!("{options}: {refusal:?}"))
}

fn recall(cookie: &Cookie, value: &str) -> Affinity {
    let visit = Visit { value: value.into(), time_ms: NOW_MS, client: IpAddress::Ipv4((192, 0, 2, 7)) };
    cookie.recall(&visit, |server| server != 3)
}

fn reply(server: u32, standing: Standing, note: u64) -> Reply {
    Reply { server, standing, note, cacheable: false, sent: None, time_ms: NOW_MS }
}

/// The answer to a client without a cookie.
fn first_answer(cookie: &Cookie, server: u32) -> Amendment {
    cookie.respond(&reply(server, Standing::Absent, 0), || false)
}

/// The answer of server 0, or of the one that the value names, to a client that sent it.
fn answer_to(cookie: &Cookie, value: &str) -> (Standing, Amendment) {
    let affinity = recall(cookie, value);
    let reply = reply(affinity.server.unwrap_or(0), affinity.standing, affinity.note);
    (affinity.standing, cookie.respond(&reply, || false))
}

fn sets(line: &str) -> Vec<HeaderEdit> {
    vec![append("set-cookie", line.into())]
}

/// The date so many seconds from now.
fn date(offset_s: i64) -> String {
    let mut text = String::new();
    dates::push(&mut text, dates::at(NOW_MS.saturating_add_signed(offset_s * 1_000)));
    text
}

#[test]
fn insert_sets_the_cookie_of_the_server_that_answers() {
    let cookie = cookie("insert");
    assert_eq!(
        first_answer(&cookie, 1),
        Amendment { key: KeyEdit::Keep, headers: sets("S=b; path=/"), reusable_ms: FOREVER }
    );
}

#[test]
fn insert_expires_the_cookie_where_the_server_has_no_value() {
    let expected = sets("S=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/");
    assert_eq!(first_answer(&cookie("insert"), 2).headers, expected);
    let answer = cookie("insert").respond(&reply(2, Standing::Unknown, 0), || false);
    assert_eq!(answer.headers, expected);
}

#[test]
fn attributes_stand_in_the_order_of_haproxy() {
    let cookie = cookie("insert attr=SameSite=None+Foo secure domain=.a.com+b.com httponly");
    let line = "S=a; path=/; domain=.a.com; domain=b.com; HttpOnly; Secure; SameSite=None; Foo";
    assert_eq!(first_answer(&cookie, 0).headers, sets(line));
}

#[test]
fn a_valid_cookie_leads_to_its_server_and_is_not_set_again() {
    let (standing, answer) = answer_to(&cookie("insert"), "b");
    assert_eq!((standing, answer.headers), (Standing::Valid, vec![]));
    assert_eq!(recall(&cookie("insert"), "b").server, Some(1));
    assert_eq!(recall(&cookie("insert"), "b|x").server, Some(1), "whatever follows the mark");
}

#[test]
fn an_unknown_cookie_and_one_of_a_server_that_is_down_are_replaced() {
    for (value, expected) in [
        ("zz", Standing::Unknown),
        ("A", Standing::Unknown),
        ("d", Standing::Down),
        ("|x", Standing::Unknown),
    ] {
        let (standing, answer) = answer_to(&cookie("insert"), value);
        assert_eq!((standing, answer.headers), (expected, sets("S=a; path=/")), "{value}");
    }
}

#[test]
fn of_servers_that_share_a_value_the_first_usable_serves() {
    let mut servers = servers();
    servers[0].cookie = Some("d".into());
    servers[1].cookie = Some("d".into());
    let shared = configure(&Settings::new(vec![("name".into(), Value::Text("S".into()))]), &servers)
        .expect("it is fine");
    let visit = Visit { value: "d".into(), time_ms: NOW_MS, client: IpAddress::Ipv4((192, 0, 2, 7)) };
    assert_eq!(shared.recall(&visit, |_| true).server, Some(0));
    assert_eq!(shared.recall(&visit, |server| server == 1).server, Some(1));
    assert_eq!(shared.recall(&visit, |_| false).standing, Standing::Down);
}

#[test]
fn indirect_hides_the_cookie_from_the_server() {
    for value in ["a", "zz", "d", "a|"] {
        assert_eq!(recall(&cookie("insert indirect"), value).key, KeyEdit::Remove, "{value}");
        assert_eq!(recall(&cookie("insert"), value).key, KeyEdit::Keep, "{value}");
        assert_eq!(recall(&cookie("indirect"), value).key, KeyEdit::Keep, "{value}: only with insert");
    }
}

/// What becomes of a cookie that the server itself sets: for a client without one, and for one with a valid one.
#[test]
fn a_servers_own_cookie() {
    let replace = |value: &str| KeyEdit::Replace(value.into());
    for (options, server, absent, valid) in [
        ("insert", 0, KeyEdit::Remove, KeyEdit::Remove),
        ("insert", 2, KeyEdit::Remove, KeyEdit::Remove),
        ("insert preserve", 0, KeyEdit::Keep, KeyEdit::Keep),
        ("rewrite", 0, replace("a"), replace("a")),
        ("rewrite", 2, KeyEdit::Keep, KeyEdit::Keep),
        ("prefix", 0, replace("a~x"), replace("a~x")),
        ("prefix", 2, KeyEdit::Keep, KeyEdit::Keep),
        ("prefix indirect", 0, replace("a~x"), KeyEdit::Remove),
        ("indirect", 0, KeyEdit::Keep, KeyEdit::Remove),
        ("indirect preserve", 0, KeyEdit::Keep, KeyEdit::Keep),
        ("", 0, KeyEdit::Keep, KeyEdit::Keep),
    ] {
        let cookie = cookie(options);
        for (standing, expected) in [(Standing::Absent, absent), (Standing::Valid, valid)] {
            let reply = Reply { sent: Some("x".into()), ..reply(server, standing, 0) };
            assert_eq!(
                cookie.respond(&reply, || false).key,
                expected,
                "{options:?}, server {server}, {standing:?}"
            );
        }
    }
}

#[test]
fn preserve_lets_the_servers_cookie_stand_alone() {
    let reply = Reply { sent: Some("x".into()), ..reply(0, Standing::Absent, 0) };
    assert_eq!(cookie("insert preserve").respond(&reply, || false).headers, []);
    assert_eq!(cookie("insert").respond(&reply, || false).headers, sets("S=a; path=/"));
}

#[test]
fn prefix_takes_the_value_apart_again() {
    let cookie = cookie("prefix");
    for (value, server, key) in [
        ("a~q~r", Some(0), KeyEdit::Replace("q~r".into())),
        ("b~", Some(1), KeyEdit::Replace(String::new())),
        ("a", Some(0), KeyEdit::Keep),
        ("zz~q", None, KeyEdit::Replace("q".into())),
        ("~q", None, KeyEdit::Replace("q".into())),
        ("a|x", None, KeyEdit::Keep),
    ] {
        let affinity = recall(&cookie, value);
        assert_eq!((affinity.server, affinity.key), (server, key), "{value}");
    }
}

#[test]
fn nocache_marks_what_is_cacheable_and_sets_the_cookie() {
    let private = append("cache-control", "private".into());
    let cacheable = |standing| Reply { cacheable: true, ..reply(0, standing, 0) };
    let cookie = cookie("insert nocache");
    assert_eq!(cookie.respond(&cacheable(Standing::Absent), || false).headers[1..], [private]);
    assert_eq!(cookie.respond(&cacheable(Standing::Valid), || false).headers, []);
    assert_eq!(first_answer(&cookie, 0).headers.len(), 1);
}

#[test]
fn postonly_sets_the_cookie_on_answers_to_post() {
    let cookie = cookie("insert postonly");
    let absent = reply(0, Standing::Absent, 0);
    let to_get = cookie.respond(&absent, || false);
    assert_eq!((to_get.headers, to_get.reusable_ms), (vec![], 0));
    let to_post = cookie.respond(&absent, || true);
    assert_eq!((to_post.headers, to_post.reusable_ms), (sets("S=a; path=/"), 0));
    let own = Reply { sent: Some("x".into()), ..absent };
    assert_eq!(cookie.respond(&own, || false).key, KeyEdit::Remove);
}

#[test]
fn whom_a_value_names_holds_until_a_server_changes_unless_dates_or_the_servers_own_part_count() {
    for value in ["a", "b", "nobody", "a|x", "a|AAAAA", ""] {
        assert_eq!(recall(&cookie("insert indirect"), value).reusable_ms, FOREVER, "{value}");
    }
    let today = format!("a|{}", date(0));
    assert_eq!(recall(&cookie("insert maxidle=60000"), &today).reusable_ms, 0);
    assert_eq!(
        recall(&cookie("insert maxidle=60000"), "a").reusable_ms,
        FOREVER,
        "without a date it never ends"
    );
    assert_eq!(recall(&cookie("prefix"), "a~session").reusable_ms, 0);
}

#[test]
fn dates_are_written_and_hold_for_the_rest_of_their_unit() {
    let now = date(0);
    let idle = first_answer(&cookie("insert maxidle=60000"), 0);
    assert_eq!(idle.headers, sets(&format!("S=a|{now}; path=/")));
    assert_eq!(idle.reusable_ms, 1_000);
    let life = first_answer(&cookie("insert maxlife=60000"), 0);
    assert_eq!(life.headers, sets(&format!("S=a|{now}|{now}; path=/")));
}

/// By LAST and FIRST in seconds from now: the standing, and whether the cookie is set again.
#[test]
fn dates_are_judged_as_with_haproxy() {
    use Standing::{Expired, Old, Valid};
    type Case = (Option<i64>, Option<i64>, Standing, bool);
    let cases: [(&str, &[Case]); 4] = [
        (
            "insert",
            &[
                (None, None, Valid, false),
                (Some(0), None, Valid, false),
                (Some(-72), Some(-92), Valid, true),
                (None, Some(0), Valid, true),
            ],
        ),
        (
            "insert maxidle=60000",
            &[
                (None, None, Valid, true),
                (Some(-8), None, Valid, true),
                (Some(0), None, Valid, false),
                (Some(1_000), None, Valid, false),
                (Some(0), Some(-8), Valid, true),
                (Some(-72), None, Expired, true),
                (Some(864_000), None, Expired, true),
            ],
        ),
        (
            "insert maxlife=60000",
            &[
                (None, None, Valid, true),
                (None, Some(-8), Valid, false),
                (Some(-8), Some(-8), Valid, true),
                (Some(0), None, Valid, true),
                (Some(0), Some(-8), Valid, false),
                (Some(0), Some(-72), Old, true),
                (None, Some(-300), Old, true),
                (Some(0), Some(1_728_000), Old, true),
            ],
        ),
        (
            "insert maxidle=60000 maxlife=200000",
            &[
                (None, Some(0), Valid, true),
                (Some(0), Some(-92), Valid, false),
                (Some(-32), Some(-92), Valid, true),
                (Some(-72), Some(-92), Expired, true),
                (Some(-72), Some(-300), Old, true),
            ],
        ),
    ];
    for (options, cases) in cases {
        for (last, first, standing, is_set) in cases {
            let last = last.map_or(String::new(), date);
            let first = first.map_or(String::new(), |first| format!("|{}", date(first)));
            let (found, answer) = answer_to(&cookie(options), &format!("a|{last}{first}"));
            assert_eq!(
                (found, !answer.headers.is_empty()),
                (*standing, *is_set),
                "{options}: {last} {first}"
            );
        }
    }
}

#[test]
fn the_first_date_is_kept_until_it_is_too_old() {
    let cookie = cookie("insert maxidle=60000 maxlife=200000");
    let (now, recent, before) = (date(0), date(-32), date(-92));
    for (value, first) in [("a", &before), ("zz", &before), ("d", &before)] {
        let (_, answer) = answer_to(&cookie, &format!("{value}|{recent}|{before}"));
        assert_eq!(answer.headers, sets(&format!("S=a|{now}|{first}; path=/")), "{value}");
    }
    let (_, expired) = answer_to(&cookie, &format!("a|{}|{before}", date(-72)));
    assert_eq!(expired.headers, sets(&format!("S=a|{now}|{now}; path=/")));
}

#[test]
fn combinations_that_haproxy_refuses_are_refused_by_name() {
    for (options, setting) in [
        ("insert rewrite", "rewrite"),
        ("insert prefix", "prefix"),
        ("rewrite prefix", "prefix"),
        ("rewrite indirect", "indirect"),
        ("preserve", "preserve"),
        ("rewrite preserve", "preserve"),
        ("prefix preserve", "preserve"),
        ("insert attr=a;b", "attr"),
    ] {
        let refusal = try_cookie(options).err().and_then(|refusal| refusal.setting);
        assert_eq!(refusal.as_deref(), Some(setting), "{options}");
    }
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    for (options, setting) in [
        ("insert dynamic", "dynamic"),
        ("insert maxidle=500", "maxidle"),
        ("insert maxlife=-1000", "maxlife"),
        ("insert domain=a,b", "domain"),
        ("insert domain=a\u{7f}", "domain"),
        ("name=a;b", "name"),
        ("name=", "name"),
        ("name=é", "name"),
    ] {
        let refusal = try_cookie(options).err().and_then(|refusal| refusal.setting);
        assert_eq!(refusal.as_deref(), Some(setting), "{options}");
    }
}

#[test]
fn server_values_that_do_not_come_back_are_refused() {
    for (value, mode) in [
        ("", "insert"),
        ("a b", "insert"),
        ("a;b", "insert"),
        ("a|b", "insert"),
        ("a~b", "prefix"),
        ("a\n", "insert"),
    ] {
        let mut servers = servers();
        servers[0].cookie = Some(value.into());
        let settings = vec![("name".into(), Value::Text("S".into())), (mode.into(), Value::Boolean(true))];
        let refusal = configure(&Settings::new(settings), &servers)
            .err()
            .unwrap_or_else(|| panic!("{value:?} was accepted"));
        assert_eq!(refusal.setting, None);
        assert!(refusal.message.contains("server s1"), "{}", refusal.message);
    }
}

#[test]
fn dynamic_gives_values_to_servers_without_one() {
    let cookie = cookie("insert dynamic dynamic_key=secret");
    assert_eq!(cookie.values[0].as_deref(), Some("a"));
    assert_eq!(recall(&cookie, &crate::dynamic::value("secret", "s3:80")).server, Some(2));
}

proptest! {
    /// What goes out comes back to the same server, in every mode that sets the cookie.
    #[test]
    fn a_cookie_leads_back(
        mode in prop::sample::select(vec!["insert", "insert maxidle=60000", "insert maxlife=60000", "rewrite", "prefix"]),
        server in 0_u32..2,
        own in "[a-z~|=]{0,9}",
    ) {
        let cookie = cookie(mode);
        let sent = (!mode.starts_with("insert")).then_some(own);
        let answer = cookie.respond(&Reply { sent, ..reply(server, Standing::Absent, 0) }, || false);
        let value = match (&answer.key, answer.headers.first()) {
            (KeyEdit::Replace(value), _) => value.clone(),
            (_, Some(HeaderEdit::Append(header))) => {
                let (pair, _) = header.value.split_once(';').expect("attributes");
                pair.strip_prefix("S=").expect("the name").to_string()
            }
            other => panic!("nothing was set: {other:?}"),
        };
        prop_assert_eq!(recall(&cookie, &value).server, Some(server));
    }

    #[test]
    fn hostile_values_are_survived(
        options in prop::sample::select(vec!["insert indirect maxidle=60000 maxlife=90000", "rewrite", "prefix", ""]),
        value in any::<String>(),
        time_ms: u64,
        note: u64,
        server: u32,
    ) {
        let cookie = cookie(options);
        let visit = Visit { value: value.clone(), time_ms, client: IpAddress::Ipv4((192, 0, 2, 7)) };
        let affinity = cookie.recall(&visit, |_| true);
        prop_assert!(affinity.server.is_none_or(|server| server < 4));
        let reply = Reply { sent: Some(value), time_ms, ..reply(server, affinity.standing, note) };
        cookie.respond(&reply, || true);
    }
}
