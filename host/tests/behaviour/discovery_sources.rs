//! Servers that a file or Consul names.

use super::kit::{Authority, Consul, Directory, Load, Origin, Setup, Signed, get, origin, proxy, until};

fn setup(from: &str, keys: &str) -> Setup {
    proxy().backend(&format!("servers = {{ from = \"{from}\", name = \"app\", max = 4{keys} }}"))
}

fn toml(origins: &[&Origin]) -> String {
    origins.iter().map(|origin| format!("[[servers]]\naddress = \"{}\"\n", origin.address())).collect()
}

#[track_caller]
fn served_by(load: &Load, names: &[&str]) {
    until(&format!("{names:?} serve alone"), || {
        load.distribution();
        load.pass(60);
        let served: Vec<String> = load.distribution().into_keys().collect();
        (served == names).then_some(())
    });
}

#[test]
fn a_file_is_followed_under_load_and_one_that_makes_no_sense_changes_nothing() {
    let [a, b] = ["a", "b"].map(|name| origin(name).start());
    let directory = Directory::new();
    directory.write("servers.toml", toml(&[&a]));
    let proxy = setup("file:servers.toml", "").start_in(directory);
    let load = Load::start(proxy.address(), 4);
    served_by(&load, &["a"]);
    proxy.directory.write("servers.toml", toml(&[&a, &b]));
    served_by(&load, &["a", "b"]);
    proxy.directory.write("servers.toml", "[[servers]]\naddress = \"nowhere\"\n");
    let said = proxy.log.wait("known last stay");
    assert!(said.contains("servers.toml") && said.contains("the 2 known last stay"), "{said}");
    load.pass(100);
    proxy.directory.write("servers.toml", toml(&[&b]));
    proxy.log.wait("answers again");
    served_by(&load, &["b"]);
    std::fs::remove_file(proxy.directory.path("servers.toml")).expect("it is there");
    proxy.log.wait("cannot read");
    load.pass(100);
    load.stop();
}

#[test]
fn a_file_may_be_json_and_may_come_late() {
    let [a, spare] = ["a", "spare"].map(|name| origin(name).start());
    let proxy = setup("file:servers.json", "").start();
    proxy.log.wait("cannot read");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    let list = format!(
        r#"{{"servers": [{{"address": "{}", "backup": true}}, {{"address": "{}", "weight": 5}}]}}"#,
        spare.address(),
        a.address()
    );
    proxy.directory.write("servers.json", list);
    until("it serves", || (get(proxy.address(), "/").status() == 200).then_some(()));
    let served: Vec<String> = (0..4).map(|_| get(proxy.address(), "/").text()).collect();
    assert_eq!(served, ["a"; 4]);
}

#[test]
fn consul_is_asked_by_blocking_queries_and_its_outages_change_nothing() {
    let [a, b] = ["a", "b"].map(|name| origin(name).start());
    let consul = Consul::start();
    consul.instances(&[(&a.address(), 1)]);
    let directory = Directory::new();
    directory.write("token", "secret-token\n");
    let from = format!("consul:http://{}/v1/health/service/web?passing&tag=v1", consul.address());
    let proxy = setup(&from, ", token_file = \"token\"").start_in(directory);
    let load = Load::start(proxy.address(), 4);
    served_by(&load, &["a"]);
    consul.instances(&[(&a.address(), 1), (&b.address(), 1)]);
    served_by(&load, &["a", "b"]);
    consul.status(500);
    let said = proxy.log.wait("known last stay");
    assert!(said.contains("Consul answers 500"), "{said}");
    load.pass(100);
    consul.status(200);
    proxy.log.wait("answers again");
    consul.instances(&[(&b.address(), 1)]);
    served_by(&load, &["b"]);
    load.stop();
    let asked = consul.asked();
    assert!(asked.iter().all(|(_, token)| token == "secret-token"));
    let first = "/v1/health/service/web?passing&tag=v1";
    assert_eq!(asked[0].0, first);
    assert_eq!(asked[1].0, format!("{first}&index=15&wait=300s"));
    assert!(asked.len() < 20, "it is asked when there is news, not all the time: {}", asked.len());
    assert!(!proxy.log.all().iter().any(|line| line.contains("secret-token")));
}

