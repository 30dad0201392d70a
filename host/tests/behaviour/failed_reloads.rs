//! A reload that fails changes nothing, whatever step it fails at: not the TLS to servers and clients, not logs, policies,
//! bounds or slots, and it leaves nothing behind.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::kit::{
    Authority, Clients, Directory, Origin, Process, Proxy, Setup, Signal, client, get, lb, origin, proxy,
    until,
};
use super::metrics::{Samples, admin, watched};

/// Two configurations of which the second differs from the first in everything that has to be prepared.
struct Scene {
    behind: Origin,
    /// A server that speaks TLS, by the first authority.
    inner: Proxy,
    authorities: [Authority; 2],
    directory: Option<Directory>,
}

impl Scene {
    fn new() -> Scene {
        let authorities = [Authority::new(), Authority::new()];
        let behind = origin("a").start();
        let inner = Directory::new();
        inner.write("site.pem", authorities[0].sign(&["app.internal"]).pem());
        let bind = "{ address = \"127.0.0.1:0\", tls = { crt = \"site.pem\" } }";
        let inner = proxy().only_bind(bind).server(&behind).start_in(inner);
        let directory = Directory::new();
        for (number, authority) in authorities.iter().enumerate() {
            directory.write(&format!("ca{number}.pem"), authority.pem());
            directory.write(&format!("site{number}.pem"), authority.sign(&["a.example"]).pem());
        }
        Scene { behind, inner, authorities, directory: Some(directory) }
    }

    fn path(&self, proxy: &Proxy, name: &str) -> PathBuf {
        proxy.directory.path(name)
    }

    /// The configuration of this number.
    fn setup(&self, number: usize) -> Setup {
        let secure = format!("{{ address = \"127.0.0.2:0\", tls = {{ crt = \"site{number}.pem\" }} }}");
        let trusted = format!("ssl = true\nca_file = \"ca{number}.pem\"\nsni = \"app.internal\"\n");
        let setup = proxy()
            .global(&format!("admin = {{ bind = \"127.0.0.{}:0\" }}", number + 1))
            .global(&format!("log = [\"stdout\", \"file:log{number}\"]"))
            // Each request comes to the server on a connection of its own, and so by the TLS that is in force.
            .global("tune.pool_max_idle = 0")
            .bind(&secure)
            .backend("retries = 0")
            .server_at("s", self.inner.address(), &trusted);
        match number {
            0 => setup,
            _ => setup
                .bind("unix@new.sock")
                .global("maxconn = 1")
                .backend("balance = \"leastconn\"")
                .frontend("rules = [{ response = { set_header = { x-new = \"1\" } } }]"),
        }
    }

    /// The program, by the first configuration; it can be told which step of a reload fails.
    fn start(&mut self) -> Proxy {
        let directory = self.directory.take().expect("it starts once");
        let config = directory.write("lb.toml", self.setup(0).text());
        let mut command = lb(&["run", config.to_str().expect("a path that is text")]);
        command.env("LB_TEST_FAILING_STEP", directory.path("step"));
        command.current_dir(&directory);
        let mut process = Process::start(command);
        let (log, errors) = process.output();
        Proxy::ready(process, log, errors, directory)
    }

    fn clients(&self, number: usize) -> Clients {
        self.authorities[number].clients()
    }

    /// Everything is as the first configuration has it.
    #[track_caller]
    fn expect_first(&self, proxy: &Proxy, path: &str) {
        let mut plain = client(proxy.address());
        let answer = plain.get(path);
        assert_eq!((answer.text().as_str(), answer.header("x-new")), ("a", None));
        let mut secure = self.clients(0).connect(&proxy.addresses[1], "a.example");
        assert_eq!(secure.get(path).text(), "a");
        assert_eq!(client(proxy.address()).get(path).text(), "a", "three at a time");
        assert!(!self.path(proxy, "new.sock").exists(), "what was bound is gone");
        let samples = Samples::of(proxy);
        assert!(admin(proxy).starts_with("127.0.0.1:"));
        samples.expect(&[("lb_config_generations", 1.0)]);
        assert!(samples.has(
            "lb_policy_instances_total{backend=\"app\",role=\"balance\",position=\"0\",policy=\"roundrobin\"}"
        ));
        assert!(!samples.has(&format!(
            "lb_log_lines_written_total{{destination=\"{}\"}}",
            self.path(proxy, "log1").display()
        )));
        let log = self.path(proxy, "log0");
        until("its log is written", || {
            std::fs::read_to_string(&log).is_ok_and(|log| log.contains(path)).then_some(())
        });
        let other = std::fs::read_to_string(self.path(proxy, "log1")).unwrap_or_default();
        assert!(!other.contains("GET"), "{other}");
    }
}

