//! What the process uses, as the system tells it: `/proc/self` and `getrusage`. Read at a scrape, never before.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What the process uses. What cannot be found out is 0.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) open_fds: u64,
    /// `None`: as many as it likes.
    pub(super) max_fds: Option<u64>,
    pub(super) threads: u64,
}

/// What the process uses now.
pub(super) fn usage() -> Usage {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    Usage {
        cpu: cpu(),
        resident_bytes: value("VmRSS") * 1024,
        virtual_bytes: value("VmSize") * 1024,
        // The directory that is read is one of those that it lists.
        open_fds: fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count().saturating_sub(1) as u64),
        max_fds: max_fds(),
        threads: value("Threads"),
    }
}

fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

fn max_fds() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_uses_something_of_everything() {
        let usage = super::usage();
        assert!(usage.resident_bytes > 1 << 20 && usage.virtual_bytes >= usage.resident_bytes, "{usage:?}");
        assert!(usage.open_fds >= 3 && usage.threads >= 1 && !usage.cpu.is_zero(), "{usage:?}");
        assert!(usage.max_fds.is_none_or(|max| max >= usage.open_fds), "{usage:?}");
    }
}
