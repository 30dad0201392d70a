//! `log_format`: HAProxy's log-format strings, taken apart into pieces once, when the file is read.

use super::model::{Captures, Field, Flags, LogLine, Piece};
use super::read::is_token;
use super::section::{Complaint, Value};
use crate::suggest;

/// Variables by their names.
const VARIABLES: &[(&str, Field)] = &[
    ("ci", Field::ClientIp),
    ("cp", Field::ClientPort),
    ("fi", Field::FrontendIp),
    ("fp", Field::FrontendPort),
    ("si", Field::ServerIp),
    ("sp", Field::ServerPort),
    ("f", Field::Frontend),
    ("ft", Field::FrontendTransport),
    ("b", Field::Backend),
    ("s", Field::Server),
    ("t", Field::Date),
    ("tr", Field::Date),
    ("T", Field::DateUtc),
    ("trg", Field::DateUtc),
    ("Tl", Field::DateLocal),
    ("trl", Field::DateLocal),
    ("Ts", Field::Seconds),
    ("ms", Field::Milliseconds),
    ("TR", Field::RequestTime),
    ("Tw", Field::QueueTime),
    ("Tc", Field::ConnectTime),
    ("Tr", Field::ResponseTime),
    ("Td", Field::DataTime),
    ("Ta", Field::TotalTime),
    ("ST", Field::Status),
    ("B", Field::Bytes),
    ("U", Field::Uploaded),
    ("ts", Field::Termination),
    ("tsc", Field::TerminationAndCookie),
    ("CC", Field::RequestCookie),
    ("CS", Field::ResponseCookie),
    ("ac", Field::ProcessConnections),
    ("fc", Field::FrontendConnections),
    ("bc", Field::BackendConnections),
    ("sc", Field::ServerConnections),
    ("rc", Field::Retries),
    ("sq", Field::ServerQueue),
    ("bq", Field::BackendQueue),
    ("hr", Field::RequestCaptures),
    ("hrl", Field::RequestCaptureList),
    ("hs", Field::ResponseCaptures),
    ("hsl", Field::ResponseCaptureList),
    ("r", Field::RequestLine),
    ("HM", Field::Method),
    ("HU", Field::Uri),
    ("HP", Field::Path),
    ("HPO", Field::PathOnly),
    ("HQ", Field::Query),
    ("HV", Field::Version),
    ("sslv", Field::TlsVersion),
    ("sslc", Field::TlsCipher),
    ("H", Field::HostName),
    ("pid", Field::ProcessId),
];

/// Sample fetches without an argument.
const FETCHES: &[(&str, Field)] = &[
    ("src", Field::ClientIp),
    ("src_port", Field::ClientPort),
    ("dst", Field::FrontendIp),
    ("dst_port", Field::FrontendPort),
    ("fe_name", Field::Frontend),
    ("be_name", Field::Backend),
    ("srv_name", Field::Server),
    ("method", Field::Method),
    ("url", Field::Uri),
    ("path", Field::PathOnly),
    ("query", Field::QueryOnly),
    ("req.ver", Field::VersionNumber),
    ("status", Field::Status),
    ("ssl_fc", Field::IsTls),
    ("ssl_fc_protocol", Field::TlsVersion),
    ("ssl_fc_cipher", Field::TlsCipher),
    ("ssl_fc_sni", Field::TlsName),
    ("ssl_fc_alpn", Field::TlsProtocol),
    ("ssl_c_s_dn", Field::TlsClient),
    ("hostname", Field::HostName),
    ("pid", Field::ProcessId),
];

/// Sample fetches with one.
const CALLS: [&str; 4] = ["req.hdr", "res.hdr", "capture.req.hdr", "capture.res.hdr"];

/// What HAProxy has and this program does not, each with what to write instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Tq", "write `%TR`: waiting for a request is no part of it"),
    ("Tt", "write `%Ta`, which leaves out the wait for the request"),
    ("Tu", "write `%Ta`, which leaves out the wait for the request"),
    ("Th", "leave it out"),
    ("Ti", "leave it out"),
    ("ID", "capture the header that carries the request's identity, and write `%[capture.req.hdr(0)]`"),
    ("rt", "leave it out"),
    ("lc", "leave it out"),
    ("bi", "leave it out: addresses towards servers are the kernel's choice"),
    ("bp", "leave it out: ports towards servers are the kernel's choice"),
    ("o", "it sets flags for all that follow: write them, as in `%{+Q}o`"),
];

