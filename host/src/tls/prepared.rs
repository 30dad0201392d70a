//! All that a configuration needs of TLS, made ready before it comes into force: what fails here fails the reload, and
//! the old certificates stay.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::certificate::{self, Certificate, Named, Unusable};
use super::connector::Connector;
use super::expiry::{CertificateFacts, Standing, now_s};
use super::listener::Listener;
use super::trust::{Standing as Trust, Trusted, standing};
use super::verify;
use crate::config::diagnostics::Problem;
use crate::config::model::discovery::{Consul, Source};
use crate::config::model::tls::{CertificateFile, PemFile, ServerTls};
use crate::config::model::{
    Backend, BindAddress, Config, Frontend, LogDestination, LogPeer, LogTarget, Server,
};
use crate::span::Span;

/// TLS of a configuration, ready to serve.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    listeners: Vec<Listener>,
    /// By backend and server.
    connectors: Vec<Vec<Option<Arc<Connector>>>>,
    facts: Vec<CertificateFacts>,
    /// Certificates that are trusted for themselves, for people.
    pinned: Vec<String>,
}

/// What came of it: errors keep it from running, warnings do not.
pub(crate) struct Preparation {
    pub(crate) prepared: Prepared,
    pub(crate) problems: Vec<Problem>,
}

impl Prepared {
    /// Reads the files and sets everything up.
    pub(crate) fn of(config: &Config) -> Preparation {
        let mut desk = Desk::default();
        for frontend in &config.frontends {
            desk.frontend(frontend);
        }
        for backend in &config.backends {
            desk.backend(backend);
        }
        let targets = config.frontends.iter().flat_map(|frontend| &frontend.log);
        config.global.log.iter().chain(targets).for_each(|target| desk.log_target(target));
        Preparation { prepared: desk.prepared, problems: desk.problems }
    }

    /// Clients of the configuration before take up their sessions again.
    pub(crate) fn keep_sessions_of(&mut self, before: &Prepared) {
        for listener in &mut self.listeners {
            listener.keep_sessions_of(&before.listeners);
        }
    }

    /// TLS of a listening address; `None` where it is spoken to in clear.
    pub(crate) fn listener(&self, address: &BindAddress) -> Option<Listener> {
        self.listeners.iter().find(|listener| listener.address == *address).cloned()
    }

    /// TLS to a server; `None` where it is spoken to in clear.
    pub(crate) fn connector(&self, backend: usize, server: usize) -> Option<Arc<Connector>> {
        self.connectors.get(backend)?.get(server)?.clone()
    }

    /// The certificates that are trusted for themselves, one a line.
    pub(crate) fn pinned(&self) -> &[String] {
        &self.pinned
    }

    /// The certificates that it shows.
    pub(crate) fn facts(&self) -> Vec<CertificateFacts> {
        self.facts.clone()
    }
}

/// The files of a configuration's TLS, for whoever watches them: directories too, for what comes and goes in them.
pub(crate) fn files(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut add = |file: &CertificateFile| {
        files.push(file.path.clone());
        files.extend(file.key.clone());
        let inside = if file.path.is_dir() {
            certificate::in_directory(&file.path).unwrap_or_default()
        } else {
            vec![file.path.clone()]
        };
        for path in inside {
            if file.key.is_none() {
                files.extend(certificate::keys_beside(&path));
            }
            files.push(path);
        }
    };
    let binds =
        config.frontends.iter().flat_map(|frontend| &frontend.bind).filter_map(|bind| bind.tls.as_ref());
    binds.clone().flat_map(|tls| &tls.crt).for_each(&mut add);
    let servers = config.backends.iter().flat_map(|backend| &backend.servers);
    let servers = servers.filter_map(|server| server.tls.as_ref());
    servers.clone().filter_map(|tls| tls.crt.as_ref()).for_each(&mut add);
    let authorities = binds.filter_map(|tls| tls.ca_file.as_ref());
    files.extend(
        authorities.chain(servers.filter_map(|tls| tls.ca_file.as_ref())).map(|file| file.path.clone()),
    );
    files
}

/// Where it is put together.
#[derive(Default)]
struct Desk {
    prepared: Prepared,
    problems: Vec<Problem>,
    /// Files that have been read, and the system's authorities: many servers share them.
    trusted: HashMap<Option<PathBuf>, Option<Arc<Trusted>>>,
}

impl Desk {
    fn frontend(&mut self, frontend: &Frontend) {
        // A range of ports is many entries that are named once.
        let mut last: Option<(&crate::config::model::tls::BindTls, Option<Listener>)> = None;
        for bind in &frontend.bind {
            let Some(tls) = &bind.tls else { continue };
            let listener = match last.take() {
                Some((same, listener)) if same == tls => {
                    listener.map(|listener| listener.at(bind.address.clone()))
                }
                _ => self.listener(frontend, &bind.address, tls),
            };
            self.prepared.listeners.extend(listener.clone());
            last = Some((tls, listener));
        }
    }

    fn listener(
        &mut self,
        frontend: &Frontend,
        address: &BindAddress,
        tls: &crate::config::model::tls::BindTls,
    ) -> Option<Listener> {
        let mut certificates = Vec::new();
        for file in &tls.crt {
            certificates.extend(self.certificates(file, &frontend.name));
        }
        let trusted = match &tls.ca_file {
            Some(file) => Some(self.trusted(Some(file), &file.spot.0)?),
            None => None,
        };
        let span = &tls.crt.first()?.spot.0;
        if certificates.is_empty() {
            return None;
        }
        let listener = Listener::new(address.clone(), tls, &certificates, trusted);
        self.accept(listener, span)
    }

