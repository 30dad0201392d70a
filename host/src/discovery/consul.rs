//! Consul's health API, by blocking queries: a question is held back until the answer is another than the one before,
//! as told by its index, or until the time is over that it may take.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Endpoint, Found, MOST_BYTES, Trouble};
use crate::config::model::discovery::{Consul, ConsulTls, Token};
use crate::tls::trust;

/// How long a connection may take, and how much longer than it may be held back an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two questions, at least: a Consul that answers at once every time is not asked without end.
const BREATH: Duration = Duration::from_millis(100);

/// The largest weight of a server.
const LARGEST_WEIGHT: u32 = 256;

/// Who asks Consul.
pub(super) struct Client {
    query: Consul,
    /// That of the last answer; 0: the next one comes at once.
    index: u64,
}

impl Client {
    pub(super) fn new(query: &Consul) -> Client {
        Client { query: query.clone(), index: 0 }
    }

    /// Asks. From the second time on the answer comes when there is something new.
    pub(super) async fn ask(&mut self) -> Result<Found, Trouble> {
        let answer = self.fetch().await.and_then(|(index, body)| Ok((index, parse(&body)?)));
        match answer {
            Ok((index, endpoints)) => {
                self.index = next_index(self.index, index);
                Ok(Found { endpoints, pause: BREATH })
            }
            Err(why) => {
                // What an index meant before may mean nothing to who answers next.
                self.index = 0;
                Err(Trouble::Outage(why))
            }
        }
    }

    /// The index and the body of an answer.
    async fn fetch(&self) -> Result<(Option<u64>, Bytes), String> {
        let request = self.request().await?;
        let authority = &self.query.authority;
        let connected = timeout(PATIENCE, TcpStream::connect(authority)).await;
        let stream = connected
            .map_err(|_| format!("{authority} takes no connection in time"))?
            .map_err(|error| format!("cannot connect to {authority}: {error}"))?;
        match &self.query.tls {
            None => self.exchange(stream, request).await,
            Some(tls) => {
                let stream = timeout(PATIENCE, secured(stream, authority, tls)).await;
                self.exchange(
                    stream.map_err(|_| format!("{authority} takes too long for its TLS"))??,
                    request,
                )
                .await
            }
        }
    }

    /// Asks on a connection.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        request: Request<Empty<Bytes>>,
    ) -> Result<(Option<u64>, Bytes), String> {
        // Consul adds up to a sixteenth, so that not all questions end at once.
        let patience = PATIENCE + self.query.wait + self.query.wait / 16;
        let exchange = async {
            let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
            let answer = async {
                let response = sender.send_request(request).await?;
                let (head, body) = response.into_parts();
                Ok::<_, hyper::Error>((head, Limited::new(body, MOST_BYTES).collect().await))
            };
            let mut connection = std::pin::pin!(connection);
            let mut answer = std::pin::pin!(answer);
            let mut open = true;
            loop {
                tokio::select! {
                    answer = &mut answer => return answer,
                    ended = &mut connection, if open => {
                        open = false;
                        ended?;
                    }
                }
            }
        };
        let (head, body) = timeout(patience, exchange)
            .await
            .map_err(|_| "Consul does not answer in time".to_owned())?
            .map_err(|error| format!("Consul breaks off: {error}"))?;
        if head.status != StatusCode::OK {
            return Err(format!("Consul answers {}", head.status));
        }
        let body = body.map_err(|error| format!("Consul's answer cannot be read: {error}"))?;
        Ok((index(&head.headers), body.to_bytes()))
    }

    async fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let Consul { authority, target, wait, token, .. } = &self.query;
        let mut target = target.clone();
        if self.index > 0 {
            target.push(if target.contains('?') { '&' } else { '?' });
            target += &format!("index={}&wait={}s", self.index, wait.as_secs().max(1));
        }
        let mut request = Request::get(target).header(HOST, authority).header(ACCEPT, "application/json");
        if let Some(token) = read_token(token.clone()).await? {
            request = request.header("x-consul-token", token);
        }
        request.body(Empty::new()).map_err(|error| error.to_string())
    }
}

