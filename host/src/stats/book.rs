//! Whose counters are whose: a block for each worker and each frontend, backend and server of the configuration, by
//! name. A reload makes the next book from this one, and what keeps its name keeps its counts.

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot::Traffic;
use super::tally::{BackendTallies, BackendTally, FrontendTally, ServerTally};
use crate::config::model::Config;

/// A block for each worker.
type PerWorker<T> = Vec<Arc<T>>;

/// The counters of a configuration's frontends and backends, in its order.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) frontends: Vec<(Arc<str>, PerWorker<FrontendTally>)>,
    pub(crate) backends: Vec<BackendPage>,
}

/// A backend's counters.
#[derive(Debug, Default)]
pub(crate) struct BackendPage {
    name: Arc<str>,
    pub(crate) whole: PerWorker<BackendTally>,
    pub(crate) servers: Vec<(Arc<str>, PerWorker<ServerTally>)>,
    /// What servers counted that are gone; the backend's figures must not go down with them.
    retired: Traffic,
    /// Blocks of servers that are gone, which exchanges may still write to.
    leaving: Vec<Arc<ServerTally>>,
}

impl Book {
    /// The book of the next configuration.
    pub(crate) fn renew(&self, config: &Config, workers: usize) -> Book {
        let mut frontends: HashMap<_, _> = self.frontends.iter().map(|(name, own)| (name, own)).collect();
        let mut backends: HashMap<_, _> = self.backends.iter().map(|page| (&page.name, page)).collect();
        let frontend = |name: &Arc<str>| (name.clone(), kept(frontends.remove(name), workers));
        Book {
            frontends: config.frontends.iter().map(|config| &config.name).map(frontend).collect(),
            backends: config
                .backends
                .iter()
                .map(|config| {
                    let names = config.servers.iter().map(|server| &server.name);
                    BackendPage::next(&config.name, names, backends.remove(&config.name), workers)
                })
                .collect(),
        }
    }

    /// A frontend's block on a worker, by their indices.
    pub(crate) fn frontend(&self, frontend: usize, worker: usize) -> Arc<FrontendTally> {
        let blocks = self.frontends.get(frontend).map(|(_, blocks)| blocks);
        blocks.and_then(|blocks| blocks.get(worker)).cloned().unwrap_or_default()
    }

    /// A backend's blocks on a worker, by their indices.
    pub(crate) fn backend(&self, backend: usize, worker: usize) -> BackendTallies {
        let page = self.backends.get(backend);
        BackendTallies {
            backend: page.and_then(|page| page.whole.get(worker)).cloned().unwrap_or_default(),
            servers: page
                .into_iter()
                .flat_map(|page| &page.servers)
                .map(|(_, blocks)| blocks.get(worker).cloned().unwrap_or_default())
                .collect(),
        }
    }
}

impl BackendPage {
    fn next<'a>(
        name: &Arc<str>,
        servers: impl Iterator<Item = &'a Arc<str>>,
        before: Option<&BackendPage>,
        workers: usize,
    ) -> BackendPage {
        let Some(before) = before else {
            let servers = servers.map(|name| (name.clone(), kept(None, workers))).collect();
            let whole = kept(None, workers);
            return BackendPage { name: name.clone(), whole, servers, ..BackendPage::default() };
        };
        let mut known: HashMap<_, _> = before.servers.iter().map(|(name, own)| (name, own)).collect();
        let servers = servers.map(|name| (name.clone(), kept(known.remove(name), workers))).collect();
        let (mut retired, mut leaving) = (before.retired.clone(), Vec::new());
        // A block that no worker has any more, but the page of before and this list, is added up for good.
        for block in &before.leaving {
            if Arc::strong_count(block) == 1 {
                retired.take(block);
            } else {
                leaving.push(block.clone());
            }
        }
        leaving.extend(known.into_values().flatten().cloned());
        BackendPage { name: name.clone(), whole: before.whole.clone(), servers, retired, leaving }
    }

    /// The sum over all of the backend's servers, those that are gone, and what reached none.
    pub(crate) fn traffic<'a>(&self, servers: impl Iterator<Item = &'a Traffic>) -> Traffic {
        let mut sum = self.retired.clone();
        self.leaving.iter().for_each(|block| sum.take(block));
        self.whole.iter().for_each(|block| sum.take(&block.unserved));
        servers.for_each(|traffic| sum.merge(traffic));
        sum
    }
}

fn kept<T: Default>(before: Option<&PerWorker<T>>, workers: usize) -> PerWorker<T> {
    let mut blocks = before.cloned().unwrap_or_default();
    blocks.resize_with(workers, Arc::default);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(servers: &[&str]) -> Config {
        let servers: Vec<_> =
            servers.iter().map(|name| format!("{{ name = {name:?}, address = \"10.0.0.1:80\" }}")).collect();
        let text = format!(
            "[frontends.web]\nbind = \"*:80\"\ndefault_backend = \"app\"\n[backends.app]\nservers = [{}]\n",
            servers.join(", ")
        );
        crate::config::parse(&text, "lb.toml").expect("it is right").config
    }

    fn requests(book: &Book) -> u64 {
        let page = &book.backends[0];
        let servers: Vec<Traffic> = page
            .servers
            .iter()
            .map(|(_, blocks)| {
                let mut traffic = Traffic::default();
                blocks.iter().for_each(|block| traffic.take(block));
                traffic
            })
            .collect();
        page.traffic(servers.iter()).requests
    }

    #[test]
    fn what_keeps_its_name_keeps_its_counts_and_a_backend_never_loses_any() {
        let first = Book::default().renew(&config(&["a", "b"]), 2);
        let (one, other) = (first.backend(0, 0), first.backend(0, 1));
        one.servers[0].requests.add(3);
        other.servers[1].requests.add(4);
        assert_eq!(requests(&first), 7);
        let second = first.renew(&config(&["c", "b"]), 2);
        drop(first);
        assert_eq!(second.backend(0, 1).servers[1].requests.read(), 4);
        assert_eq!(second.backend(0, 0).servers[0].requests.read(), 0);
        // An exchange of before ends.
        one.servers[0].requests.add(1);
        assert_eq!(requests(&second), 8);
        drop((one, other));
        let third = second.renew(&config(&["b"]), 2);
        drop(second);
        assert_eq!(requests(&third), 8);
        let fourth = third.renew(&config(&["a", "b"]), 2);
        assert_eq!(requests(&fourth), 8);
        assert!(fourth.backends[0].leaving.is_empty(), "they are added up, and let go of");
    }
}
