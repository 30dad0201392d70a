//! `lb policy simulate` as a user has it.

use std::process::Command;

fn simulate(arguments: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_lb"))
        .args(["policy", "simulate"])
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (run.status.code().expect("an exit code"), text(run.stdout), text(run.stderr))
}

/// A file that goes with the test, by its path.
struct Temporary(String);

impl std::ops::Deref for Temporary {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn file(name: &str, text: &str) -> Temporary {
    let path = std::env::temp_dir().join(format!("lb-simulate-{}-{name}", std::process::id()));
    std::fs::write(&path, text).expect("a file can be written");
    Temporary(path.to_str().expect("a path that is text").to_owned())
}

#[test]
fn without_arguments_it_shows_what_a_slow_server_does() {
    let (code, report, measured) = simulate(&["--duration", "5s"]);
    assert_eq!(code, 0, "{measured}");
    for part in ["10 servers (1 slow by 10)", "roundrobin ", "leastconn ", "source ", "p99.9"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(measured.contains("decisions in") && measured.contains("peak memory"), "{measured}");
    let (_, again, _) = simulate(&["--duration", "5s"]);
    assert_eq!(report, again);
}

#[test]
fn the_page_stands_by_itself_and_the_json_is_json() {
    let page = file("page.html", "");
    let (code, json, errors) =
        simulate(&["leastconn", "--duration", "2s", "--churn", "1/1s", "--json", "--html", &page]);
    assert_eq!(code, 0, "{errors}");
    assert!(json.starts_with("{\n") && json.ends_with("}\n") && json.contains("\"p99_ms\": "), "{json}");
    let page = std::fs::read_to_string(&*page).expect("it was written");
    assert_eq!(page.matches("<svg viewBox=\"0 0 560").count(), 4);
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn servers_and_policies_come_from_a_configuration() {
    let config = file(
        "lb.toml",
        "[frontends.web]\nbind = \"127.0.0.1:0\"\ndefault_backend = \"app\"\n[backends.app]\nbalance = \"leastconn\"\n\
         [[backends.app.servers]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\nweight = 3\n\
         [[backends.app.servers]]\nname = \"b\"\naddress = \"127.0.0.1:2\"\n\
         [[backends.app.servers]]\nname = \"c\"\naddress = \"127.0.0.1:3\"\nbackup = true\n",
    );
    let (code, report, errors) =
        simulate(&["--config", &config, "--duration", "2s", "--slow", "none", "--json"]);
    assert_eq!(code, 0, "{errors}");
    assert!(report.contains("2 servers, one request") && report.contains("\"policy\": \"app\""), "{report}");
    let (code, _, errors) = simulate(&["--config", &config, "--backend", "ap"]);
    assert_eq!(code, 1);
    assert!(errors.contains("did you mean `app`?"), "{errors}");
}

#[test]
fn an_access_log_can_be_played() {
    let line = |second: u32| {
        format!(
            "10.0.0.{second}:999 [06/Feb/2009:12:14:{second}.000] w a/b 1/0/0/5/6 200 9 - - ---- 1/1/1/1/0 0/0 \
             \"GET / HTTP/1.1\"\n"
        )
    };
    let log = file("access.log", &(10..40).map(line).collect::<String>());
    let (code, report, errors) = simulate(&["source", "--log", &log, "--warmup", "0s"]);
    assert_eq!(code, 0, "{errors}");
    assert!(report.contains("30 requests of an access log, 1.03 a second, 30 different"), "{report}");
    let (code, _, errors) = simulate(&["--log", &file("no.log", "x\n")]);
    assert!(code == 1 && errors.contains("option httplog"), "{errors}");
}

#[test]
fn mistakes_are_named() {
    for (arguments, code, part) in [
        (&["rondrobin"][..], 2, "did you mean `roundrobin`?"),
        (&["--service", "exponental:5ms"], 2, "did you mean `exponential`?"),
        (&["--failing", "1:hang"], 2, "did you mean `hangs`?"),
        (&["--rate", "fast"], 2, "is no rate"),
        (&["--slow", "11x2"], 1, "11 servers are to be slow"),
        (&["roundrobin", "-o", "x=1"], 1, "none of these policies has a setting `x`"),
        (&["/no/such.wasm"], 1, "/no/such.wasm"),
        (&["--duration", "5s", "--warmup", "5s"], 1, "warm-up"),
    ] {
        let (found, _, errors) = simulate(arguments);
        assert_eq!(found, code, "{arguments:?}: {errors}");
        assert!(errors.contains(part), "{part}: {errors}");
    }
}