#[test]
fn whatever_step_fails_the_configuration_of_before_serves_with_all_that_belongs_to_it() {
    if !cfg!(debug_assertions) {
        // A program built for use does not fail on demand.
        return;
    }
    let mut scene = Scene::new();
    let proxy = scene.start();
    scene.expect_first(&proxy, "/before");
    let descriptors = |proxy: &Proxy| Samples::of(proxy).value("lb_process_open_fds");
    let mut steps = 0;
    let mut open = f64::INFINITY;
    proxy.directory.write("lb.toml", scene.setup(1).text());
    loop {
        proxy.directory.write("step", steps.to_string());
        let lines = proxy.log.all().len();
        proxy.process.signal(Signal::Hangup);
        let outcome = proxy.log.wait_from(lines, "how it went", |line| {
            line.contains("reloaded addresses=") || line.contains("is not in force")
        });
        if outcome.contains("reloaded") {
            break;
        }
        assert!(outcome.contains("a test has this step fail"), "{outcome}");
        scene.expect_first(&proxy, &format!("/step-{steps}"));
        if steps == 0 {
            open = descriptors(&proxy);
        }
        steps += 1;
    }
    assert!(steps >= 8, "{steps} steps were tried");
    assert!(descriptors(&proxy) <= open + 8.0, "nothing was left open on the way");
    // And now everything is as the second one has it.
    let unix = format!("unix@{}", proxy.directory.path("new.sock").display());
    until("the first clients have gone", || {
        (Samples::of(&proxy).value("lb_process_current_connections") == 0.0).then_some(())
    });
    assert_eq!(get(&unix, "/after").status(), 503, "the server is not trusted any more");
    assert!(scene.clients(1).try_connect(&proxy.addresses[1], "a.example").is_ok());
    assert!(admin(&proxy).starts_with("127.0.0.2:"));
    assert!(scene.behind.requests().iter().all(|request| request.target() != "/after"));
}

#[test]
fn an_address_in_use_leaves_the_tls_of_before_in_force() {
    let mut scene = Scene::new();
    let mut proxy = scene.start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for (turn, where_) in ["/first", "/second"].into_iter().enumerate() {
        let said = proxy.hang_up(&scene.setup(1).bind(&address), "is not in force");
        assert!(said.contains("cannot listen"), "{said}");
        scene.expect_first(&proxy, where_);
        let samples = Samples::of(&proxy);
        samples.expect(&[("lb_config_reload_failures_total", turn as f64 + 1.0)]);
    }
}

#[test]
fn a_socket_file_of_a_reload_that_failed_is_gone_and_one_in_use_stays() {
    let a = origin("a").start();
    let (old, new) = ("unix@old.sock", "unix@new.sock");
    let setup = || proxy().only_bind(old).server(&a);
    let directory = Directory::new();
    let mut proxy = setup().start_in(directory);
    let [old, new] = [old, new].map(|address| proxy.directory.path(&address[5..]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    proxy.hang_up(&setup().bind("unix@new.sock").bind(&address), "is not in force");
    assert!(!new.exists());
    assert!(UnixStream::connect(&old).is_ok());
    proxy.hang_up(&setup().bind("unix@new.sock"), "reloaded addresses=");
    assert!(UnixStream::connect(&old).is_ok() && UnixStream::connect(&new).is_ok());
    assert_eq!(get(&format!("unix@{}", new.display()), "/").text(), "a");
}

#[test]
fn slots_are_not_filled_from_the_source_of_a_configuration_that_fails() {
    let [a, b] = ["a", "b"].map(|name| origin(name).start());
    let directory = Directory::new();
    for origin in [&a, &b] {
        let text = format!("[[servers]]\naddress = \"{}\"\n", origin.address());
        directory.write(&format!("{}.toml", origin.name()), text);
    }
    let from = |name: &str| {
        watched().backend(&format!("servers = {{ from = \"file:{name}.toml\", name = \"app\", max = 4 }}"))
    };
    let mut proxy = from("a").start_in(directory);
    until("it serves", || (get(proxy.address(), "/").status() == 200).then_some(()));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    proxy.hang_up(&from("b").bind(&address), "is not in force");
    for _ in 0..8 {
        assert_eq!(get(proxy.address(), "/").text(), "a");
    }
    proxy.reload(&from("b"));
    assert_eq!(get(proxy.address(), "/").text(), "b", "it was asked before the first request");
    // The same source again, with more room: who serves goes on.
    let wider = "servers = { from = \"file:b.toml\", name = \"app\", max = 8 }";
    proxy.reload(&watched().backend(wider));
    assert_eq!(get(proxy.address(), "/").text(), "b");
}
