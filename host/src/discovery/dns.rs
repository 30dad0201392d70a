//! DNS: the addresses of a name, and the servers of its SRV records, with the time for which they hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::task::JoinSet;

use super::nameservers::NameServers;
use super::{AGAIN, Endpoint, Found, Trouble, hosts};
use crate::config::model::discovery::{Family, Resolution, Resolvers};

/// How many targets of SRV records are asked for at once.
const AT_ONCE: usize = 16;

/// The largest weight of a server.
const LARGEST_WEIGHT: u32 = 256;

/// Addresses, and for how long they hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses, in the order of the answer.
    pub addresses: Vec<IpAddr>,
    /// For how long.
    pub valid: Duration,
}

/// Who asks name servers.
#[derive(Debug, Clone)]
pub struct Client {
    resolvers: Arc<Resolvers>,
    prefer: Family,
    servers: NameServers,
}

impl Client {
    /// One that asks as it says here; the system's name servers, if nobody is named.
    pub fn new(resolution: &Resolution) -> Client {
        let resolvers = resolution.resolvers.clone().unwrap_or_default();
        let servers = NameServers::new(resolvers.clone());
        Client { resolvers, prefer: resolution.prefer, servers }
    }

    /// The addresses of a name: those of the preferred kind, or else the others. `/etc/hosts` goes first.
    ///
    /// # Errors
    /// Where there are none, or nobody says.
    pub async fn addresses(&mut self, name: &str) -> Result<Answer, Trouble> {
        self.addresses_of(parse(name)?).await
    }

    async fn addresses_of(&mut self, name: Name) -> Result<Answer, Trouble> {
        let listed = hosts::addresses(&name.to_ascii());
        let (v4, v6): (Vec<_>, Vec<_>) = listed.into_iter().partition(IpAddr::is_ipv4);
        let (kinds, listed) = match self.prefer {
            Family::Ipv4 => ([RecordType::A, RecordType::AAAA], [v4, v6]),
            Family::Ipv6 => ([RecordType::AAAA, RecordType::A], [v6, v4]),
        };
        if let Some(addresses) = listed.into_iter().find(|addresses| !addresses.is_empty()) {
            return Ok(Answer { addresses, valid: AGAIN });
        }
        let records = self.servers.ask(|server| of_either_kind(server, name.clone(), kinds)).await?;
        Ok(Answer { addresses: ips(&records), valid: self.valid(&records) })
    }

    async fn services(&mut self, name: &str) -> Result<Vec<Record>, Trouble> {
        let name = parse(name)?;
        self.servers.ask(|server| look_up(server, name.clone(), RecordType::SRV)).await
    }

    /// For how long records hold: as long as the one that holds shortest.
    fn valid(&self, records: &[Record]) -> Duration {
        let ttl = records.iter().map(|record| record.ttl).min().unwrap_or_default();
        Duration::from_secs(ttl.into()).clamp(self.resolvers.min_ttl, self.resolvers.max_ttl)
    }
}

/// What one name server says: records of the first kind, or else of the second. Both are asked of the same server, so
/// that for one which says that there are none of the first kind nobody waits who says nothing.
async fn of_either_kind(
    server: TokioResolver,
    name: Name,
    kinds: [RecordType; 2],
) -> Result<Vec<Record>, Trouble> {
    let [first, second] = kinds;
    match look_up(server.clone(), name.clone(), first).await {
        // An outage is no reason to move to addresses of the other kind.
        Err(Trouble::Nothing(_)) => look_up(server, name, second).await,
        answer => answer,
    }
}

/// What one name server says: at least one record of this kind.
async fn look_up(server: TokioResolver, name: Name, kind: RecordType) -> Result<Vec<Record>, Trouble> {
    let lookup = server.lookup(name, kind).await.map_err(|error| trouble(&error, kind))?;
    match lookup.answers().iter().any(|record| record.record_type() == kind) {
        true => Ok(lookup.answers().to_vec()),
        false => Err(Trouble::Nothing(no_record(kind))),
    }
}

