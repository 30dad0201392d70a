//! `lb demo`: the default configuration in front of two small servers of its own, so that a newcomer sees it
//! at work without setting anything up.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::fs::{MemfdFlags, memfd_create};

/// The configuration that is shown: the project's own.
const CONFIGURATION: &str = include_str!("../../lb.toml");
/// What `lb.toml` binds, and the addresses of its servers: what the demo puts its own in place of.
const BIND: &str = "*:60000-60001";
const SERVERS: [(&str, &str); 2] = [("web-a", "web-a:5001"), ("web-b", "web-b:5002")];

/// Where the demo listens by TLS, if nobody else does.
const TLS_PORT: u16 = 60_443;

/// The servers, running.
pub(crate) struct Origins {
    addresses: Vec<SocketAddr>,
    secure: Option<Secure>,
}

/// The demo's own TLS: a certificate that nobody else has signed, and that no disk ever sees.
struct Secure {
    certificate: File,
    port: u16,
}

impl Secure {
    fn new() -> anyhow::Result<Secure> {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(hosts).context("cannot make a certificate")?;
        let made_file = memfd_create("lb-demo.pem", MemfdFlags::CLOEXEC);
        let mut certificate = File::from(made_file.context("no memory for a certificate")?);
        certificate.write_all(made.cert.pem().as_bytes())?;
        certificate.write_all(made.signing_key.serialize_pem().as_bytes())?;
        let free = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        let port = free(TLS_PORT).or_else(|_| free(0))?.local_addr()?.port();
        Ok(Secure { certificate, port })
    }

    /// What stands in `bind` beside the usual address.
    fn bind(&self) -> String {
        let Secure { certificate, port } = self;
        let file = format!("/proc/self/fd/{}", certificate.as_raw_fd());
        format!("{{ address = \"*:{port}\", tls = {{ crt = \"{file}\" }} }}")
    }

    /// What to try with it.
    fn guide(&self) -> String {
        let port = self.port;
        format!(
            "4. By TLS, with a certificate made on the spot, which curl takes with -k:\n\
             \x20     curl -k https://localhost:{port}/\n\
             \x20  The cookie is Secure and HttpOnly there:\n\
             \x20     curl -ksi https://localhost:{port}/ | grep set-cookie\n\
             \x20  What was agreed on:\n\
             \x20     openssl s_client -connect localhost:{port} -brief </dev/null\n\
             \n"
        )
    }
}

impl Origins {
    /// Starts the two servers, on free ports of the loopback interface; `tls` has clients come by TLS too.
    pub(crate) fn start(tls: bool) -> anyhow::Result<Origins> {
        let mut addresses = Vec::new();
        for (name, _) in SERVERS {
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot start a server to show")?;
            addresses.push(listener.local_addr()?);
            listener.set_nonblocking(true)?;
            std::thread::Builder::new().name(name.to_owned()).spawn(move || serve(name, listener))?;
        }
        let secure = if tls { Some(Secure::new()?) } else { None };
        Ok(Origins { addresses, secure })
    }

    /// The configuration, with these servers for its own, and other ports where the usual ones are taken.
    pub(crate) fn configuration(&self) -> String {
        let mut text = CONFIGURATION.to_owned();
        for ((_, configured), address) in SERVERS.iter().zip(&self.addresses) {
            text = text.replace(configured, &address.to_string());
        }
        if [60_000, 60_001].iter().any(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_err()) {
            text = text.replace(&format!("\"{BIND}\""), r#""127.0.0.1:0""#);
        }
        if let Some(secure) = &self.secure {
            let clear = if text.contains(BIND) { BIND } else { "127.0.0.1:0" };
            let clear = format!("\"{clear}\"");
            text = text.replacen(&clear, &format!("{clear}, {}", secure.bind()), 1);
        }
        text
    }

    /// What to tell the user, once everything listens on `addresses`.
    pub(crate) fn guide(&self, addresses: &[String]) -> String {
        let reachable: Vec<String> =
            addresses.iter().map(|address| address.replace("0.0.0.0", "localhost")).collect();
        let by_tls = |address: &&String| {
            let secure = self.secure.as_ref().map(|secure| format!(":{}", secure.port));
            secure.is_some_and(|port| address.ends_with(&port))
        };
        let first = reachable.iter().find(|address| !by_tls(address)).map_or("", String::as_str);
        let more = self.secure.as_ref().map(Secure::guide).unwrap_or_default();
        let (origin, servers) = (self.addresses[0], SERVERS.iter().zip(&self.addresses));
        let servers: Vec<String> =
            servers.map(|((name, _), address)| format!("{name} on {address}")).collect();
        format!(
            "\n\
             lb is running the default configuration (lb.toml) on {}\n\
             in front of two small servers: {}.\n\
             Which of them serves is decided by WebAssembly: roundrobin, and the cookie SERVER.\n\
             \n\
             Three things to try in another terminal:\n\
             \n\
             1. Each request goes to the next server:\n\
             \x20     for i in 1 2 3 4; do curl -s http://{first}/; done\n\
             2. With the cookie of the first answer, a client stays where it is:\n\
             \x20     curl -si http://{first}/ | grep set-cookie\n\
             \x20     for i in 1 2 3 4; do curl -s -b SERVER=web-b http://{first}/; done\n\
             \x20  The server never sees that cookie, but learns who asked:\n\
             \x20     curl -s -b SERVER=web-b http://{first}/headers\n\
             3. Take web-a down: within two seconds all requests, and its clients, go to web-b.\n\
             \x20     curl -X POST http://{origin}/down\n\
             \x20     curl -X POST http://{origin}/up\n\
             \n\
             {more}Ctrl-C ends it. What follows is the log, a line for each request.\n",
            reachable.join(" and "),
            servers.join(", "),
        )
    }
}

/// Serves on a thread of its own until the process ends.
fn serve(name: &'static str, listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let healthy = Arc::new(AtomicBool::new(true));
            loop {
                let (stream, _) = listener.accept().await?;
                let healthy = healthy.clone();
                let service = service_fn(move |request| {
                    let response = answer(name, &request, &healthy);
                    async move { Ok::<_, Infallible>(response) }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::task::spawn_local(async move {
                    // A connection that breaks concerns its client alone.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
    });
    if let Err::<(), _>(error) = served {
        tracing::error!(%error, "the server {name} ended");
    }
}

/// `/status` is what the health check asks; `/headers` shows what came; `/down` and `/up` break and mend the
/// server's health.
fn answer(name: &str, request: &Request<Incoming>, healthy: &AtomicBool) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (_, "/status") if healthy.load(Relaxed) => (StatusCode::OK, "fine\n".to_owned()),
        (_, "/status") => (StatusCode::SERVICE_UNAVAILABLE, "down\n".to_owned()),
        (&Method::POST, "/down") => {
            healthy.store(false, Relaxed);
            (StatusCode::OK, format!("{name} fails its health checks from now on\n"))
        }
        (&Method::POST, "/up") => {
            healthy.store(true, Relaxed);
            (StatusCode::OK, format!("{name} passes its health checks again; after five it serves\n"))
        }
        (_, "/headers") => {
            let lines = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            (StatusCode::OK, format!("{name} got:\n{}", lines.collect::<String>()))
        }
        _ => (StatusCode::OK, format!("{name}\n")),
    };
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/plain")
        .header(ETAG, format!("\"{name}\""))
        .body(Full::new(Bytes::from(text)));
    response.unwrap_or_default()
}
