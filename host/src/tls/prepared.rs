//! All that a configuration needs of TLS, made ready before it comes into force: what fails here fails the reload, and
//! the old certificates stay.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;

use super::certificate::{self, Certificate, SYSTEM_AUTHORITIES, Unusable};
use super::connector::Connector;
use super::expiry::{CertificateFacts, Standing, now_s};
use super::listener::Listener;
use crate::config::diagnostics::Problem;
use crate::config::model::discovery::{Consul, Source};
use crate::config::model::tls::{CertificateFile, PemFile, ServerTls};
use crate::config::model::{Backend, BindAddress, Config, Frontend, Server, Span};

/// TLS of a configuration, ready to serve.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    listeners: Vec<Listener>,
    /// By backend and server.
    connectors: Vec<Vec<Option<Arc<Connector>>>>,
    facts: Vec<CertificateFacts>,
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
    /// Authorities that have been read: many servers share a file.
    authorities: HashMap<PathBuf, Option<Arc<RootCertStore>>>,
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
        let authorities = tls.ca_file.as_ref().map(|file| self.authorities(file));
        let authorities = match authorities {
            Some(None) => return None,
            Some(known) => known,
            None => None,
        };
        let span = &tls.crt.first()?.spot.0;
        if certificates.is_empty() {
            return None;
        }
        let listener = Listener::new(address.clone(), tls, &certificates, authorities);
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
        if let Some(Source::Consul(Consul { tls: Some(file), .. })) =
            backend.template.as_ref().map(|template| &template.source)
        {
            self.authorities(file);
        }
    }

    fn connector(&mut self, backend: &Backend, server: &Server, tls: &ServerTls) -> Option<Connector> {
        let authorities = match (tls.verify, &tls.ca_file) {
            (false, _) => None,
            (true, Some(file)) => Some(self.authorities(file)?),
            (true, None) => Some(self.read_authorities(Path::new(SYSTEM_AUTHORITIES), &tls.spot.0)?),
        };
        let certificate = match &tls.crt {
            Some(file) => Some(self.certificates(file, &backend.name).into_iter().next()?),
            None => None,
        };
        let connector = Connector::new(server, tls, authorities, certificate.as_ref());
        self.accept(connector, &tls.spot.0)
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

    fn authorities(&mut self, file: &PemFile) -> Option<Arc<RootCertStore>> {
        self.read_authorities(&file.path, &file.spot.0)
    }

    fn read_authorities(&mut self, path: &Path, span: &Span) -> Option<Arc<RootCertStore>> {
        if let Some(known) = self.authorities.get(path) {
            return known.clone();
        }
        let store = self.accept(certificate::authorities(path), span).map(Arc::new);
        self.authorities.insert(path.to_owned(), store.clone());
        store
    }

    fn accept<T>(&mut self, made: Result<T, Unusable>, span: &Span) -> Option<T> {
        made.map_err(|unusable| {
            let problem = Problem::error(span.clone(), unusable.message);
            self.problems.push(problem.help(unusable.help));
        })
        .ok()
    }
}
