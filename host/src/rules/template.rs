//! Values with variables in them: `https://${host}${path}`. Taken apart when the configuration is read.

use std::io::Write;

use super::facts::Facts;

/// A value, in pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Variable(Variable),
    Header(Box<str>),
    Cookie(Box<str>),
    Parameter(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    Src,
    SrcPort,
    Dst,
    DstPort,
    Host,
    Authority,
    Method,
    Path,
    Query,
    Url,
    Scheme,
    TlsVersion,
    TlsCipher,
    TlsSni,
    TlsClient,
    RequestId,
}

/// The variables that a template may have, besides `header:NAME`, `cookie:NAME` and `query:NAME`.
pub const VARIABLES: &[&str] = &[
    "src",
    "src_port",
    "dst",
    "dst_port",
    "host",
    "authority",
    "method",
    "path",
    "query",
    "url",
    "scheme",
    "tls_version",
    "tls_cipher",
    "tls_sni",
    "tls_client",
    "request_id",
];

const ALL: [Variable; 16] = [
    Variable::Src,
    Variable::SrcPort,
    Variable::Dst,
    Variable::DstPort,
    Variable::Host,
    Variable::Authority,
    Variable::Method,
    Variable::Path,
    Variable::Query,
    Variable::Url,
    Variable::Scheme,
    Variable::TlsVersion,
    Variable::TlsCipher,
    Variable::TlsSni,
    Variable::TlsClient,
    Variable::RequestId,
];

impl Template {
    /// Takes a text apart. `$${` stands for `${` itself.
    ///
    /// # Errors
    /// The name that is no variable's; empty where a brace is never closed.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                plain.push_str(&rest[..at - 1]);
                plain.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let (name, after) = rest[at + 2..].split_once('}').ok_or_else(String::new)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
            }
            pieces.push(Piece::parse(name).ok_or_else(|| name.to_owned())?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain.into()));
        }
        Ok(Template(pieces))
    }

    /// The text that stands in it, without what variables put there.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(&**text),
            _ => None,
        })
    }

    /// Whether its first bytes are the same for each request.
    pub(super) fn begins_with_text(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Text(_)))
    }

    pub(super) fn asks_for_local(&self) -> bool {
        self.has(Variable::Dst) || self.has(Variable::DstPort)
    }

    pub(super) fn asks_for_request_id(&self) -> bool {
        self.has(Variable::RequestId)
    }

    fn has(&self, variable: Variable) -> bool {
        self.0.contains(&Piece::Variable(variable))
    }

    /// Appends the value for a request. What a client put in can neither end a line nor begin one.
    pub fn render(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            let start = out.len();
            match piece {
                Piece::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Piece::Variable(variable) => variable.render(facts, out),
                Piece::Header(name) => {
                    out.extend_from_slice(facts.headers(name).next().unwrap_or_default());
                }
                Piece::Cookie(name) => {
                    out.extend_from_slice(facts.head.cookie(name.as_bytes()).unwrap_or_default());
                }
                Piece::Parameter(name) => {
                    out.extend_from_slice(facts.parameter(name.as_bytes()).unwrap_or_default());
                }
            }
            for byte in &mut out[start..] {
                if byte.is_ascii_control() {
                    *byte = b' ';
                }
            }
        }
    }
}

impl Piece {
    fn parse(name: &str) -> Option<Piece> {
        match name.split_once(':') {
            Some((_, "")) => None,
            Some(("header", name)) => Some(Piece::Header(name.into())),
            Some(("cookie", name)) => Some(Piece::Cookie(name.into())),
            Some(("query", name)) => Some(Piece::Parameter(name.into())),
            Some(_) => None,
            None => {
                let index = VARIABLES.iter().position(|known| *known == name)?;
                ALL.get(index).copied().map(Piece::Variable)
            }
        }
    }
}

impl Variable {
    fn render(self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let tls = facts.tls.unwrap_or_default();
        let text = match self {
            Variable::Src => return display(facts.client.map(|client| client.ip()), out),
            Variable::SrcPort => return display(facts.client.map(|client| client.port()), out),
            Variable::Dst => return display(facts.local.map(|local| local.ip()), out),
            Variable::DstPort => return display(facts.local.map(|local| local.port()), out),
            Variable::Url => return facts.head.write_url(out),
            Variable::RequestId => return display(Some(format_args!("{:032x}", facts.request_id)), out),
            Variable::Host => facts.host,
            Variable::Authority => facts.head.authority(),
            Variable::Method => facts.head.method(),
            Variable::Path if !facts.head.has_path() => b"",
            Variable::Path => facts.path,
            Variable::Query => facts.query.unwrap_or_default(),
            Variable::Scheme if facts.tls.is_some() => b"https",
            Variable::Scheme => b"http",
            Variable::TlsVersion => tls.version.as_bytes(),
            Variable::TlsCipher => tls.cipher.as_bytes(),
            Variable::TlsSni => tls.sni.as_bytes(),
            Variable::TlsClient => tls.client.map_or("", |certificate| certificate.subject).as_bytes(),
        };
        out.extend_from_slice(text);
    }
}

fn display(value: Option<impl std::fmt::Display>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        // Writing to memory does not fail.
        let _ = write!(out, "{value}");
    }
}
