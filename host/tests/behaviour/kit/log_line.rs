//! A line of the exchange log, taken apart.

/// One exchange, as the log tells it.
#[derive(Debug)]
pub(crate) struct LogLine {
    pub(crate) line: String,
    pub(crate) frontend: String,
    /// `backend/server`.
    pub(crate) server: String,
    /// Head, queue, connect, response, total; in milliseconds.
    pub(crate) timers: Vec<i64>,
    pub(crate) status: i64,
    pub(crate) bytes: u64,
    /// The four characters of the termination state.
    pub(crate) state: String,
    /// Connections of the process, the frontend, the backend and the server.
    pub(crate) counts: Vec<usize>,
    /// Retries, with `+` before them where the request was redispatched.
    pub(crate) retries: String,
    pub(crate) request: String,
}

impl LogLine {
    /// `None` for a line that is no exchange's.
    pub(crate) fn parse(line: &str) -> Option<LogLine> {
        let (head, request) = line.strip_suffix('"')?.split_once(" \"")?;
        let words: Vec<&str> = head.split(' ').collect();
        let [_client, _date, frontend, server, timers, status, bytes, _, _, state, counts, _queues] =
            words[..]
        else {
            return None;
        };
        let (counts, retries) = counts.rsplit_once('/')?;
        let counts = counts.trim_end_matches('/').split('/').map(|count| count.parse().ok());
        Some(LogLine {
            counts: counts.collect::<Option<_>>()?,
            retries: retries.to_owned(),
            line: line.to_owned(),
            frontend: frontend.to_owned(),
            server: server.to_owned(),
            timers: timers.split('/').map(|timer| timer.parse().ok()).collect::<Option<_>>()?,
            status: status.parse().ok()?,
            bytes: bytes.parse().ok()?,
            state: state.to_owned(),
            request: request.to_owned(),
        })
    }

    /// The path that was asked for.
    pub(crate) fn path(&self) -> &str {
        self.request.split(' ').nth(1).unwrap_or(&self.request)
    }
}