/// Every label goes out as it is written: hickory's own reading of names takes no underscore but at the beginning of a
/// label. What can be no name was refused with the configuration.
fn parse(name: &str) -> Result<Name, Trouble> {
    let lower = name.to_ascii_lowercase();
    let labels = lower.strip_suffix('.').unwrap_or(&lower).split('.').map(str::as_bytes);
    let mut parsed = Name::from_labels(labels).map_err(|error| Trouble::Outage(error.to_string()))?;
    // The system's search list is for names that do not end with a dot.
    parsed.set_fqdn(name.ends_with('.'));
    Ok(parsed)
}

fn ips(records: &[Record]) -> Vec<IpAddr> {
    let mut ips = Vec::new();
    for ip in records.iter().filter_map(|record| record.data.ip_addr()) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips
}

fn trouble(error: &NetError, kind: RecordType) -> Trouble {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => Trouble::Nothing("the name does not exist".to_owned()),
            ResponseCode::NoError => Trouble::Nothing(no_record(kind)),
            code => Trouble::Outage(format!("the name server answers {code}")),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Trouble::Outage(format!("the name server answers {code}"))
        }
        NetError::Timeout => Trouble::Outage("no name server answers in time".to_owned()),
        other => Trouble::Outage(other.to_string()),
    }
}

fn no_record(kind: RecordType) -> String {
    format!("the name has no {kind} record")
}

/// Who follows the SRV records of a name.
pub(super) struct Services {
    client: Client,
    name: String,
    /// The targets' addresses as they were known last: a target that cannot be asked for stays where it was.
    known: HashMap<Name, Vec<IpAddr>>,
}

/// What became of the question for a target's addresses.
type Target = (Name, Result<Answer, Trouble>);

impl Services {
    pub(super) fn new(client: Client, name: &str) -> Services {
        Services { client, name: name.to_owned(), known: HashMap::new() }
    }

