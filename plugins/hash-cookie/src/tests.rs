use lb_policy::{
    Value,
    testing::{Request, START_MS, Scene, servers},
};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "correct horse battery staple, and more";

fn scene(settings: &[(&str, Value)]) -> Scene<HashCookie> {
    try_scene(settings).expect("good settings")
}

fn try_scene(settings: &[(&str, Value)]) -> Result<Scene<HashCookie>, Refusal> {
    let mut all = vec![("name", "id".into()), ("secret", SECRET.into())];
    all.retain(|(name, _)| !settings.iter().any(|(other, _)| name == other));
    all.extend(settings.iter().cloned());
    Scene::new(servers(&[1, 1, 1]), &all)
}

/// The value that a client gets with an answer of `server`.
fn value(scene: &mut Scene<HashCookie>, server: u32) -> String {
    let amendment = scene.respond(&Request::get("/"), server, None);
    let [HeaderEdit::Append(header)] = &amendment.headers[..] else { panic!("{amendment:?}") };
    let pair = header.value.split(';').next().expect("a pair");
    pair.strip_prefix("id=").expect("the cookie").into()
}

#[test]
fn a_client_comes_back_by_a_value_that_names_nobody() {
    let mut scene = scene(&[]);
    let values = [0, 1, 2].map(|server| value(&mut scene, server));
    for (server, value) in (0..).zip(&values) {
        assert_eq!(value.len(), 32);
        assert!(!value.contains(&format!("s{server}")));
        let request = Request::get("/").cookie("id", value);
        let affinity = scene.recall(&request).expect("a key");
        assert_eq!((affinity.server, affinity.standing), (Some(server), Standing::Valid));
        assert_eq!(affinity.key, KeyEdit::Remove);
        assert!(scene.respond(&request, server, Some(&affinity)).headers.is_empty());
    }
    scene.down(1);
    let affinity = scene.recall(&Request::get("/").cookie("id", &values[1])).expect("a key");
    assert_eq!((affinity.server, affinity.standing), (None, Standing::Down));
}

#[test]
fn secrets_and_cookie_names_make_other_values() {
    let values = [
        value(&mut scene(&[]), 0),
        value(&mut scene(&[("secret", "another secret that is long enough".into())]), 0),
        value(&mut scene(&[]), 1),
    ];
    assert!(values[0] != values[1] && values[0] != values[2]);
    assert_eq!(values[0], value(&mut scene(&[("nocache", false.into())]), 0), "the same on another balancer");
    let mut other = scene(&[("name", "other".into())]);
    let line = format!("{:?}", other.respond(&Request::get("/"), 0, None));
    assert!(line.contains("other=") && !line.contains(&values[0]));
}

#[test]
fn a_secret_that_could_be_guessed_is_refused() {
    for secret in ["", "short", "0123456789012345678901234567890", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
    {
        let refusal = try_scene(&[("secret", secret.into())]).expect_err("refused");
        assert_eq!(refusal.setting.as_deref(), Some("secret"));
        assert!(secret.is_empty() || !refusal.message.contains(secret));
    }
    assert!(try_scene(&[("secret", "01234567890123456789012345678901".into())]).is_ok());
}

#[test]
fn a_line_has_the_attributes_and_caches_are_told() {
    let mut scene = scene(&[("httponly", true.into()), ("nocache", true.into())]);
    let amendment = scene.respond(&Request::get("/"), 0, None);
    let [HeaderEdit::Append(cookie), HeaderEdit::Append(cache)] = &amendment.headers[..] else {
        panic!("{amendment:?}")
    };
    assert!(cookie.value.ends_with("; path=/; HttpOnly"), "{}", cookie.value);
    assert_eq!((cache.name.as_str(), cache.value.as_str()), ("cache-control", "private"));
    assert_eq!(amendment.reusable_ms, FOREVER);
}

#[test]
fn a_cookie_of_the_servers_own_is_removed() {
    let mut scene = scene(&[]);
    let reply = Reply {
        server: 0,
        standing: Standing::Valid,
        note: 0,
        cacheable: false,
        sent: Some("x".into()),
        time_ms: START_MS,
    };
    let amendment = scene.respond_to(&Request::get("/"), reply);
    assert_eq!((amendment.key, amendment.headers.len()), (KeyEdit::Remove, 0));
}

proptest! {
    #[test]
    fn values_survive_writing_and_reading(text: String) {
        let token = Token::new(b"key", &text);
        prop_assert_eq!(Token::parse(&token.to_text()), Some(token));
        prop_assert_eq!(token.to_text().len(), 32);
    }

    #[test]
    fn made_up_values_name_nobody(value in "[0-9a-f]{32}|.*") {
        let affinity = scene(&[]).recall(&Request::get("/").cookie("id", &value)).expect("a key");
        prop_assert_eq!((affinity.server, affinity.standing), (None, Standing::Unknown));
    }

    #[test]
    fn a_token_is_found_wherever_it_is(count in 1_usize..50, at in any::<prop::sample::Index>()) {
        let tokens: Vec<Token> = (0..count).map(|number| Token::new(b"key", &number.to_string())).collect();
        let at = at.index(count);
        prop_assert_eq!(tokens[at].position(&tokens), Some(at as u32));
        prop_assert_eq!(Token::new(b"other", "0").position(&tokens), None);
    }
}

/// Test cases 1, 2 and 6 of RFC 4231, cut to 128 bits: a short key, a text for a key, a key longer than a block.
#[test]
fn tokens_are_the_codes_of_the_rfc() {
    for (key, text, code) in [
        (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
        (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
        (
            &[0xaa; 131],
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f",
        ),
    ] {
        assert_eq!(Token::new(key, text).to_text(), code);
    }
}
