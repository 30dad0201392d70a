//! What the process asks of, and tells, the system that it runs on.

use std::path::Path;

/// Tells systemd that the service is up (`sd_notify(3)`), where it asked to be told.
pub(super) fn notify_systemd() {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = std::os::unix::net::UnixDatagram::unbound().and_then(|socket| {
        match path.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                socket.send_to_addr(b"READY=1\n", &address)
            }
            None => socket.send_to(b"READY=1\n", Path::new(&path)),
        }
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot tell systemd that the service is up");
    }
}