/// The `log_format` of a frontend or of `[defaults]`: `http`, `json`, or a string with variables.
pub(super) fn read(value: Value<'_>) -> Option<LogLine> {
    match value.text()? {
        "http" => Some(LogLine::Http),
        "json" => Some(LogLine::Json),
        text if text.contains('%') => value.accept(parse(text)).map(|pieces| LogLine::Pattern(pieces.into())),
        text => {
            let help = match suggest::nearest(text, ["http", "json"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write `http`, `json`, or variables, as in `%ci:%cp [%tr] %ST %{+Q}r`".to_owned(),
            };
            value.refuse(Complaint::new(format!("`{text}` is not a log format"), help));
            None
        }
    }
}

/// A complaint where a piece asks for a capture that there is none of.
pub(super) fn missing_capture(line: &LogLine, captures: &Captures) -> Option<Complaint> {
    let LogLine::Pattern(pieces) = line else { return None };
    pieces.iter().find_map(|piece| {
        let (side, index, count) = match piece {
            Piece::Field(Field::RequestCapture(index), _) => ("request", *index, captures.request.len()),
            Piece::Field(Field::ResponseCapture(index), _) => ("response", *index, captures.response.len()),
            _ => return None,
        };
        (index >= count).then(|| {
            let message = format!("there is no capture {index} of the {side}'s headers");
            let help = match count {
                0 => format!("add one, as in `capture = {{ {side} = [\"user-agent\"] }}`"),
                _ => format!("they are numbered from 0; the last is {}", count - 1),
            };
            Complaint::new(message, help)
        })
    })
}

fn parse(text: &str) -> Result<Vec<Piece>, Complaint> {
    let mut pieces = Vec::new();
    let mut defaults = Flags::default();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == ' ' {
            flush(&mut plain, &mut pieces);
            pieces.push(Piece::Space);
            rest = rest.trim_start_matches(' ');
        } else if let Some(after) = rest.strip_prefix("%%") {
            plain.push('%');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('%') {
            flush(&mut plain, &mut pieces);
            let (flags, after) = flags(after, defaults)?;
            rest = match after.strip_prefix('[') {
                Some(after) => {
                    let end = end_of_fetch(after).ok_or_else(|| unended("[", "]"))?;
                    pieces.push(Piece::Field(fetch(&after[..end])?, flags));
                    &after[end + 1..]
                }
                None => {
                    let length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
                    let name = &after[..length];
                    if name == "o" && flags != defaults {
                        defaults = flags;
                    } else {
                        pieces.push(Piece::Field(variable(name)?, flags));
                    }
                    &after[length..]
                }
            };
        } else if first.is_control() {
            return Err(Complaint::from("a log line has no control characters".to_owned()));
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    flush(&mut plain, &mut pieces);
    Ok(pieces)
}

fn flush(plain: &mut String, pieces: &mut Vec<Piece>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain).into_bytes().into()));
    }
}

fn unended(open: &str, close: &str) -> Complaint {
    Complaint::from(format!("`%{open}` has no `{close}` after it"))
}

/// Where a fetch ends; a header's name may be quoted, and then have a `]`.
fn end_of_fetch(text: &str) -> Option<usize> {
    text.find(']')
}

/// The flags in braces, if there are any, and what follows them.
fn flags(text: &str, mut flags: Flags) -> Result<(Flags, &str), Complaint> {
    let Some(inside) = text.strip_prefix('{') else { return Ok((flags, text)) };
    let (list, after) = inside.split_once('}').ok_or_else(|| unended("{", "}"))?;
    for flag in list.split(',').map(str::trim) {
        let (on, name) = match (flag.strip_prefix('+'), flag.strip_prefix('-')) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => {
                let message = format!("`{flag}` is not a flag");
                return Err(Complaint::new(message, "a flag has its sign before it, as in `%{+Q}r`"));
            }
        };
        match name {
            "Q" => flags.quote = on,
            "X" => flags.hex = on,
            "E" => flags.escape = on,
            _ => {
                let message = format!("`{flag}` is not a flag");
                return Err(Complaint::new(message, suggest::help(name, ["Q", "X", "E"])));
            }
        }
    }
    Ok((flags, after))
}

