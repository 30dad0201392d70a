//! What can be said in `[defaults]` and again in a section: structs of optional fields, one laid over the
//! other.

use std::time::Duration;

use super::keys::Scope;
use super::log_target::{self, LogChoice};
use super::model::Protocol;
use super::model::care::{Circuit, HttpReuse, Layer, OnError, RetryBudget, RetryOn, Tripping};
use super::model::discovery::{Family, Resolvers};
use super::model::pages::ErrorFile;
use super::model::tls::{CertificateFile, Hsts, HttpsRedirect, PemFile};
use super::model::{
    Captures, ClientTimeouts, ForwardFor, Http2, HttpCheck, LogLine, PolicySpec, Sample, ServerTimeouts,
    UnusualNames,
};
use super::read::{Switch, boolean, count, duration, interval, limit};
use super::section::{Complaint, Section, Value};
use super::{care, discovery, errorfile, forward_for, http_check, http2, log_format, logging, policy, tls};

/// Declares a struct of optional fields, each of which is read from the key of the same name.
macro_rules! layer {
    ($(#[$meta:meta])* struct $name:ident { $($field:ident: $type:ty = $read:expr,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default)]
        pub(super) struct $name {
            $(pub(super) $field: Option<$type>,)*
        }

        impl $name {
            /// What `section` says of it.
            pub(super) fn read(section: &Section<'_>) -> $name {
                $name { $($field: section.read(stringify!($field), $read),)* }
            }

            /// This, and `below` where this says nothing.
            pub(super) fn over(self, below: &$name) -> $name {
                $name { $($field: self.$field.or_else(|| below.$field.clone()),)* }
            }
        }
    };
}

layer! {
    /// The keys of frontends and backends.
    struct Proxy {
        mode: () = mode,
        forwardfor: Switch<ForwardFor> = forward_for::read,
        default_backend: toml::Spanned<String> = backend_name,
        maxconn: u32 = limit,
        backlog: u32 = backlog,
        log: Vec<LogChoice> = log_target::choices,
        httplog: bool = boolean,
        log_format: LogLine = log_format::read,
        capture: Captures = logging::captures,
        log_only: bool = logging::only,
        log_separate_errors: bool = boolean,
        log_sample: Sample = logging::sample,
        dontlognull: bool = boolean,
        balance: Vec<PolicySpec> = policy::balancers,
        httpchk: Switch<HttpCheck> = http_check::read,
        retries: u32 = retries,
        redispatch: bool = boolean,
        abortonclose: bool = boolean,
        http_reuse: HttpReuse = care::http_reuse,
        retry_on: RetryOn = care::retry_on,
        retry_methods: bool = care::any_method,
        retry_budget: Switch<RetryBudget> = care::retry_budget,
        circuit_breaker: Switch<Circuit> = care::circuit,
        hsts: Switch<Hsts> = tls::hsts,
        redirect_https: Switch<HttpsRedirect> = tls::redirect,
        strict_sni_host: bool = boolean,
        headers_with_underscores: UnusualNames = headers_with_underscores,
        h2: Switch<Http2> = http2::read,
    }
}

layer! {
    /// `timeout`.
    struct Timeouts {
        client: Duration = duration,
        http_request: Duration = duration,
        http_keep_alive: Duration = duration,
        connect: Duration = duration,
        server: Duration = duration,
        queue: Duration = duration,
        tunnel: Duration = duration,
        check: Duration = duration,
    }
}

layer! {
    /// The keys of servers that `default_server` has too.
    struct ServerOptions {
        weight: u32 = weight,
        maxconn: u32 = limit,
        backup: bool = boolean,
        disabled: bool = boolean,
        check: bool = boolean,
        addr: std::net::IpAddr = Value::parsed,
        port: u16 = check_port,
        inter: Duration = interval,
        fastinter: Duration = interval,
        downinter: Duration = interval,
        fall: u32 = count,
        rise: u32 = count,
        ssl: (bool, crate::span::Span) = |value: Value<'_>| Some((value.boolean()?, value.span())),
        verify: bool = tls::server_verify,
        ca_file: PemFile = tls::pem_file,
        sni: String = tls::sni,
        crt: CertificateFile = tls::certificate,
        key: std::path::PathBuf = tls::path,
        alpn: Vec<String> = tls::server_protocols,
        check_ssl: bool = boolean,
        proto: Protocol = tls::server_protocol,
        resolvers: std::sync::Arc<Resolvers> = discovery::named,
        resolve_prefer: Family = discovery::family,
        slowstart: Duration = duration,
        observe: Layer = care::layer,
        error_limit: u32 = count,
        on_error: OnError = care::on_error,
        circuit_breaker: Switch<Tripping> = care::server_circuit,
    }
}

/// Everything that a frontend or backend can take over from `[defaults]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    /// Its own keys.
    pub(super) proxy: Proxy,
    /// `persistence`, or `cookie`.
    pub(super) persistence: Option<Switch<PolicySpec>>,
    /// `timeout`.
    pub(super) timeout: Timeouts,
    /// `default_server`.
    pub(super) default_server: ServerOptions,
    /// `errorfile`.
    pub(super) errorfile: Vec<ErrorFile>,
}

