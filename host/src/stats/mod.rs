//! What is counted, and how it is told: cells that workers write (`tally`), whose they are (`book`), everything
//! at one moment (`snapshot`), the table of metrics (`table`) and their text for Prometheus (`exposition`).
//!
//! A worker only ever adds to cells of its own, at the end of an exchange. Whoever wants to know sums them up, on
//! the control thread.

mod book;
pub(crate) mod ending;
pub mod exposition;
pub mod intake;
pub mod snapshot;
pub mod table;
pub(crate) mod tally;

pub(crate) use book::Book;
pub use tally::CLASSES;
