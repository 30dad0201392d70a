//! Backends and servers for tests, with the defaults that `lb.toml` would give them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Backend;
use super::server::Server;
use crate::config::model;

pub(crate) fn server(name: &str) -> model::Server {
    model::Server {
        name: name.into(),
        address: model::ServerAddress::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        weight: 1,
        maxconn: None,
        backup: false,
        disabled: false,
        check: None,
        cookie: None,
        tls: None,
        labels: Vec::new(),
        protocol: Default::default(),
        resolution: Default::default(),
        slowstart: None,
        circuit_breaker: None,
    }
}

pub(crate) fn check(rise: u32, fall: u32) -> model::Check {
    let inter = Duration::from_secs(2);
    model::Check {
        addr: None,
        port: None,
        inter,
        fastinter: inter,
        downinter: inter,
        fall,
        rise,
        observe: None,
    }
}

pub(crate) fn http_check() -> model::HttpCheck {
    model::HttpCheck {
        method: "GET".into(),
        uri: "/status".into(),
        version: "HTTP/1.0".into(),
        headers: Vec::new(),
        expect: vec![(200, 399)],
    }
}

pub(crate) fn config(name: &str) -> model::Backend {
    model::Backend {
        name: name.into(),
        balance: Vec::new(),
        persistence: None,
        servers: Vec::new(),
        template: None,
        check: model::CheckKind::Tcp,
        forwardfor: None,
        retries: 3,
        retry_on: Default::default(),
        retry_budget: None,
        circuit_breaker: None,
        redispatch: false,
        abortonclose: model::AbortOnClose::WhileWaiting,
        http_reuse: Default::default(),
        timeout: model::ServerTimeouts::default(),
        errorfile: Vec::new(),
        limits: Vec::new(),
        rules: Default::default(),
    }
}

pub(crate) fn backend(config: model::Backend, servers: Vec<model::Server>) -> Arc<Backend> {
    Backend::new(config, Server::all(&servers))
}