#[test]
fn consul_may_be_asked_by_tls_and_only_who_can_be_trusted_is_heard() {
    let a = origin("a").start();
    let authority = Authority::new();
    let consul = Consul::start_tls(&authority.sign(&["127.0.0.1"]));
    consul.instances(&[(&a.address(), 1)]);
    let directory = Directory::new();
    directory.write("token", "secret-token\n");
    directory.write("ca.pem", Authority::new().pem());
    let from = format!("consul:https://{}/v1/health/service/web?passing", consul.address());
    let setup = setup(&from, ", token_file = \"token\", source_ca_file = \"ca.pem\"");
    let mut proxy = setup.start_in(directory);
    let said = proxy.log.wait("no TLS with");
    assert!(said.contains("certificate"), "{said}");
    assert!(consul.asked().is_empty(), "the token went to nobody");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    // The file is read for each question.
    proxy.directory.write("ca.pem", authority.pem());
    proxy.log.wait("answers again");
    until("it serves", || (get(proxy.address(), "/").status() == 200).then_some(()));
    assert!(consul.asked().iter().all(|(_, token)| token == "secret-token"));
    proxy.directory.write("ca.pem", "no certificate");
    proxy.hang_up(&setup, "there is no authority's certificate in");
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn consul_may_show_a_certificate_that_has_signed_itself() {
    let a = origin("a").start();
    let signed = Signed::by_itself(&["127.0.0.1"], |_| {});
    let consul = Consul::start_tls(&signed);
    consul.instances(&[(&a.address(), 1)]);
    let directory = Directory::new();
    directory.write("ca.pem", &signed.chain);
    let from = format!("consul:https://{}/v1/health/service/web?passing", consul.address());
    let proxy = setup(&from, ", source_ca_file = \"ca.pem\"").start_in(directory);
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn an_index_of_consul_that_runs_backwards_is_begun_anew() {
    let a = origin("a").start();
    let consul = Consul::start();
    consul.instances(&[(&a.address(), 1)]);
    let from = format!("consul:http://{}/v1/health/service/web", consul.address());
    let proxy = setup(&from, ", wait = \"10s\"").start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    until("it waits for news", || {
        consul.asked().iter().any(|(target, _)| target.contains("index=15")).then_some(())
    });
    consul.restart_index();
    until("it begins anew", || {
        let asked = consul.asked();
        let waits = asked.iter().position(|(target, _)| target.contains("index=15"))?;
        asked[waits..].iter().any(|(target, _)| target == "/v1/health/service/web").then_some(())
    });
    until("it follows the new ones", || {
        consul.asked().iter().any(|(target, _)| target.ends_with("?index=3&wait=10s")).then_some(())
    });
    assert_eq!(get(proxy.address(), "/").text(), "a");
}

#[test]
fn a_service_without_instances_is_held_for_a_while() {
    let a = origin("a").start();
    let consul = Consul::start();
    consul.instances(&[(&a.address(), 1)]);
    let from = format!("consul:http://{}/v1/health/service/web?passing", consul.address());
    let proxy = setup(&from, ", hold = \"200ms\"").start();
    assert_eq!(get(proxy.address(), "/").text(), "a");
    consul.instances(&[]);
    proxy.log.wait("it names no server");
    proxy.log.wait("app/app1 is DOWN");
    assert_eq!(get(proxy.address(), "/").status(), 503);
    consul.instances(&[(&a.address(), 1)]);
    proxy.log.wait("names servers again");
    until("it serves again", || (get(proxy.address(), "/").status() == 200).then_some(()));
}
