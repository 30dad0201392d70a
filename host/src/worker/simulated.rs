//! A worker without a thread and without sockets, for simulations: what serves is the worker's own code, and only who
//! knocks comes another way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::door::{self, Entrance};
use super::{Plan, Process, Worker, drain, flush_logs, purge_pools, serve};
use crate::config::model::BindAddress;
use crate::count::Count;
use crate::log::WorkerLog;
use crate::stream::Stream;
use crate::tune::Tune;

/// A worker with one listener.
pub(crate) struct Simulated {
    worker: Rc<Worker>,
    doors: RefCell<HashMap<BindAddress, Rc<Entrance>>>,
    entrance: Rc<Entrance>,
}

impl Simulated {
    /// A worker that listens at `address` for the frontend of index 0, and serves nothing yet.
    pub(crate) fn start(
        process: Arc<Process>,
        tune: Tune,
        log: WorkerLog,
        address: BindAddress,
        connections: Arc<Count>,
    ) -> Simulated {
        let worker = Worker::new(process, tune, log);
        tokio::task::spawn_local(flush_logs(worker.clone()));
        tokio::task::spawn_local(purge_pools(worker.clone()));
        let entrance = Entrance::new(connections);
        let doors = RefCell::new(HashMap::from([(address, entrance.clone())]));
        Simulated { worker, doors, entrance }
    }

    /// Serves a configuration from now on; its listeners are those that are there.
    pub(crate) fn serve(&self, plan: Plan) {
        serve(&self.worker, &mut self.doors.borrow_mut(), plan);
    }

    /// Lets a client in, once the bounds allow it. `false`: nobody listens any more.
    pub(crate) async fn knock(&self, stream: Stream, peer: SocketAddr) -> bool {
        if self.worker.is_draining() {
            return false;
        }
        let places = door::Places::take(&self.worker, &self.entrance).await;
        let Some(places) = places else { return false };
        door::admit(&self.worker, &self.entrance.doorway(), places, stream, Some(peer));
        true
    }

    /// Ends each connection with the exchange that it is at.
    pub(crate) fn drain(&self) {
        drain(&self.worker, &mut self.doors.borrow_mut());
    }

    /// How many connections it serves.
    pub(crate) fn connections(&self) -> usize {
        self.worker.tasks.borrow().len()
    }

    /// Hands over what it has logged.
    pub(crate) fn flush(&self) {
        self.worker.log.borrow_mut().hand_over(true);
    }
}
