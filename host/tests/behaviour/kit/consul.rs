//! A stand-in for Consul: the health API and its blocking queries, as they are published. Whoever asks with the
//! present index waits until there is another, or until the time that he gave is over.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Signed;

/// The stand-in, until the test ends.
pub(crate) struct Consul {
    address: String,
    shared: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    index: u64,
    status: u16,
    body: String,
    /// The targets that were asked for, each with its token.
    asked: Vec<(String, String)>,
}

impl Consul {
    pub(crate) fn start() -> Consul {
        Consul::start_with(None)
    }

    /// One that is asked by TLS, and shows this.
    pub(crate) fn start_tls(signed: &Signed) -> Consul {
        let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().expect("a chain"), key);
        Consul::start_with(Some(Arc::new(config.expect("they belong together"))))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Consul {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let state = State { index: 10, status: 200, body: "[]".to_owned(), asked: Vec::new() };
        let consul = Consul {
            address: listener.local_addr().expect("it is bound").to_string(),
            shared: Arc::new((Mutex::new(state), Condvar::new())),
        };
        let shared = consul.shared.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (shared, tls) = (shared.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &shared.0, &shared.1),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a connection");
                        serve(StreamOwned::new(connection, stream), &shared.0, &shared.1);
                    }
                });
            }
        });
        consul
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sets the instances, by port and weight, and moves the index on.
    pub(crate) fn instances(&self, instances: &[(&str, u32)]) {
        let one = |(address, weight): &(&str, u32)| {
            let (host, port) = address.rsplit_once(':').expect("an address with a port");
            format!(
                r#"{{"Node": {{"Node": "n", "Address": "{host}"}}, "Service": {{"ID": "{port}", "Service": "web",
                "Address": "", "Port": {port}, "Weights": {{"Passing": {weight}, "Warning": 1}}}},
                "Checks": [{{"CheckID": "serfHealth", "Status": "passing"}}]}}"#
            )
        };
        let body = format!("[{}]", instances.iter().map(one).collect::<Vec<_>>().join(","));
        self.change(|state| {
            state.body = body;
            state.index += 5;
        });
    }

    /// Answers with this status from now on, at once.
    pub(crate) fn status(&self, status: u16) {
        self.change(|state| {
            state.status = status;
            state.index += 1;
        });
    }

    /// Begins its indices anew, as after its state was restored.
    pub(crate) fn restart_index(&self) {
        self.change(|state| state.index = 3);
    }

    /// The targets that were asked for, each with its token.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.shared.0.lock().expect("no panic").asked.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.0.lock().expect("no panic"));
        self.shared.1.notify_all();
    }
}

fn serve(mut stream: impl Read + Write, state: &Mutex<State>, changed: &Condvar) {
    let mut lines = BufReader::new(&mut stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let token = headers.iter().find_map(|line| line.strip_prefix("x-consul-token: ")).unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let index: Option<u64> = parameter("index").and_then(|index| index.parse().ok());
    let wait = parameter("wait").and_then(|wait| wait.strip_suffix('s')?.parse().ok()).unwrap_or(300);
    let mut present = state.lock().expect("no panic");
    present.asked.push((target.clone(), token.to_owned()));
    if let Some(index) = index {
        let unchanged = |state: &mut State| state.index == index;
        let held = changed.wait_timeout_while(present, Duration::from_secs(wait), unchanged);
        present = held.expect("no panic").0;
    }
    let State { index, status, body, .. } = &*present;
    let answer = format!(
        "HTTP/1.1 {status} Test\r\ncontent-type: application/json\r\nx-consul-index: {index}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    drop(present);
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}