    fn backend(&mut self, backend: &Backend) {
        let mut connectors = Vec::with_capacity(backend.servers.len());
        for server in &backend.servers {
            let connector = server.tls.as_ref().and_then(|tls| self.connector(backend, server, tls));
            connectors.push(connector.map(Arc::new));
        }
        self.prepared.connectors.push(connectors);
        // It is read again for each question; here only so that a wrong one is known at once.
        if let Some(Source::Consul(Consul { tls: Some(tls), .. })) =
            backend.template.as_ref().map(|template| &template.source)
        {
            self.trusted(tls.ca_file.as_ref(), &tls.spot.0);
        }
    }

    fn connector(&mut self, backend: &Backend, server: &Server, tls: &ServerTls) -> Option<Connector> {
        let trusted = match tls.verify {
            true => Some(self.trusted(tls.ca_file.as_ref(), &tls.spot.0)?),
            false => None,
        };
        let certificate = match &tls.crt {
            Some(file) => Some(self.certificates(file, &backend.name).into_iter().next()?),
            None => None,
        };
        let connector = Connector::new(server, tls, trusted.clone(), certificate.as_ref());
        let connector = self.accept(connector, &tls.spot.0)?;
        if let (Some(trusted), Some(file)) = (trusted, &tls.ca_file) {
            self.try_pinned(&trusted, file, &connector);
        }
        Some(connector)
    }

    fn certificates(&mut self, file: &CertificateFile, proxy: &Arc<str>) -> Vec<Certificate> {
        let span = &file.spot.0;
        let certificates = self.accept(certificate::read_all(file), span).unwrap_or_default();
        for certificate in &certificates {
            let facts = CertificateFacts {
                path: certificate.path.clone(),
                proxy: proxy.clone(),
                names: certificate.names.clone(),
                not_after: certificate.not_after,
            };
            if let Standing::EndsSoon(words) | Standing::Ended(words) = facts.standing(now_s()) {
                let message = format!("the certificate in `{}` {words}", facts.path.display());
                self.problems.push(Problem::warning(span.clone(), message).help("renew it"));
            }
            if !self.prepared.facts.contains(&facts) {
                self.prepared.facts.push(facts);
            }
        }
        certificates
    }

    /// Opened when the log is; here only so that a wrong one is known before.
    fn log_target(&mut self, target: &LogTarget) {
        if let LogDestination::Stream(stream) = &target.destination
            && let LogPeer::Tls(tls) = &stream.peer
            && tls.verify
        {
            let span = tls.ca_file.as_ref().map_or(&tls.spot.0, |file| &file.spot.0);
            self.trusted(tls.ca_file.as_ref(), span);
        }
    }

    /// Those of a file, or the system's.
    fn trusted(&mut self, file: Option<&PemFile>, system: &Span) -> Option<Arc<Trusted>> {
        let (path, span) = match file {
            Some(file) => (Some(&file.path), &file.spot.0),
            None => (None, system),
        };
        if let Some(known) = self.trusted.get(&path.cloned()) {
            return known.clone();
        }
        let read = self.accept(Trusted::read(path.map(PathBuf::as_path)), span).map(Arc::new);
        if let (Some(path), Some(trusted)) = (path, &read) {
            self.say_of(path, trusted, span);
        }
        self.trusted.insert(path.cloned(), read.clone());
        read
    }

    /// What is odd about a file's certificates, or good to know.
    fn say_of(&mut self, path: &std::path::Path, trusted: &Trusted, span: &Span) {
        let file = path.display();
        for Named { certificate, names, has_list } in certificate::named(path) {
            match standing(&certificate) {
                Trust::Own => self.prepared.pinned.push(format!(
                    "{file}: the certificate of {names} is no authority's; it is pinned, and only who shows it is trusted"
                )),
                // Authorities have no list of hosts; certificates that people have signed themselves do.
                Trust::Authority if has_list && trusted.pinned.contains(&certificate) => {
                    self.prepared.pinned.push(format!(
                        "{file}: the certificate of {names} is an authority's, and is trusted where it is shown itself"
                    ));
                }
                Trust::Authority => {}
                Trust::Version1 => {
                    let message = format!(
                        "`{file}` has a certificate of X.509 version 1: what it has signed is trusted, but whoever \
                         shows it is refused; version 3 alone is taken"
                    );
                    self.problems.push(Problem::warning(span.clone(), message).help(certificate::VERSION_HELP));
                }
                Trust::Unreadable => {
                    let message = format!("`{file}` has a certificate that cannot be understood: it is left out");
                    self.problems.push(Problem::warning(span.clone(), message));
                }
            }
        }
    }

    /// Where a file has only certificates that vouch for nobody, a server must show one of them: whether it would be let
    /// in by the name that it is asked for is known now.
    fn try_pinned(&mut self, trusted: &Trusted, file: &PemFile, connector: &Connector) {
        if !trusted.authorities.is_empty() {
            return;
        }
        let tried = trusted.pinned.iter().map(|pinned| verify::try_pinned(pinned, &connector.name));
        let tried: Result<Vec<_>, ()> = tried.map(|tried| tried.err().ok_or(())).collect();
        if let Ok([error, ..]) = tried.as_deref() {
            let message =
                format!("`{}` trusts nobody who could be this server: {error}", file.path.display());
            let help = "name the certificate that the server shows, and its name by `sni`";
            self.problems.push(Problem::warning(file.spot.0.clone(), message).help(help));
        }
    }

    fn accept<T>(&mut self, made: Result<T, Unusable>, span: &Span) -> Option<T> {
        made.map_err(|unusable| {
            let problem = Problem::error(span.clone(), unusable.message);
            self.problems.push(problem.help(unusable.help));
        })
        .ok()
    }
}