    pub(super) async fn ask(&mut self) -> Result<Found, Trouble> {
        let records = self.client.services(&self.name).await?;
        let mut pause = self.client.valid(&records);
        let services: Vec<&SRV> = records
            .iter()
            .filter_map(|record| match &record.data {
                // The root as the target: the service is decidedly not there (RFC 2782).
                RData::SRV(srv) if !srv.target.is_root() && srv.port > 0 => Some(srv),
                _ => None,
            })
            .collect();
        let mut names: Vec<Name> = services.iter().map(|srv| srv.target.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let mut known = HashMap::new();
        let mut outage = None;
        for (name, answer) in self.targets(names).await {
            match answer {
                Ok(answer) => {
                    pause = pause.min(answer.valid);
                    known.insert(name, answer.addresses);
                }
                Err(Trouble::Nothing(why)) => {
                    tracing::debug!(target = %name, "a target of {} is left out: {why}", self.name);
                }
                Err(Trouble::Outage(why)) => {
                    pause = pause.min(AGAIN);
                    if let Some(before) = self.known.remove(&name) {
                        known.insert(name, before);
                    } else {
                        outage = Some(format!("{name}: {why}"));
                    }
                }
            }
        }
        self.known = known;
        if let (true, Some(why)) = (self.known.is_empty(), outage) {
            return Err(Trouble::Outage(why));
        }
        Ok(Found { endpoints: endpoints(&services, &self.known), pause })
    }

    /// The addresses of these names, several at once.
    async fn targets(&self, names: Vec<Name>) -> Vec<Target> {
        let mut names = names.into_iter();
        let (mut asked, mut answers) = (JoinSet::new(), Vec::new());
        loop {
            while asked.len() < AT_ONCE {
                let Some(name) = names.next() else { break };
                let mut client = self.client.clone();
                asked.spawn(async move {
                    let answer = client.addresses_of(name.clone()).await;
                    (name, answer)
                });
            }
            match asked.join_next().await {
                Some(answer) => answers.extend(answer),
                None => return answers,
            }
        }
    }
}

/// The servers of these records: those of the lowest priority serve, the others are backups.
fn endpoints(services: &[&SRV], known: &HashMap<Name, Vec<IpAddr>>) -> Vec<Endpoint> {
    let reachable: Vec<_> = services.iter().filter_map(|srv| Some((srv, known.get(&srv.target)?))).collect();
    let lowest = reachable.iter().map(|(srv, _)| srv.priority).min();
    let heaviest = reachable.iter().map(|(srv, _)| u32::from(srv.weight)).max().unwrap_or_default();
    let endpoint = |(srv, ips): &(&&SRV, &Vec<IpAddr>)| {
        let (port, weight) = (srv.port, scaled(srv.weight.into(), heaviest));
        let backup = Some(srv.priority) != lowest;
        let of = |ip: &IpAddr| Endpoint { address: (*ip, port).into(), weight: Some(weight), backup };
        ips.iter().map(of).collect::<Vec<_>>()
    };
    reachable.iter().flat_map(endpoint).collect()
}

/// A weight of 0 to 65535 as one of 1 to 256: as it is where all are that small, else in proportion.
fn scaled(weight: u32, heaviest: u32) -> u32 {
    match heaviest {
        0..=LARGEST_WEIGHT => weight.max(1),
        _ => (weight * LARGEST_WEIGHT / heaviest).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> SRV {
        SRV::new(priority, weight, port, Name::from_utf8(target).expect("a name"))
    }

    #[test]
    fn the_lowest_priority_serves_and_weights_keep_their_proportion() {
        let records = [srv(10, 60_000, 81, "a."), srv(10, 30_000, 82, "b."), srv(20, 0, 83, "c.")];
        let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
        let known = [("a.", vec![ip(1), ip(2)]), ("b.", vec![ip(3)]), ("c.", vec![ip(4)])];
        let known = known.map(|(name, ips)| (Name::from_utf8(name).expect("a name"), ips)).into();
        let found = endpoints(&records.iter().collect::<Vec<_>>(), &known);
        let found: Vec<_> = found.iter().map(|it| (it.address.to_string(), it.weight, it.backup)).collect();
        let expected = [
            ("10.0.0.1:81", 256, false),
            ("10.0.0.2:81", 256, false),
            ("10.0.0.3:82", 128, false),
            ("10.0.0.4:83", 1, true),
        ];
        let expected = expected.map(|(address, weight, backup)| (address.to_owned(), Some(weight), backup));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_target_without_an_address_leaves_the_next_priority_to_serve() {
        let records = [srv(1, 1, 80, "gone."), srv(2, 1, 80, "there.")];
        let there = Name::from_utf8("there.").expect("a name");
        let known = HashMap::from([(there, vec![IpAddr::from([10, 0, 0, 1])])]);
        let found = endpoints(&records.iter().collect::<Vec<_>>(), &known);
        assert_eq!(found.iter().map(|it| it.backup).collect::<Vec<_>>(), [false]);
    }

    #[test]
    fn names_are_asked_for_as_they_are_written() {
        for (name, labels, absolute) in [
            ("stack_web", &["stack_web"][..], false),
            ("tasks.my_app_1", &["tasks", "my_app_1"], false),
            ("_http._tcp.web", &["_http", "_tcp", "web"], false),
            ("a_.-b-.Example.", &["a_", "-b-", "example"], true),
        ] {
            let parsed = parse(name).expect(name);
            assert!(parsed.iter().eq(labels.iter().map(|label| label.as_bytes())), "{parsed:?}");
            assert_eq!(parsed.is_fqdn(), absolute, "{name}");
        }
        assert!(parse("a..b").is_err() && parse(&"a".repeat(64)).is_err());
    }

    #[test]
    fn small_weights_are_taken_as_they_are_and_0_is_the_least_there_is() {
        assert_eq!([0, 1, 100, 256].map(|weight| scaled(weight, 256)), [1, 1, 100, 256]);
        assert_eq!([0, 1, 65_535].map(|weight| scaled(weight, 65_535)), [1, 1, 256]);
    }
}
