//! Syslog daemons at the other end of a connection, that go away and come back under traffic.

use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::kit::{Directory, client, get, origin, proxy, until};

/// A daemon that takes lines with their lengths before them.
struct Daemon {
    address: String,
    messages: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    listener: TcpListener,
}

impl Daemon {
    fn start(address: &str, tls: Option<Arc<ServerConfig>>) -> Daemon {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (messages, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let accepting = listener.try_clone().expect("a handle");
        let (taken, open): (_, Arc<Mutex<Vec<TcpStream>>>) = (messages.clone(), Arc::clone(&connections));
        thread::spawn(move || {
            while let Ok((stream, _)) = accepting.accept() {
                open.lock().expect("nobody panicked with it").push(stream.try_clone().expect("a handle"));
                let (taken, tls) = (Arc::clone(&taken), tls.clone());
                thread::spawn(move || match tls {
                    Some(config) => {
                        let session = ServerConnection::new(config).expect("a session");
                        read(StreamOwned::new(session, stream), &taken);
                    }
                    None => read(stream, &taken),
                });
            }
        });
        Daemon { address, messages, connections, listener }
    }

    fn has(&self, text: &str) -> bool {
        self.messages.lock().expect("nobody panicked with it").iter().any(|message| message.contains(text))
    }

    fn messages(&self) -> Vec<String> {
        self.messages.lock().expect("nobody panicked with it").clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A listening socket that is shut down accepts no more, and its thread ends with the error.
        socket2::SockRef::from(&self.listener).shutdown(Shutdown::Both).expect("it listens");
        for connection in self.connections.lock().expect("nobody panicked with it").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// Takes messages until the connection's end.
fn read(stream: impl Read, messages: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        if !matches!(reader.read_until(b' ', &mut length), Ok(read) if read > 1) {
            return;
        }
        let length: usize = String::from_utf8_lossy(&length).trim_end().parse().expect("a length");
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return;
        }
        messages.lock().expect("nobody panicked with it").push(String::from_utf8(message).expect("text"));
    }
}

/// A certificate for this name, as PEM, and a daemon's side of TLS with it.
fn certificate(name: &str) -> (String, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they belong together");
    (made.cert.pem(), Arc::new(config))
}

#[test]
fn a_daemon_may_stop_and_start_again_under_traffic() {
    let daemon = Daemon::start("127.0.0.1:0", None);
    let address = daemon.address.clone();
    let a = origin("a").start();
    let proxy = proxy().global(&format!("log = [\"stdout\", \"tcp@{address}\"]")).server(&a).start();
    let mut client = client(proxy.address());
    client.get("/before");
    until("the line is there", || daemon.has("GET /before ").then_some(()));
    let first =
        daemon.messages().into_iter().find(|message| message.contains("/before")).expect("it is there");
    assert!(first.starts_with("<134>1 ") && first.contains(" lb "), "{first}");

    drop(daemon);
    for turn in 0..200 {
        assert_eq!(client.get(&format!("/away-{turn}")).text(), "a");
    }
    proxy.log.wait("the log's daemon is away");
    let daemon = Daemon::start(&address, None);
    until("it has all that it missed", || {
        (0..200).all(|turn| daemon.has(&format!("GET /away-{turn} "))).then_some(())
    });
    proxy.log.wait("the log's daemon is there again");
    client.get("/after");
    until("the line is there", || daemon.has("GET /after ").then_some(()));
    let lines = daemon.messages();
    let turns = lines.iter().filter(|line| line.contains("GET /away-")).count();
    assert_eq!(turns, 200, "no line came twice");
}

#[test]
fn by_tls_a_daemon_must_be_who_it_says() {
    let directory = Directory::new();
    let (ca, config) = certificate("logs.test");
    let (other_ca, _) = certificate("logs.test");
    directory.write("ca.pem", ca);
    directory.write("other.pem", other_ca);
    let [good, anybody, stranger, misnamed] =
        [(); 4].map(|()| Daemon::start("127.0.0.1:0", Some(config.clone())));
    let target = |daemon: &Daemon, rest: &str| format!("{{ target = \"tls@{}\", {rest} }}", daemon.address);
    let log = format!(
        "log = [\"stdout\", {}, {}, {}, {}]",
        target(&good, "ca_file = \"ca.pem\", sni = \"logs.test\""),
        target(&anybody, "verify = \"none\""),
        target(&stranger, "ca_file = \"other.pem\", sni = \"logs.test\""),
        target(&misnamed, "ca_file = \"ca.pem\", sni = \"other.test\""),
    );
    let a = origin("a").start();
    let proxy = proxy().global(&log).frontend("log_format = \"json\"").server(&a).start_in(directory);
    for turn in 0..100 {
        get(proxy.address(), &format!("/{turn}"));
    }
    for daemon in [&good, &anybody] {
        until("all lines are there", || {
            (0..100).all(|turn| daemon.has(&format!("\"uri\":\"/{turn}\""))).then_some(())
        });
    }
    for daemon in [&stranger, &misnamed] {
        let said = format!("the log's daemon is away; lines wait for it log=tls@{}", daemon.address);
        let line = proxy.log.wait(&said);
        assert!(line.contains("certificate"), "{line}");
        assert!(daemon.messages().is_empty());
    }
}

#[test]
fn what_waits_is_written_before_the_end() {
    let daemon = Daemon::start("127.0.0.1:0", None);
    let a = origin("a").start();
    let setup = proxy().server(&a);
    let with_daemon = setup.clone().global(&format!("log = [\"stdout\", \"tcp@{}\"]", daemon.address));
    let mut proxy = with_daemon.start();
    for turn in 0..50 {
        get(proxy.address(), &format!("/{turn}"));
    }
    proxy.reload(&setup);
    assert!(proxy.terminate().success());
    until("all of them are there", || (0..50).all(|turn| daemon.has(&format!("GET /{turn} "))).then_some(()));
}

#[test]
fn a_part_of_the_program_can_be_told_to_be_quiet() {
    let mut a = origin("a").start();
    let loud = proxy().checked().server(&a);
    let quiet = loud.clone().global("log_levels = { health = \"error\" }");
    let (loud, quiet) = (loud.start(), quiet.start());
    a.kill();
    loud.log.wait("is DOWN");
    quiet.log.wait("has no server available");
    assert!(!quiet.log.all().iter().any(|line| line.contains("is DOWN")));
}
