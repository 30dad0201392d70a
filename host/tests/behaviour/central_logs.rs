//! What lines say where it is not HAProxy's HTTP format, and which exchanges have one.

use serde_json::{Value, json};

use super::kit::{Answer, Proxy, client, get, origin, proxy, until};

/// The JSON line of the exchange with this URI.
#[track_caller]
fn json_line(proxy: &Proxy, uri: &str) -> Value {
    until(&format!("{uri} is logged"), || {
        let lines = proxy.log.all();
        let mut values = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.find(|value| value["uri"] == uri)
    })
}

#[test]
fn an_exchange_is_an_object_of_json_with_what_was_captured() {
    let a = origin("a").route("/x", Answer::new(404, "no").header("content-type", "text/plain")).start();
    let proxy = proxy()
        .frontend("log_format = \"json\"")
        .frontend("capture = { request = [\"user-agent\", \"referer\"], response = \"content-type\", cookie = \"SID\" }")
        .server(&a)
        .start();
    let headers = [("user-agent", "a\"b\\c {é}"), ("cookie", "A=1; SID=xyz")];
    assert_eq!(client(proxy.address()).get_with("/x", &headers).status(), 404);
    let line = json_line(&proxy, "/x");
    assert_eq!(
        (&line["frontend"], &line["backend"], &line["server"]),
        (&json!("web"), &json!("app"), &json!("a"))
    );
    assert_eq!(
        (&line["status"], &line["method"], &line["termination"]),
        (&json!(404), &json!("GET"), &json!("----"))
    );
    assert_eq!(line["request_headers"], json!({ "user-agent": "a\"b\\c {é}", "referer": null }));
    assert_eq!(line["response_headers"], json!({ "content-type": "text/plain" }));
    assert_eq!((&line["request_cookie"], &line["response_cookie"]), (&json!("SID=xyz"), &Value::Null));
    assert!(line["total_ms"].as_u64() >= line["response_ms"].as_u64());
    let time = line["time"].as_str().expect("a time");
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");

    client(proxy.address()).send("NONSENSE\r\n\r\n");
    let refused = until("it is logged", || {
        let lines = proxy.log.all();
        let mut values = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.find(|value| value["uri"].is_null())
    });
    assert_eq!((&refused["status"], &refused["termination"]), (&json!(400), &json!("PR--")));
}

#[test]
fn a_log_format_string_is_followed() {
    let a = origin("a").start();
    let proxy = proxy()
        .frontend("log_format = '%ST %tsc %b/%s %{+Q}r %hr %[req.hdr(host)] %fi %si:%sp %HM|%HQ'")
        .frontend("capture = { request = { header = \"user-agent\", len = 4 } }")
        .server(&a)
        .start();
    client(proxy.address()).get_with("/p?q=1", &[("user-agent", "curl/8|x")]);
    let line = proxy.log.wait("/p?q=1");
    let host = until("the server saw it", || {
        a.requests().iter().find_map(|request| request.header("host").map(str::to_owned))
    });
    assert_eq!(
        line,
        format!("200 ---- app/a \"GET /p?q=1 HTTP/1.1\" {{curl}} {host} 127.0.0.1 {} GET|?q=1", a.address())
    );
}

#[test]
fn captures_stand_in_the_http_format_and_a_response_that_never_came_has_none() {
    let a =
        origin("a").route("/x", Answer::new(200, "x").header("x-out", "out|put")).silent("/silent").start();
    let proxy = proxy()
        .timeout("server", "50ms")
        .frontend("capture = { request = \"x-in\", response = [\"x-out\", \"x-none\"], cookie = \"SID\" }")
        .server(&a)
        .start();
    let mut client = client(proxy.address());
    client.get_with("/x", &[("x-in", "in"), ("cookie", "SID=1")]);
    let line = proxy.log.wait("GET /x ");
    assert!(line.contains(" SID=1 - ---- ") && line.contains(" {in} {out#7Cput|} \"GET"), "{line}");
    assert_eq!(client.get("/silent").status(), 504);
    let line = proxy.log.wait("GET /silent ");
    assert!(line.contains(" - - sH-- ") && line.contains(" {} {|} \"GET"), "{line}");
}

#[test]
fn errors_alone_are_logged_where_that_is_asked_for() {
    let a = origin("a").route("/bad", Answer::new(500, "bad")).route("/no", Answer::new(404, "no")).start();
    let proxy = proxy().frontend("log_only = \"errors\"").server(&a).start();
    for path in ["/", "/no", "/bad"] {
        get(proxy.address(), path);
    }
    proxy.exchange("/bad");
    assert_eq!(proxy.exchanges().len(), 1);
}

#[test]
fn a_sample_leaves_out_what_is_normal_and_nothing_else() {
    let a = origin("a").route("/bad", Answer::new(503, "bad")).start();
    let proxy = proxy().global("nbthread = 1").frontend("log_sample = \"2:10\"").server(&a).start();
    let mut client = client(proxy.address());
    for turn in 0..40 {
        client.get(&format!("/{turn}"));
        client.get("/bad");
    }
    client.get("/40");
    proxy.exchange("/40");
    let exchanges = proxy.exchanges();
    let normal: Vec<&str> = exchanges.iter().filter(|it| it.status == 200).map(|it| it.path()).collect();
    assert_eq!(normal, ["/0", "/1", "/10", "/11", "/20", "/21", "/30", "/31", "/40"]);
    assert_eq!(exchanges.len() - normal.len(), 40);
}

#[test]
fn errors_go_out_at_a_level_of_their_own() {
    let a = origin("a").route("/bad", Answer::new(500, "bad")).start();
    let proxy = proxy()
        .global("log = [{ target = \"stdout\", format = \"priority\" }]")
        .frontend("log_separate_errors = true")
        .server(&a)
        .start();
    get(proxy.address(), "/good");
    get(proxy.address(), "/bad");
    assert!(proxy.log.wait("GET /good ").starts_with("<134>"));
    assert!(proxy.log.wait("GET /bad ").starts_with("<131>"));
}
