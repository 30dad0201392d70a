//! Certificates and private keys, read from PEM files; what they are for, and how long they hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use crate::config::model::tls::CertificateFile;

/// What lies beside certificates in a directory and is none.
const BESIDE: [&str; 5] = ["key", "issuer", "ocsp", "sctl", "dh"];
/// How to come by a certificate of version 3: OpenSSL makes one of version 1 where it is given no extension.
pub(super) const VERSION_HELP: &str = "have it made anew with an extension, as in `openssl x509 -req -extfile <(echo subjectAltName=DNS:example.org) …`";
/// The most of a file that is read: a bundle of every public authority takes a quarter of a megabyte.
const MAX_BYTES: u64 = 16 << 20;

/// Why a file cannot be used.
#[derive(Debug)]
pub(super) struct Unusable {
    /// What is wrong: lower case, no full stop.
    pub(super) message: String,
    /// What to do; may be empty.
    pub(super) help: String,
}

impl Unusable {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Unusable {
        Unusable { message: message.into(), help: help.into() }
    }
}

/// A certificate that can serve.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The file that it came from.
    pub(super) path: PathBuf,
    /// The chain and the private key.
    pub(super) key: Arc<CertifiedKey>,
    /// The hosts that it is for, in lower case; wildcards begin with `*.`.
    pub(super) names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(super) not_after: i64,
}

/// Reads a certificate, or those of a directory in the order of their names.
pub(super) fn read_all(file: &CertificateFile) -> Result<Vec<Certificate>, Unusable> {
    if !file.path.is_dir() {
        return Ok(vec![read(&file.path, file.key.as_deref())?]);
    }
    if file.key.is_some() {
        let message = format!("`{}` is a directory, and has no one private key", file.path.display());
        return Err(Unusable::new(message, "put each key into the file of its certificate, or beside it"));
    }
    let files = in_directory(&file.path)?;
    if files.is_empty() {
        let message = format!("there is no certificate in `{}`", file.path.display());
        return Err(Unusable::new(message, "put PEM files there, each with a chain and its private key"));
    }
    files.iter().map(|path| read(path, None)).collect()
}

/// The files of a directory that should be certificates, sorted.
pub(super) fn in_directory(path: &Path) -> Result<Vec<PathBuf>, Unusable> {
    let failed = |error: std::io::Error| {
        Unusable::new(format!("cannot read the directory `{}`: {error}", path.display()), "")
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let beside = path.extension().is_some_and(|extension| BESIDE.iter().any(|known| extension == *known));
        if !hidden && !beside && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The files in which a private key that is not in the certificate's own file may be.
pub(super) fn keys_beside(path: &Path) -> [PathBuf; 2] {
    let mut appended = path.as_os_str().to_owned();
    appended.push(".key");
    [appended.into(), path.with_extension("key")]
}

/// Reads a chain and its private key.
pub(super) fn read(path: &Path, key: Option<&Path>) -> Result<Certificate, Unusable> {
    let shown = path.display();
    let text = bytes(path)?;
    let chain = certificates(path, &text)?;
    if chain.is_empty() {
        let help = "it must be PEM, and begin with `-----BEGIN CERTIFICATE-----`";
        return Err(Unusable::new(format!("there is no certificate in `{shown}`"), help));
    }
    let (key_path, key) = private_key(path, key, &text)?;
    let signing = ring::sign::any_supported_type(&key).map_err(|_| {
        let message =
            format!("the private key in `{}` is of a kind that is not supported", key_path.display());
        Unusable::new(message, "RSA of 2048 bits or more, ECDSA on P-256 or P-384, and Ed25519 are")
    })?;
    let key = CertifiedKey::new(chain, signing);
    let unreadable = || Unusable::new(format!("the certificate in `{shown}` cannot be understood"), "");
    let leaf = key.cert.first().ok_or_else(unreadable)?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| unreadable())?;
    if leaf.version() != X509Version::V3 {
        let version = leaf.version().0 + 1;
        let message =
            format!("the certificate in `{shown}` is of X.509 version {version}; version 3 alone is taken");
        return Err(Unusable::new(message, VERSION_HELP));
    }
    let (names, not_after) = (names(&leaf), leaf.validity().not_after.timestamp());
    match key.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            let message = format!(
                "the private key in `{}` does not belong to the certificate in `{shown}`",
                key_path.display()
            );
            return Err(Unusable::new(
                message,
                "the site's certificate must come first, before its issuers'",
            ));
        }
        Err(_) => return Err(unreadable()),
    }
    Ok(Certificate { path: path.to_owned(), names, not_after, key: Arc::new(key) })
}

fn bytes(path: &Path) -> Result<Vec<u8>, Unusable> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_BYTES), &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error: std::io::Error| {
        Unusable::new(format!("cannot read `{}`: {error}", path.display()), "")
    })
}

/// The certificates of a file.
pub(super) fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    certificates(path, &bytes(path)?)
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    read.map_err(|_| Unusable::new(format!("`{}` is not PEM that can be read", path.display()), ""))
}

/// The private key: in the file that is named, else in the certificate's own, else beside it.
fn private_key(
    path: &Path,
    named: Option<&Path>,
    text: &[u8],
) -> Result<(PathBuf, PrivateKeyDer<'static>), Unusable> {
    if let Some(named) = named {
        let text = bytes(named)?;
        let key = key_in(&text).ok_or_else(|| no_key(named, &text))?;
        return Ok((named.to_owned(), key));
    }
    if let Some(key) = key_in(text) {
        return Ok((path.to_owned(), key));
    }
    for beside in keys_beside(path) {
        if beside.is_file() {
            let text = bytes(&beside)?;
            let key = key_in(&text).ok_or_else(|| no_key(&beside, &text))?;
            return Ok((beside, key));
        }
    }
    Err(no_key(path, text))
}

fn no_key(path: &Path, text: &[u8]) -> Unusable {
    let message = format!("there is no private key in `{}`", path.display());
    let help = if memchr::memmem::find(text, b"ENCRYPTED").is_some() {
        "the one that is there is encrypted: decrypt it with `openssl pkey`"
    } else {
        "put it into the file, or beside it with the ending `.key`, or say `key = …`"
    };
    Unusable::new(message, help)
}

fn key_in(text: &[u8]) -> Option<PrivateKeyDer<'static>> {
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .filter_map(Result::ok)
        .find_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der))
}

/// The hosts that a certificate is for: its alternative names, or, in one that has none, the common name.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = match alternatives {
        Some(alternatives) => {
            let names = alternatives.value.general_names.iter().filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            });
            names.collect()
        }
        None => {
            let names = certificate.subject().iter_common_name();
            names.filter_map(|name| name.as_str().ok().map(str::to_owned)).collect()
        }
    };
    names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect()
}

/// A certificate, and the hosts that it is for, for people.
pub(super) struct Named {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) names: String,
    /// Whether it has a list of alternative names.
    pub(super) has_list: bool,
}

/// The certificates of a file; none where it cannot be read.
pub(super) fn named(path: &Path) -> Vec<Named> {
    let named = |certificate: CertificateDer<'static>| {
        let (names, has_list) = match X509Certificate::from_der(&certificate) {
            Ok((_, certificate)) => {
                let has_list = matches!(certificate.subject_alternative_name(), Ok(Some(_)));
                (names(&certificate).join(", ").escape_debug().to_string(), has_list)
            }
            Err(_) => (String::new(), false),
        };
        Named { certificate, names, has_list }
    };
    certificates_of(path).unwrap_or_default().into_iter().map(named).collect()
}
