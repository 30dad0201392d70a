//! The name servers of a configuration. All are asked at once, each by a client of its own, and the best answer
//! counts: records before a denial, a denial before an error or silence. So one that is silent, refuses, is broken or
//! knows nothing never keeps the answer of another from being heard.
//!
//! (hickory's own pool of name servers ends with the first error that is no broken connection, be it SERVFAIL, and
//! waits for those that are silent before it asks again by TCP.)

use std::future::Future;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::task::JoinSet;

use super::Trouble;
use crate::config::model::discovery::{NameServer, Resolvers};

/// Who is asked.
#[derive(Debug, Clone)]
pub(super) struct NameServers {
    resolvers: Arc<Resolvers>,
    /// Empty before the first question, and after one that nobody answered: what the system says may have changed.
    each: Vec<One>,
}

/// A name server.
#[derive(Debug, Clone)]
struct One {
    /// Its address, for people.
    name: String,
    config: ResolverConfig,
    options: ResolverOpts,
    /// Made anew after a question that it did not answer: its sockets may be no good any more.
    client: Option<TokioResolver>,
}

impl NameServers {
    /// Those that are named, or else the system's.
    pub(super) fn new(resolvers: Arc<Resolvers>) -> NameServers {
        NameServers { resolvers, each: Vec::new() }
    }

    /// Has all of them answer a question, and gives the best answer as soon as it is certain.
    ///
    /// # Errors
    /// `Nothing` where somebody says so and nobody knows better, `Outage` where nobody says anything.
    pub(super) async fn ask<T, F>(&mut self, question: impl Fn(TokioResolver) -> F) -> Result<T, Trouble>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Trouble>> + Send + 'static,
    {
        let mut outages = Vec::new();
        let mut asked = JoinSet::new();
        if self.each.is_empty() {
            self.each = self.configured().map_err(|error| Trouble::Outage(error.to_string()))?;
        }
        for (index, one) in self.each.iter_mut().enumerate() {
            match one.client() {
                Ok(client) => {
                    let answer = question(client.clone());
                    asked.spawn(async move { (index, answer.await) });
                }
                Err(error) => outages.push((index, error.to_string())),
            }
        }
        let mut has_answered = vec![false; self.each.len()];
        let (mut best, mut denial) = (None, None);
        while let Some(done) = asked.join_next().await {
            // One that panicked has said nothing.
            let Ok((index, answer)) = done else { continue };
            has_answered[index] = !matches!(answer, Err(Trouble::Outage(_)));
            match answer {
                Ok(answer) => {
                    best = Some(answer);
                    break;
                }
                Err(Trouble::Nothing(why)) => denial = Some(why),
                Err(Trouble::Outage(why)) => outages.push((index, why)),
            }
        }
        let trouble = match (best, denial) {
            (Some(best), _) => {
                self.renew(&has_answered);
                return Ok(best);
            }
            (None, Some(denial)) => Trouble::Nothing(denial),
            (None, None) => Trouble::Outage(self.outage(outages)),
        };
        match trouble {
            Trouble::Nothing(_) => self.renew(&has_answered),
            Trouble::Outage(_) => self.each.clear(),
        }
        Err(trouble)
    }

    fn renew(&mut self, has_answered: &[bool]) {
        let silent = self.each.iter_mut().zip(has_answered).filter(|(_, has_answered)| !**has_answered);
        silent.for_each(|(one, _)| one.client = None);
    }

    /// What is wrong with each, in one line.
    fn outage(&self, mut outages: Vec<(usize, String)>) -> String {
        outages.sort();
        match outages.as_slice() {
            [] => "no name server answers".to_owned(),
            [(_, why), rest @ ..] if rest.iter().all(|(_, other)| other == why) => why.clone(),
            several => {
                let each = several.iter().map(|(index, why)| format!("{}: {why}", self.each[*index].name));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    fn configured(&self) -> Result<Vec<One>, NetError> {
        let (config, mut options) = match self.resolvers.nameservers.as_slice() {
            [] => read_system_conf()?,
            named => {
                let servers = named.iter().map(name_server).collect();
                (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
            }
        };
        options.timeout = self.resolvers.timeout;
        options.attempts = self.resolvers.retries as usize;
        // When to ask again is decided here, by the TTL, and then an answer from memory is of no use.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let one = |server: &NameServerConfig| {
            let (domain, search) = (config.domain().cloned(), config.search().to_vec());
            let name = match server.connections.first() {
                Some(connection) => std::net::SocketAddr::new(server.ip, connection.port).to_string(),
                None => server.ip.to_string(),
            };
            let config = ResolverConfig::from_parts(domain, search, vec![server.clone()]);
            One { name, config, options: options.clone(), client: None }
        };
        Ok(config.name_servers().iter().map(one).collect())
    }
}

impl One {
    fn client(&mut self) -> Result<&TokioResolver, NetError> {
        Ok(match &mut self.client {
            Some(client) => client,
            none => {
                let provider = TokioRuntimeProvider::default();
                let mut builder = TokioResolver::builder_with_config(self.config.clone(), provider);
                *builder.options_mut() = self.options.clone();
                none.insert(builder.build()?)
            }
        })
    }
}

fn name_server(server: &NameServer) -> NameServerConfig {
    let mut connections = match server.tcp {
        true => vec![ConnectionConfig::tcp()],
        false => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
    };
    connections.iter_mut().for_each(|connection| connection.port = server.address.port());
    NameServerConfig::new(server.address.ip(), true, connections)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Answers of name servers in the order in which they come, and what they come to.
    async fn best(answers: &[Result<u8, Trouble>]) -> Result<u8, Trouble> {
        let address = ([127, 0, 0, 1], 53).into();
        let nameservers = vec![NameServer { address, tcp: false }; answers.len()];
        let mut servers = NameServers::new(Arc::new(Resolvers { nameservers, ..Resolvers::default() }));
        let turn = std::cell::Cell::new(0);
        servers
            .ask(|_| {
                let index = turn.replace(turn.get() + 1);
                let answer = match &answers[index] {
                    Ok(number) => Ok(*number),
                    Err(Trouble::Nothing(why)) => Err(Trouble::Nothing(why.clone())),
                    Err(Trouble::Outage(why)) => Err(Trouble::Outage(why.clone())),
                };
                async move {
                    tokio::time::sleep(Duration::from_secs(index as u64)).await;
                    answer
                }
            })
            .await
    }

    fn nothing() -> Result<u8, Trouble> {
        Err(Trouble::Nothing("no such name".to_owned()))
    }

    fn outage(why: &str) -> Result<u8, Trouble> {
        Err(Trouble::Outage(why.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn records_go_before_a_denial_and_that_before_an_error() {
        assert_eq!(best(&[outage("broken"), nothing(), Ok(1)]).await, Ok(1));
        assert_eq!(best(&[Ok(1), nothing(), outage("broken")]).await, Ok(1));
        assert_eq!(best(&[outage("broken"), nothing(), outage("silent")]).await, nothing());
        assert_eq!(best(&[nothing(), outage("broken")]).await, nothing());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_says_what_is_wrong_with_each() {
        assert_eq!(best(&[outage("broken")]).await, outage("broken"));
        assert_eq!(best(&[outage("silent"), outage("silent")]).await, outage("silent"));
        let both = "127.0.0.1:53: broken; 127.0.0.1:53: silent";
        assert_eq!(best(&[outage("broken"), outage("silent")]).await, outage(both));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_does_not_wait_for_those_that_are_silent() {
        let asked = tokio::time::Instant::now();
        assert_eq!(best(&[Ok(1), outage("silent"), outage("silent")]).await, Ok(1));
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
}