/// TLS of a connection; the certificate must be for the host that is asked.
async fn secured(
    stream: TcpStream,
    authority: &str,
    tls: &ConsulTls,
) -> Result<TlsStream<TcpStream>, String> {
    let path = tls.ca_file.as_ref().map(|file| file.path.clone());
    let config = tokio::task::spawn_blocking(move || trust::client(true, path.as_deref())).await;
    let config = config.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` cannot be asked for by TLS"))?;
    let shaken = TlsConnector::from(config).connect(name, stream).await;
    shaken.map_err(|error| format!("no TLS with {authority}: {error}"))
}

/// The token, and no word of it in any message.
async fn read_token(token: Option<Token>) -> Result<Option<HeaderValue>, String> {
    let text = match token {
        None => return Ok(None),
        Some(Token::Variable(name)) => {
            std::env::var(&name).map_err(|error| format!("cannot read the variable {name}: {error}"))?
        }
        Some(Token::File(path)) => {
            let shown = path.display().to_string();
            let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await;
            let read = read.map_err(|error| error.to_string())?;
            read.map_err(|error| format!("cannot read {shown}: {error}"))?
        }
    };
    let mut value =
        HeaderValue::from_str(text.trim()).map_err(|_| "Consul's token has characters that no token has")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn index(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-consul-index")?.to_str().ok()?.parse().ok()
}

/// The index to ask with next. One that runs backwards begins anew, and 0 would not be held back: both as Consul's
/// documentation demands.
fn next_index(before: u64, now: Option<u64>) -> u64 {
    match now {
        Some(now) if now >= before => now.max(1),
        _ => 0,
    }
}

/// An instance of a service, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    node: Node,
    service: Service,
    #[serde(default)]
    checks: Option<Vec<Check>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    weights: Option<Weights>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    #[serde(default)]
    status: String,
}

/// The servers that an answer names. Those that Consul itself holds for critical are left out, and those in doubt have
/// the weight that they are to have then.
///
/// # Errors
/// What makes it no such answer, as text for people.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Endpoint>, String> {
    let instances: Vec<Instance> =
        serde_json::from_slice(body).map_err(|error| format!("Consul's answer makes no sense: {error}"))?;
    let mut endpoints = Vec::new();
    for Instance { node, service, checks } in instances {
        let checks = checks.unwrap_or_default();
        let any = |status: &[&str]| checks.iter().any(|check| status.contains(&&*check.status));
        if any(&["critical", "maintenance"]) {
            continue;
        }
        let host = if service.address.is_empty() { &node.address } else { &service.address };
        // A name here is one of Consul's own, and whoever uses such names has DNS to follow.
        let ip: IpAddr = host
            .parse()
            .map_err(|_| format!("`{}` in Consul's answer is not an IP address", host.escape_debug()))?;
        if service.port == 0 || ip.is_unspecified() {
            return Err(format!("Consul's answer has a service at {ip} that cannot be connected to"));
        }
        let weight = service.weights.map(|weights| {
            let weight = if any(&["warning"]) { weights.warning } else { weights.passing };
            weight.min(LARGEST_WEIGHT)
        });
        endpoints.push(Endpoint { address: (ip, service.port).into(), weight, backup: false });
    }
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INSTANCE: &str = r#"{"Node": {"Node": "n1", "Address": "10.0.0.9"},
        "Service": {"ID": "web-1", "Address": "ADDRESS", "Port": 8080, "Weights": {"Passing": 10, "Warning": 3}},
        "Checks": [{"Status": "passing"}, {"Status": "STATUS"}]}"#;

    fn instance(address: &str, status: &str) -> String {
        INSTANCE.replace("ADDRESS", address).replace("STATUS", status)
    }

    #[test]
    fn instances_have_their_own_address_or_their_nodes_and_the_weight_of_their_state() {
        let body = [("10.0.0.1", "passing"), ("", "warning"), ("10.0.0.3", "critical")];
        let body = body.map(|(address, status)| instance(address, status)).join(",");
        let endpoint = |last, weight| Endpoint {
            address: ([10, 0, 0, last], 8080).into(),
            weight: Some(weight),
            backup: false,
        };
        assert_eq!(parse(format!("[{body}]").as_bytes()), Ok(vec![endpoint(1, 10), endpoint(9, 3)]));
        assert_eq!(parse(b"[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_makes_no_sense_is_refused_as_a_whole() {
        let named = format!("[{}]", instance("web.internal", "passing"));
        for body in [
            "",
            "{}",
            "[{}]",
            "null",
            "[{\"Node\":{\"Address\":\"10.0.0.1\"},\"Service\":{\"Port\":65536}}]",
            &named,
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse(&[b'['; 100_000]).is_err(), "nesting has its limit");
    }

    #[test]
    fn an_index_that_runs_backwards_begins_anew() {
        assert_eq!(next_index(0, Some(7)), 7);
        assert_eq!(next_index(7, Some(7)), 7);
        assert_eq!(next_index(7, Some(3)), 0);
        assert_eq!(next_index(7, None), 0);
        assert_eq!(next_index(0, Some(0)), 1);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400) {
            let _ = parse(&bytes);
            let mut body = format!("[{}]", instance("10.0.0.1", "passing")).into_bytes();
            let at = at % body.len();
            body[at] = bytes.first().copied().unwrap_or(0);
            let _ = parse(&body);
        }
    }
}
