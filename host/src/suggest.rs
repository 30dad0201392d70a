//! "Did you mean": the known name that is nearest to one that is not known.

/// How alike two names have to be, from 0 to 1, for one to be offered in place of the other. Low enough that
/// `backend_servers` finds `flask_servers`, high enough that unrelated words find nothing.
const ALIKE: f64 = 0.5;

/// The one of `known` that `name` was most likely meant to be.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate)
}

/// What to say about an unknown `name`: the nearest of `known`, or else all of them. Empty if there are none.
pub fn help<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(nearest) = nearest(name, known.clone()) {
        return format!("did you mean `{nearest}`?");
    }
    let known: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    match &*known {
        [] => String::new(),
        [only] => format!("there is only {only}"),
        [most @ .., last] => format!("there are {} and {last}", most.join(", ")),
    }
}

/// HAProxy's keywords have hyphens where keys here have underscores; neither they nor capitals matter.
fn fold(name: &str) -> String {
    name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        assert_eq!(nearest("backend_servers", ["api", "flask_servers"]), Some("flask_servers"));
        assert_eq!(nearest("http-request", ["http_request", "client"]), Some("http_request"));
        assert_eq!(nearest("rise", ["wire", "raise"]), Some("raise"));
    }

    #[test]
    fn an_unrelated_word_finds_nothing_and_lists_what_there_is() {
        assert_eq!(nearest("grpc", ["mode", "balance"]), None);
        assert_eq!(help("grpc", ["mode", "balance"]), "there are `mode` and `balance`");
        assert_eq!(help("grpc", ["mode"]), "there is only `mode`");
        assert_eq!(help("grpc", []), "");
    }
}
