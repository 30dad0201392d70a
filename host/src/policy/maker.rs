//! The thread that makes instances, so that no worker waits for one, and takes those that failed, so that
//! no worker waits for their memory to go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::fault::Fault;
use super::instance::Instance;
use super::seat::Post;

/// Makes instances one after the other. Each seat has one order open at most, so the queue is bounded by the
/// seats; a policy that takes its whole second to start holds up the others for that long.
pub(super) struct Maker {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Make(Arc<Post>, Arc<Slot>),
    Bury(Box<Instance>),
    Report(Sender<()>),
}

/// Where a seat finds the instance that it ordered.
#[derive(Default)]
pub(super) struct Slot {
    ready: AtomicBool,
    made: Mutex<Option<Result<Instance, Fault>>>,
}

impl Slot {
    /// What was made, once it is.
    pub(super) fn take(&self) -> Option<Result<Instance, Fault>> {
        if !self.ready.swap(false, Ordering::Acquire) {
            return None;
        }
        self.made.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, made: Result<Instance, Fault>) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        self.ready.store(true, Ordering::Release);
    }
}

impl Maker {
    pub(super) fn start() -> std::io::Result<Maker> {
        let (orders, incoming) = mpsc::channel();
        let thread = thread::Builder::new().name("lb-policies".into()).spawn(move || {
            for order in incoming {
                match order {
                    Order::Make(post, slot) => slot.put(post.make()),
                    Order::Bury(instance) => drop(instance),
                    // Whoever asked may be gone by now.
                    Order::Report(done) => drop(done.send(())),
                }
            }
        })?;
        Ok(Maker { orders: Some(orders), thread: Some(thread) })
    }

    pub(super) fn make(&self, post: Arc<Post>, slot: Arc<Slot>) {
        self.send(Order::Make(post, slot));
    }

    pub(super) fn bury(&self, instance: Instance) {
        self.send(Order::Bury(Box::new(instance)));
    }

    /// Waits until all orders so far are done.
    pub(super) fn settle(&self) {
        let (done, reported) = mpsc::channel();
        self.send(Order::Report(done));
        // An error says that the thread is gone, and with it the orders.
        let _ = reported.recv();
    }

    fn send(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // It fails only where the thread is gone, and it goes only with the last sender.
            let _ = orders.send(order);
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        drop(self.orders.take());
        // The last order may have held the last handle: then this is the thread itself.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
