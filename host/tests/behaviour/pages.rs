//! `errorfile`: pages of the user's own, in place of the built-in ones.

use super::kit::{Directory, Setup, client, get, origin, proxy, run};

const RAW: &str =
    "HTTP/1.0 503 Gone Fishing\nContent-Type: text/plain\nConnection: close\nX-Page: raw\n\nback soon\n";

/// Nobody listens where the server should be.
fn without_servers() -> Setup {
    proxy().backend("retries = 0").server_at("a", "127.0.0.1:1", "")
}

#[test]
fn a_whole_response_is_sent_and_the_connection_stays() {
    let directory = Directory::new();
    directory.write("503.http", RAW);
    let proxy = without_servers().frontend("errorfile = { 503 = \"503.http\" }").start_in(directory);
    let mut client = client(proxy.address());
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(answer.start, "HTTP/1.1 503 Gone Fishing");
        assert_eq!((answer.header("x-page"), answer.header("connection")), (Some("raw"), None));
        assert_eq!(answer.text(), "back soon\n");
    }
    client.ask("HEAD", "/head", &[]);
    let head = client.response_to("HEAD");
    assert_eq!((head.header("content-length"), head.text().as_str()), (Some("10"), ""));
    assert_eq!(client.get("/").text(), "back soon\n", "nothing was left over");
    assert_eq!(proxy.exchange("/head").state, "SC--");
}

#[test]
fn a_backends_page_stands_over_the_frontends_and_that_over_defaults() {
    let directory = Directory::new();
    for name in ["backend", "frontend", "defaults"] {
        directory.write(&format!("{name}.html"), format!("<p>{name}</p>"));
    }
    let setup = without_servers();
    let defaults = "errorfile = { 503 = \"defaults.html\", 400 = \"defaults.html\" }\n[frontends.web]";
    let texts = |setup: Setup, directory: &Directory| {
        let text = setup.text().replace("[frontends.web]", defaults);
        let config = directory.write("lb.toml", text);
        let mut process =
            super::kit::Process::start(super::kit::lb(&["run", config.to_str().expect("text")]));
        let (log, errors) = process.output();
        let proxy = super::kit::Proxy::ready(process, log, errors, Directory::new());
        let mut bad = client(proxy.address());
        bad.send("nonsense\r\n\r\n");
        [get(proxy.address(), "/").text(), bad.response().text()]
    };
    let frontend = setup.clone().frontend("errorfile = { 503 = \"frontend.html\" }");
    let backend = frontend.clone().backend("errorfile = { 503 = \"backend.html\", 400 = \"backend.html\" }");
    assert_eq!(texts(setup, &directory), ["<p>defaults</p>", "<p>defaults</p>"]);
    assert_eq!(texts(frontend, &directory), ["<p>frontend</p>", "<p>defaults</p>"]);
    assert_eq!(
        texts(backend, &directory),
        ["<p>backend</p>", "<p>defaults</p>"],
        "what is no request has no backend"
    );
}

#[test]
fn html_gets_the_head_of_its_status_and_limits_add_theirs() {
    let directory = Directory::new();
    directory.write("429.html", "<h1>slow down</h1>");
    let a = origin("a").start();
    let proxy = proxy()
        .frontend("errorfile = { 429 = \"429.html\" }\nlimits = [{ requests = 1, per = \"1h\" }]")
        .server(&a)
        .start_in(directory);
    assert_eq!(get(proxy.address(), "/").status(), 200);
    let answer = get(proxy.address(), "/");
    assert_eq!(answer.start, "HTTP/1.1 429 Too Many Requests");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.text(), "<h1>slow down</h1>");
}

#[test]
fn an_empty_page_closes_the_connection_without_an_answer() {
    let proxy = without_servers().frontend("errorfile = { 503 = \"/dev/null\" }").start();
    let mut client = client(proxy.address());
    client.ask("GET", "/", &[]);
    client.expect_end();
    let line = proxy.exchange("/");
    assert_eq!((line.status, line.bytes), (503, 0));
}

#[test]
fn pages_are_read_again_at_a_reload_and_a_wrong_one_stays_out() {
    let directory = Directory::new();
    directory.write("503.html", "first");
    let setup = without_servers().frontend("errorfile = { 503 = \"503.html\" }");
    let mut proxy = setup.start_in(directory);
    assert_eq!(get(proxy.address(), "/").text(), "first");
    proxy.directory.write("503.html", "second");
    proxy.reload(&setup);
    assert_eq!(get(proxy.address(), "/").text(), "second");
    proxy.directory.write("503.html", RAW);
    proxy.hang_up(&setup, "the old one stays");
    assert_eq!(get(proxy.address(), "/").text(), "second");
}

#[test]
fn a_page_that_changes_is_noticed() {
    let directory = Directory::new();
    directory.write("503.html", "first");
    let setup = without_servers().global("watch = true").backend("errorfile = { 503 = \"503.html\" }");
    let proxy = setup.start_in(directory);
    assert_eq!(get(proxy.address(), "/").text(), "first");
    proxy.directory.write("503.html", "the second");
    proxy.log.wait("503.html changed");
    proxy.log.wait("reloaded addresses");
    assert_eq!(get(proxy.address(), "/").text(), "the second");
}

#[test]
fn check_points_at_pages_that_are_none() {
    let directory = Directory::new();
    directory.write("length.http", "HTTP/1.1 503 Busy\r\ncontent-length: 3\r\n\r\nhello");
    directory.write("html.http", "<html></html>");
    directory.write("other.http", "HTTP/1.1 200 OK\r\n\r\nfine");
    let files = "{ 500 = \"missing.http\", 502 = \"html.http\", 503 = \"length.http\" }";
    let check = |files: &str| {
        let text = without_servers().frontend(&format!("errorfile = {files}")).text();
        let config = directory.write("lb.toml", text);
        run(&["check", config.to_str().expect("text")])
    };
    let (code, said, errors) = check(files);
    assert_eq!((code, said.as_str()), (1, ""));
    for part in [
        "missing.http` cannot be read",
        "begins with HTML",
        "name it `.html`",
        "a body of 5 bytes, and its content-length says 3",
        "^^^",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let (code, said, errors) = check("{ 503 = \"other.http\" }");
    assert!(code == 0 && errors.contains("is sent with the status 200, in place of 503"), "{errors}");
    assert!(said.contains("errorfile 503 from"), "{said}");
}