fn variable(name: &str) -> Result<Field, Complaint> {
    if let Some((_, field)) = VARIABLES.iter().find(|(variable, _)| *variable == name) {
        return Ok(field.clone());
    }
    if name.is_empty() {
        return Err(Complaint::new("`%` has no variable after it", "write `%%` for the sign itself"));
    }
    if let Some((_, help)) = ELSEWHERE.iter().find(|(variable, _)| *variable == name) {
        return Err(Complaint::new(format!("`%{name}` is not supported"), *help));
    }
    let folded = VARIABLES.iter().map(|(variable, _)| *variable);
    // Many names are two letters long: one that differs in capitals alone is the likeliest.
    let meant = folded.clone().find(|variable| variable.eq_ignore_ascii_case(name));
    let help = match meant.or_else(|| suggest::nearest(name, folded)) {
        Some(meant) => format!("did you mean `%{meant}`?"),
        None => "docs/logging.md lists the variables".to_owned(),
    };
    Err(Complaint::new(format!("`%{name}` is not a variable of log-format"), help))
}

fn fetch(text: &str) -> Result<Field, Complaint> {
    if let Some((_, field)) = FETCHES.iter().find(|(fetch, _)| *fetch == text) {
        return Ok(field.clone());
    }
    let (name, argument) = match text.split_once('(') {
        Some((name, rest)) => {
            let argument = rest.strip_suffix(')').ok_or_else(|| {
                Complaint::new(
                    format!("`%[{text}]` does not end with its argument"),
                    "converters are not supported",
                )
            })?;
            (name, argument.trim_matches(['"', '\'']))
        }
        None => (text, ""),
    };
    let header = || match is_token(argument) {
        true => Ok(argument.to_ascii_lowercase().into()),
        false => Err(Complaint::new(
            format!("`%[{text}]` names no header"),
            format!("write its name between the brackets, as in `%[{name}(user-agent)]`"),
        )),
    };
    let number = || {
        argument.parse().map_err(|_| {
            let help = format!("captures are numbered from 0, as in `%[{name}(0)]`");
            Complaint::new(format!("`%[{text}]` has no number"), help)
        })
    };
    match name {
        "req.hdr" => header().map(Field::RequestHeader),
        "res.hdr" => header().map(Field::ResponseHeader),
        "capture.req.hdr" => number().map(Field::RequestCapture),
        "capture.res.hdr" => number().map(Field::ResponseCapture),
        _ => {
            let known = FETCHES.iter().map(|(fetch, _)| *fetch).chain(CALLS);
            let help = match suggest::nearest(name, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "docs/logging.md lists those that there are".to_owned(),
            };
            Err(Complaint::new(format!("`{name}` is not a sample fetch that a log line can have"), help))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(text: &str) -> String {
        let complaint = parse(text).expect_err("it is wrong");
        format!("{}; {}", complaint.message, complaint.help)
    }

    #[test]
    fn a_string_becomes_pieces() {
        let pieces = parse("%ci:%cp  %{+Q}r%%x").expect("it is right");
        let plain = Flags::default();
        assert_eq!(
            pieces,
            [
                Piece::Field(Field::ClientIp, plain),
                Piece::Text((*b":").into()),
                Piece::Field(Field::ClientPort, plain),
                Piece::Space,
                Piece::Field(Field::RequestLine, Flags { quote: true, ..plain }),
                Piece::Text((*b"%x").into()),
            ]
        );
    }

    #[test]
    fn flags_of_o_hold_for_all_that_follow() {
        let pieces = parse("%{+Q,+X}o%f%{-Q}b%{+E}[req.hdr(Host)]").expect("it is right");
        let both = Flags { quote: true, hex: true, escape: false };
        assert_eq!(
            pieces,
            [
                Piece::Field(Field::Frontend, both),
                Piece::Field(Field::Backend, Flags { quote: false, ..both }),
                Piece::Field(Field::RequestHeader("host".into()), Flags { escape: true, ..both }),
            ]
        );
    }

    #[test]
    fn slips_find_what_was_meant() {
        assert_eq!(complaint("%CI"), "`%CI` is not a variable of log-format; did you mean `%ci`?");
        assert!(complaint("%Tq").starts_with("`%Tq` is not supported; write `%TR`"));
        assert!(complaint("%[ssl_fc_protcol]").ends_with("did you mean `ssl_fc_protocol`?"));
        assert!(complaint("100%").ends_with("write `%%` for the sign itself"));
        assert!(complaint("%{+Q").contains("`%{` has no `}`"));
        assert!(complaint("%[src").contains("`%[` has no `]`"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,80}") {
            let _ = parse(&text);
            let _ = parse(&format!("%{text}"));
            let _ = parse(&format!("%[{text}]%{{{text}}}r"));
        }
    }
}