impl Layers {
    /// What `section` says.
    pub(super) fn read(section: &Section<'_>) -> Layers {
        let timeout = section.read("timeout", Value::section);
        let default_server = section.read("default_server", |value| {
            value.section_of(Scope::DefaultServer, "`default_server`".to_owned(), value.span())
        });
        Layers {
            proxy: Proxy::read(section),
            persistence: policy::persistence(section),
            timeout: timeout.as_ref().map(Timeouts::read).unwrap_or_default(),
            default_server: default_server.as_ref().map(ServerOptions::read).unwrap_or_default(),
            errorfile: section.read("errorfile", errorfile::read).unwrap_or_default(),
        }
    }

    /// These, and `below` where these say nothing.
    pub(super) fn over(self, below: &Layers) -> Layers {
        Layers {
            proxy: self.proxy.over(&below.proxy),
            persistence: self.persistence.or_else(|| below.persistence.clone()),
            timeout: self.timeout.over(&below.timeout),
            default_server: self.default_server.over(&below.default_server),
            errorfile: errorfile::over(self.errorfile, &below.errorfile),
        }
    }
}

impl Timeouts {
    /// Those of a frontend, each filled in from the one that HAProxy falls back to.
    pub(super) fn of_client(&self) -> ClientTimeouts {
        let http_request = self.http_request.or(self.client);
        ClientTimeouts {
            client: bounded(self.client),
            http_request: bounded(http_request),
            http_keep_alive: bounded(self.http_keep_alive.or(http_request)),
        }
    }

    /// Those of a backend, each filled in from the one that HAProxy falls back to.
    pub(super) fn of_server(&self) -> ServerTimeouts {
        ServerTimeouts {
            connect: bounded(self.connect),
            server: bounded(self.server),
            queue: bounded(self.queue.or(self.connect)),
            tunnel: bounded(self.tunnel),
            check: bounded(self.check),
        }
    }
}

/// A timeout of 0 is none.
fn bounded(timeout: Option<Duration>) -> Option<Duration> {
    timeout.filter(|timeout| !timeout.is_zero())
}

fn mode(value: Value<'_>) -> Option<()> {
    match value.text()? {
        "http" => Some(()),
        "tcp" => {
            let help = "leave `mode` out, or balance this traffic with something else";
            value.refuse(Complaint::new("`mode = \"tcp\"` is not supported: only HTTP is balanced", help));
            None
        }
        _ => value.one_of(&[("http", ())]),
    }
}

fn backend_name(value: Value<'_>) -> Option<toml::Spanned<String>> {
    Some(toml::Spanned::new(value.span(), value.text()?.to_owned()))
}

fn headers_with_underscores(value: Value<'_>) -> Option<UnusualNames> {
    value.one_of(&[
        ("drop", UnusualNames::Drop),
        ("refuse", UnusualNames::Refuse),
        ("allow", UnusualNames::Allow),
    ])
}

/// The kernel takes an `int`.
fn backlog(value: Value<'_>) -> Option<u32> {
    value.integer(1..=i32::MAX as u32)
}

/// Each retry can take a connect timeout and a pause, so a hundred is for ever.
fn retries(value: Value<'_>) -> Option<u32> {
    value.integer(0..=100)
}

fn weight(value: Value<'_>) -> Option<u32> {
    value.integer(0..=256)
}

fn check_port(value: Value<'_>) -> Option<u16> {
    value.integer(1..=u16::MAX)
}
