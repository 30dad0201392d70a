//! How long the certificates in use still hold: kept where metrics can read it, and told to the log in time.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

/// From when on the log warns.
const WARN_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// What is known of a certificate that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFacts {
    /// Its file.
    pub(crate) path: PathBuf,
    /// The frontend that shows it to clients, or the backend that shows it to servers.
    pub(crate) proxy: Arc<str>,
    /// The hosts that it is for.
    pub(crate) names: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(crate) not_after: i64,
}

static IN_USE: LazyLock<ArcSwap<Vec<CertificateFacts>>> = LazyLock::new(ArcSwap::default);

/// The certificates of the configuration that is in force, for metrics and the status page.
pub(crate) fn certificates() -> Arc<Vec<CertificateFacts>> {
    IN_USE.load_full()
}

/// These are in use from now on.
pub(crate) fn put_into_use(facts: Vec<CertificateFacts>) {
    IN_USE.store(Arc::new(facts));
}

/// Tells the log which certificates in use have ended, or will soon.
pub(crate) fn warn() {
    let now = now_s();
    for facts in certificates().iter() {
        let certificate = facts.path.display();
        match facts.standing(now) {
            Standing::Good => {}
            Standing::EndsSoon(words) => {
                tracing::warn!(proxy = %facts.proxy, "certificate {certificate} {words}: renew it");
            }
            Standing::Ended(words) => {
                tracing::error!(proxy = %facts.proxy, "certificate {certificate} {words}: clients will refuse it");
            }
        }
    }
}

/// How long a certificate holds; with words that continue its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Long enough.
    Good,
    /// Not for long.
    EndsSoon(String),
    /// Not any more.
    Ended(String),
}

impl CertificateFacts {
    /// How it stands at that second since 1970.
    pub(super) fn standing(&self, now_s: i64) -> Standing {
        let left = self.not_after - now_s;
        let days = |seconds: i64| match seconds / DAY_S {
            0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        match left {
            _ if left < 0 => Standing::Ended(format!("expired {} ago", days(-left))),
            _ if left < WARN_DAYS * DAY_S => Standing::EndsSoon(format!("expires in {}", days(left))),
            _ => Standing::Good,
        }
    }
}

pub(super) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_from_thirty_days_on() {
        let facts = CertificateFacts {
            path: "a.pem".into(),
            proxy: "web".into(),
            names: vec![],
            not_after: 100 * DAY_S,
        };
        let standing = |day: i64| facts.standing(day * DAY_S);
        assert_eq!(standing(0), Standing::Good);
        assert_eq!(standing(70), Standing::Good);
        assert_eq!(facts.standing(70 * DAY_S + 1), Standing::EndsSoon("expires in 29 days".into()));
        assert_eq!(standing(99), Standing::EndsSoon("expires in 1 day".into()));
        assert_eq!(standing(100), Standing::EndsSoon("expires in less than a day".into()));
        assert_eq!(facts.standing(100 * DAY_S + 1), Standing::Ended("expired less than a day ago".into()));
        assert_eq!(standing(103), Standing::Ended("expired 3 days ago".into()));
        assert_eq!(
            facts.standing(i64::MAX - 1),
            Standing::Ended(format!("expired {} days ago", (i64::MAX - 1 - 100 * DAY_S) / DAY_S))
        );
    }
}
