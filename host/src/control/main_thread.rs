//! The main thread, from its first signal to its end: whatever it is at, a signal that ends the process does so soon.

use std::time::Duration;

use anyhow::Context;

use super::{Checked, Control, Files, Origin, system};
use crate::open_files;
use crate::policy;
use crate::signals::{Held, Signals};

/// How long a thread that did what blocks (reading files, looking names up, trying policies) waits for more of it. Each has
/// a heap of its own, which keeps some megabytes of what the largest configuration took it: where they stay for as long as
/// something is looked at every second, one comes to another by and by, and each of them grows.
const HELPERS_STAY: Duration = Duration::from_millis(100);

/// The main thread's runtime, and the signals that are listened to on it.
pub(crate) struct Main {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
}

/// What a process needs to serve.
pub(crate) struct Start {
    pub(crate) runtime: policy::Runtime,
    /// What the configuration was read from, as it was before.
    pub(crate) files: Files,
    pub(crate) checked: Checked,
}

impl Main {
    /// Begins to listen to the signals. To be called before anything that takes its time, and before there is a second
    /// thread.
    ///
    /// # Errors
    /// When the system refuses what that needs.
    pub(crate) fn begin(held: Held) -> anyhow::Result<Main> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_keep_alive(HELPERS_STAY)
            .build()
            .context("cannot start")?;
        let entered = runtime.enter();
        let signals = Signals::take_up(held).context("cannot listen to signals")?;
        drop(entered);
        Ok(Main { runtime, signals })
    }

    /// Reads a configuration and tries its policies, which may take seconds. `None`: a signal has ended the process
    /// before that was done.
    ///
    /// # Errors
    /// Those of `load`.
    pub(crate) fn load<E: From<anyhow::Error> + Send + 'static>(
        self,
        load: impl FnOnce() -> Result<Start, E> + Send + 'static,
    ) -> Result<Option<(Main, Start)>, E> {
        let Main { runtime, mut signals } = self;
        let loaded = runtime.block_on(async {
            let load = tokio::task::spawn_blocking(load);
            signals.unless_ended(load).await
        });
        match loaded {
            None => {
                // What is being compiled is nobody's to wait for.
                runtime.shutdown_background();
                Ok(None)
            }
            Some(Ok(start)) => Ok(Some((Main { runtime, signals }, start?))),
            Some(Err(error)) => {
                Err(anyhow::Error::from(error).context("cannot read the configuration").into())
            }
        }
    }

    /// Serves until a signal ends it. `ready` is called once, with the bound addresses, when all of them listen.
    ///
    /// # Errors
    /// When it cannot start; once it serves, only the end ends it.
    pub(crate) fn serve(
        self,
        origin: Origin,
        start: Start,
        ready: impl FnOnce(&[String]),
    ) -> anyhow::Result<()> {
        let Main { runtime: main, mut signals } = self;
        let Start { runtime, files, checked } = start;
        open_files::raise_limit();
        let ended = tokio::task::LocalSet::new().block_on(&main, async {
            let mut control = Control::start(origin, runtime, &checked, files)?;
            // From here on there may be clients, so that even a start that is broken off ends in order.
            if let Some(applied) = signals.unless_ended(control.apply(checked)).await {
                applied?;
                let names = control.names();
                tracing::info!(addresses = %names.join(", "), "ready");
                ready(&names);
                system::notify_systemd();
                control.serve_signals(signals).await;
            } else {
                control.drain(signals).await;
            }
            Ok(())
        });
        // A look-up that hangs in the system's resolver is nobody's to wait for any more.
        main.shutdown_background();
        ended
    }
}
