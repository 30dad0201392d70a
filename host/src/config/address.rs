//! Addresses: what a listener binds to, where a server listens, and networks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::model::{BindAddress, ServerAddress};
use super::section::Complaint;
use crate::rules::Network;

const UNIX: &str = "unix@";
const FD: &str = "fd@";

/// The most bytes of a label of a name.
const MOST_OF_LABEL: usize = 63;

/// The most bytes of a name as it is written: 255 in a message, where each label has its length before it, and the last
/// is empty.
const MOST_OF_NAME: usize = 253;

/// The addresses that a `bind` means: one for each port of a range. `path` makes a path that can be opened.
pub(super) fn bind(text: &str, path: impl Fn(&str) -> PathBuf) -> Result<Vec<BindAddress>, Complaint> {
    refuse_urls(text)?;
    if text.contains(',') {
        let help = "write an array of strings, one address each";
        return Err(Complaint::new(format!("`{text}` is more than one address"), help));
    }
    if let Some(socket) = unix_path(text)? {
        return Ok(vec![BindAddress::Unix(path(socket))]);
    }
    if let Some(number) = text.strip_prefix(FD) {
        let fd = number.parse().ok().filter(|fd| *fd >= 0);
        let complaint = || format!("`{number}` is not the number of a file descriptor").into();
        return fd.map(|fd| vec![BindAddress::Fd(fd)]).ok_or_else(complaint);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Complaint::new(
            format!("`{text}` has no address"),
            format!("write `*:{text}` for every IPv4 address"),
        ));
    }
    let (host, ports) = host_and_port(text.trim_start_matches("ipv4@").trim_start_matches("ipv6@"))?;
    let ip = match host {
        "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => host.parse().map_err(|_| {
            let help =
                "a listener takes an IP address, `*` for every IPv4 address or `[::]` for every IPv6 address";
            Complaint::new(format!("`{host}` is not an IP address"), help)
        })?,
    };
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => match ports {
            "0" => return Ok(vec![BindAddress::Tcp(SocketAddr::new(ip, 0))]),
            _ => (port(ports)?, port(ports)?),
        },
    };
    if first > last {
        let help = format!("write `{last}-{first}`");
        return Err(Complaint::new(format!("the port range `{ports}` runs backwards"), help));
    }
    Ok((first..=last).map(|port| BindAddress::Tcp(SocketAddr::new(ip, port))).collect())
}

/// The address of a server. `path` makes a path that can be opened.
pub(super) fn server(text: &str, path: impl Fn(&str) -> PathBuf) -> Result<ServerAddress, Complaint> {
    refuse_urls(text)?;
    if let Some(socket) = unix_path(text)? {
        return Ok(ServerAddress::Unix(path(socket)));
    }
    let (host, number) = host_and_port(text)?;
    let port = port(number)?;
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() => {
            let message = format!("`{host}` means every address, and a server has one");
            Err(Complaint::new(message, "for this machine, write `127.0.0.1` or `[::1]`"))
        }
        Ok(ip) => Ok(ServerAddress::Ip(SocketAddr::new(ip, port))),
        Err(_) => match host_name(host) {
            Ok(()) => Ok(ServerAddress::Name(host.to_owned(), port)),
            Err(NoName::Size(complaint)) => Err(complaint),
            Err(NoName::Other) => Err(format!("`{host}` is neither an IP address nor a host name").into()),
        },
    }
}

/// A network such as `10.0.0.0/8`; an address alone is a network of its own.
pub(super) fn network(text: &str) -> Result<Network, Complaint> {
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| {
        let message = format!("`{text}` is not a network");
        Complaint::new(
            message,
            "write an address and the length of its prefix, as in `10.0.0.0/8` or `fd00::/8`",
        )
    })?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(|| {
            format!("`{prefix}` is not the length of a prefix of `{address}`, which has {longest} bits")
        })?,
    };
    let address = match address {
        IpAddr::V4(ip) => IpAddr::from(
            (u32::from(ip) & u32::MAX.checked_shl(u32::from(32 - prefix)).unwrap_or(0)).to_be_bytes(),
        ),
        IpAddr::V6(ip) => IpAddr::from(
            (u128::from(ip) & u128::MAX.checked_shl(u32::from(128 - prefix)).unwrap_or(0)).to_be_bytes(),
        ),
    };
    Ok(Network { address, prefix })
}

/// The host and the port of `HOST:PORT`, the host without its brackets. As in HAProxy, an IPv6 address needs
/// none: the last colon is what counts.
pub(super) fn host_and_port(text: &str) -> Result<(&str, &str), Complaint> {
    let no_port =
        || Complaint::new(format!("`{text}` has no port"), format!("write `{text}:80`, or whichever it is"));
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or_else(|| Complaint::from(format!("the bracket in `{text}` is never closed")))?;
        return rest.strip_prefix(':').map(|port| (host, port)).ok_or_else(no_port);
    }
    text.rsplit_once(':').ok_or_else(no_port)
}

/// A port that can be connected to.
pub(super) fn port(text: &str) -> Result<u16, Complaint> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|port| *port > 0 && digits)
        .ok_or_else(|| Complaint::new(format!("`{text}` is not a port"), "ports go from 1 to 65535"))
}

/// The path of a Unix socket, if that is what the address is.
fn unix_path(text: &str) -> Result<Option<&str>, Complaint> {
    match text.strip_prefix(UNIX) {
        Some("") => Err(Complaint::new(
            format!("`{text}` has no path"),
            "write `unix@/run/lb.sock`, or wherever it is",
        )),
        Some(path) => Ok(Some(path)),
        None => Ok(Some(text).filter(|text| text.starts_with('/'))),
    }
}

fn refuse_urls(text: &str) -> Result<(), Complaint> {
    match text.split_once("://") {
        Some((_, rest)) => {
            let rest = rest.split('/').next().unwrap_or(rest);
            Err(Complaint::new(
                format!("`{text}` is a URL, not an address"),
                format!("write `{rest}`, with a port"),
            ))
        }
        None => Ok(()),
    }
}

/// Why nobody can be asked for a name.
pub(super) enum NoName {
    /// It, or one of its labels, is too long or empty.
    Size(Complaint),
    /// It is something else.
    Other,
}

/// Whether a resolver can be asked for `name`: letters, digits, hyphens and underscores between dots, as many as DNS
/// has room for (RFC 1035, section 2.3.4), and a last label that is not a number (or `10.0.0` would be one).
pub(super) fn host_name(name: &str) -> Result<(), NoName> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let last = bare.rsplit('.').next().unwrap_or_default();
    let last_is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if bare.is_empty() || last_is_number || !bare.bytes().all(known) {
        return Err(NoName::Other);
    }
    let size = |message: String, help: &str| Err(NoName::Size(Complaint::new(message, help)));
    if bare.split('.').any(str::is_empty) {
        let message = format!("`{name}` can never be asked for: one of its labels is empty");
        return size(message, "there is one dot between two labels, and none before the first");
    }
    if let Some(label) = bare.split('.').find(|label| label.len() > MOST_OF_LABEL) {
        let message = format!("this name can never be asked for: `{label}` has {} bytes", label.len());
        return size(message, "a label of a name has 63 bytes at the most");
    }
    if bare.len() > MOST_OF_NAME {
        let message = format!("this name can never be asked for: it has {} bytes", bare.len());
        return size(message, "a name has 253 bytes at the most, its dots counted");
    }
    Ok(())
}
