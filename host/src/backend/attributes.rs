//! What persistence's own cookies are given over TLS, beside what the policy writes.

use crate::config::model::{PolicySource, PolicySpec, RawValue};

/// Over TLS, the cookies that the built-in policy inserts are `HttpOnly` and `Secure`, unless its settings say
/// something of that themselves.
pub(super) fn cookie_attributes(spec: &PolicySpec) -> &'static [u8] {
    let unsaid = |name: &str| {
        let said = spec.settings.iter().find(|setting| setting.name == name);
        said.is_none_or(|setting| !matches!(setting.value, RawValue::Boolean(_)))
    };
    if spec.source != PolicySource::BuiltIn("cookie".to_owned()) {
        return b"";
    }
    match (unsaid("httponly"), unsaid("secure")) {
        (true, true) => b"; HttpOnly; Secure",
        (true, false) => b"; HttpOnly",
        (false, true) => b"; Secure",
        (false, false) => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_settings_say_of_a_cookie_wins() {
        let spec = |policy: &str, settings: &[(&str, bool)]| {
            let setting = |(name, value): &(&str, bool)| crate::config::model::RawSetting {
                name: (*name).into(),
                name_span: 0..1,
                value: RawValue::Boolean(*value),
                value_span: 0..1,
            };
            cookie_attributes(&PolicySpec {
                source: PolicySource::BuiltIn(policy.into()),
                instances: crate::config::model::Instances::PerWorker,
                settings: settings.iter().map(setting).collect(),
                span: 0..1,
            })
        };
        assert_eq!(spec("cookie", &[]), b"; HttpOnly; Secure");
        assert_eq!(spec("cookie", &[("secure", true), ("insert", true)]), b"; HttpOnly");
        assert_eq!(spec("cookie", &[("httponly", false)]), b"; Secure");
        assert_eq!(spec("cookie", &[("httponly", false), ("secure", false)]), b"");
        assert_eq!(spec("hash-cookie", &[]), b"");
    }
}
