//! The thread that writes an outlet's lines. It may block for as long as the reader at the other end likes:
//! nobody waits for it but the end of the process, and that within bounds.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use super::date::Dates;
use super::frame::Frame;
use super::queue::{Batch, Queue, Task};
use super::sink::Sink;
use crate::config::model::LogLevel;

/// Starts the thread. Lost lines are announced in `frame`.
pub(super) fn start(queue: Arc<Queue>, sink: Sink, frame: Frame) -> std::io::Result<()> {
    let writer = Writer { queue, sink, frame, dates: Dates::new(), announced: 0 };
    std::thread::Builder::new().name("lb-log".to_owned()).spawn(move || writer.run())?;
    Ok(())
}

struct Writer {
    queue: Arc<Queue>,
    sink: Sink,
    frame: Frame,
    dates: Dates,
    /// How many dropped lines the log already speaks of.
    announced: u64,
}

impl Writer {
    fn run(mut self) {
        // Also should the sink panic: nobody may wait for this thread in vain.
        struct End(Arc<Queue>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let _end = End(self.queue.clone());

        let mut used = Vec::new();
        loop {
            match self.queue.next(std::mem::take(&mut used)) {
                Task::Write(batch) => {
                    self.write(&batch);
                    used = batch.bytes;
                }
                Task::Reopen => self.sink.reopen(),
                Task::Stop => return,
            }
        }
    }

    fn write(&mut self, batch: &Batch) {
        let lost = self.sink.write(batch, &self.queue);
        self.queue.dropped.fetch_add(lost, Relaxed);
        // Some of the lost ones may have been taken for written in an earlier batch: then this subtracts.
        self.queue.written.fetch_add(batch.lines.wrapping_sub(lost), Relaxed);
        if lost == 0 {
            self.announce_dropped();
        }
    }

    /// Says how many lines are missing, now that lines flow again.
    fn announce_dropped(&mut self) {
        let dropped = self.queue.dropped.load(Relaxed);
        let missing = dropped - self.announced;
        if missing == 0 {
            return;
        }
        let message = format!("{missing} log lines dropped");
        let mut bytes = Vec::new();
        let now = SystemTime::now;
        self.frame.write(LogLevel::Warning, message.as_bytes(), now, &mut self.dates, &mut bytes);
        if self.sink.write(&Batch { bytes, lines: 1 }, &self.queue) == 0 {
            self.announced = dropped;
        }
    }
}
