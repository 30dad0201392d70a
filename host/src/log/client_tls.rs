//! TLS towards a log daemon: whom it trusts, and by which name the daemon is known.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::config::model::LogTls;
use crate::tls::trust;

/// What a client needs for it.
pub(super) fn client(tls: &LogTls) -> io::Result<(Arc<ClientConfig>, ServerName<'static>)> {
    let host = tls.address.rsplit_once(':').map_or(&*tls.address, |(host, _)| host);
    let name = tls.sni.as_deref().unwrap_or(host.trim_matches(['[', ']']));
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    Ok((trust::client(tls.verify, tls.ca_file.as_ref().map(|file| &*file.path))?, name))
}
