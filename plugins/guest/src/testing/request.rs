//! A request, as a test has it.

use std::net::{IpAddr, Ipv4Addr};

/// A request: `Request::get("/cart?item=3").header("host", "shop").cookie("id", "7")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(super) method: String,
    pub(super) target: String,
    /// In order; the names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) client: IpAddr,
    pub(super) client_port: u16,
}

impl Request {
    /// A request with this method for this path, and perhaps a query, from `192.0.2.100:50000`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            client: Ipv4Addr::new(192, 0, 2, 100).into(),
            client_port: 50_000,
        }
    }

    /// The same with the method GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// With one more header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// With one more cookie.
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", &format!("{name}={value}"))
    }

    /// From this client.
    pub fn from(mut self, client: impl Into<IpAddr>) -> Self {
        self.client = client.into();
        self
    }

    /// From this port of the client's.
    pub fn port(mut self, port: u16) -> Self {
        self.client_port = port;
        self
    }

    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The value of the first query parameter of this name, as sent.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(other, _)| *other == name).map(|(_, value)| value.into())
    }

    pub(super) fn header_value(&self, name: &str) -> Option<String> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// The values of all cookies of this name, in order.
    pub(super) fn cookies(&self, name: &str) -> Vec<String> {
        let lines = self.headers.iter().filter(|(name, _)| name == "cookie");
        let pairs =
            lines.flat_map(|(_, line)| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(other, _)| *other == name).map(|(_, value)| value.into()).collect()
    }
}
