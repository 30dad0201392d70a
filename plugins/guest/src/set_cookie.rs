//! What policies that set a cookie have in common: its name, its attributes, and what may not stand in them.

use alloc::string::String;

use crate::{Refusal, Setting, Settings};

/// The settings of the attributes.
pub fn settings() -> [Setting; 4] {
    [
        Setting::boolean("httponly", "Insert the cookie with HttpOnly.").default(false),
        Setting::boolean("secure", "Insert the cookie with Secure.").default(false),
        Setting::texts("domain", "Insert the cookie with these domains."),
        Setting::texts("attr", "Insert the cookie with these further attributes, such as SameSite=Lax."),
    ]
}

/// The cookie's name, of the setting `name`.
///
/// # Errors
/// Where it is none.
pub fn name(settings: &Settings) -> Result<String, Refusal> {
    let name = settings.text("name");
    if name.is_empty() || !name.bytes().all(is_of_a_token) {
        let message = "the name of a cookie is made of letters, digits and any of !#$%&'*+-.^_`|~";
        return Err(Refusal::of("name", message));
    }
    Ok(name.into())
}

/// What follows the value in a line that sets the cookie, in HAProxy's order.
///
/// # Errors
/// Where a domain or an attribute could not stand there.
pub fn attributes(settings: &Settings) -> Result<String, Refusal> {
    let (domains, attrs) = (settings.texts("domain"), settings.texts("attr"));
    if domains.iter().any(|domain| domain.is_empty() || domain.bytes().any(breaks_a_value)) {
        let message = "a domain may not be empty or have spaces, commas, semicolons or control characters";
        return Err(Refusal::of("domain", message));
    }
    if attrs.iter().any(|attr| attr.is_empty() || attr.bytes().any(breaks_a_line)) {
        let message = "an attribute may not be empty or have semicolons or control characters";
        return Err(Refusal::of("attr", message));
    }
    let mut text = String::from("; path=/");
    for domain in domains {
        text.push_str("; domain=");
        text.push_str(domain);
    }
    for (name, attribute) in [("httponly", "; HttpOnly"), ("secure", "; Secure")] {
        if settings.boolean(name) {
            text.push_str(attribute);
        }
    }
    for attr in attrs {
        text.push_str("; ");
        text.push_str(attr);
    }
    Ok(text)
}

/// RFC 9110, section 5.6.2.
pub fn is_of_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a byte would end an attribute.
pub fn breaks_a_line(byte: u8) -> bool {
    byte == b';' || byte.is_ascii_control()
}

/// Whether a byte would end a value.
pub fn breaks_a_value(byte: u8) -> bool {
    breaks_a_line(byte) || byte == b' ' || byte == b','
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::Value;

    #[test]
    fn attributes_are_in_haproxys_order() {
        let settings = Settings::new(vec![
            ("attr".into(), ["SameSite=Lax"][..].into()),
            ("domain".into(), ["a.example", "b.example"][..].into()),
            ("secure".into(), true.into()),
            ("httponly".into(), true.into()),
        ]);
        let line = "; path=/; domain=a.example; domain=b.example; HttpOnly; Secure; SameSite=Lax";
        assert_eq!(attributes(&settings).expect("good ones"), line);
    }

    #[test]
    fn what_would_end_a_line_is_refused() {
        let wrong: [(&str, Value); 4] = [
            ("domain", ["a,b"][..].into()),
            ("domain", [""][..].into()),
            ("attr", ["a;b"][..].into()),
            ("attr", ["a\r\n"][..].into()),
        ];
        for (setting, value) in wrong {
            let settings = Settings::new(vec![(setting.into(), value)]);
            assert_eq!(attributes(&settings).expect_err("it is refused").setting.as_deref(), Some(setting));
        }
        for text in ["", "a b", "a=b", "é"] {
            assert!(name(&Settings::new(vec![("name".into(), text.into())])).is_err(), "{text}");
        }
    }
}
