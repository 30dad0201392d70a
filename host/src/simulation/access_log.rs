//! Arrivals of an access log: lines of HAProxy's `option httplog`, as lb writes them too, whatever a syslog daemon
//! put before them.

use std::net::IpAddr;

/// What a line says of its request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Milliseconds since 1970, as if the log's local time were UTC.
    pub(super) time_ms: u64,
    pub(super) client: IpAddr,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
}

/// Reads a line; `None` where it is no request's.
pub(super) fn entry(line: &str) -> Option<Entry<'_>> {
    // `client:port [date] …`: the date is the one bracket that holds one.
    let (date_at, time_ms) = line
        .match_indices('[')
        .find_map(|(at, _)| Some((at, date(line.get(at + 1..)?.split(']').next()?)?)))?;
    let client = line[..date_at].trim_end().rsplit(' ').next()?;
    let (client, _) = client.rsplit_once(':')?;
    let request = line.trim_end().strip_suffix('"')?.rsplit_once(" \"")?.1;
    let mut words = request.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    words.next()?.starts_with("HTTP/").then_some(())?;
    Some(Entry { time_ms, client: client.trim_matches(['[', ']']).parse().ok()?, method, target })
}

/// `06/Feb/2009:12:14:14.655`.
fn date(text: &str) -> Option<u64> {
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let mut parts = text.split(['/', ':', '.']);
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|(name, _)| *name == month)?;
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (year, hour, minute, second, ms) = (number()?, number()?, number()?, number()?, number()?);
    let fits = (1970..10_000).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && ms < 1_000;
    if !fits {
        return None;
    }
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = MONTHS[..month].iter().map(|(_, days)| days).sum();
    let days = years + months + u64::from(month > 1 && leap(year)) + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - \
                        ---- 1/1/1/1/0 0/0 {a|\"b} \"GET /index.html?x=1 HTTP/1.1\"";

    #[test]
    fn the_manuals_line_is_read_with_and_without_a_prefix() {
        for prefix in ["", "Feb  6 12:14:14 localhost haproxy[14389]: ", "<134>1 - - "] {
            let line = format!("{prefix}{LINE}\n");
            let found = entry(&line).expect("a line");
            assert_eq!(found.time_ms, 1_233_922_454_655);
            assert_eq!(found.client, IpAddr::from([10, 0, 1, 2]));
            assert_eq!((found.method, found.target), ("GET", "/index.html?x=1"));
        }
        let v6 = LINE.replace("10.0.1.2", "2001:db8::1");
        assert_eq!(entry(&v6).map(|found| found.client), "2001:db8::1".parse().ok());
    }

    #[test]
    fn what_is_no_requests_line_is_none() {
        for line in [
            "",
            "Server app/a is DOWN",
            "Connect from 10.0.1.2:33317 to 10.0.1.1:80 (web/HTTP)",
            &LINE.replace("GET /index.html?x=1 HTTP/1.1", "<BADREQ>"),
            &LINE.replace("Feb", "Fev"),
            &LINE.replace("10.0.1.2:33317", "unix:1"),
        ] {
            assert_eq!(entry(line), None, "{line}");
        }
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(date("01/Jan/1970:00:00:00.000"), Some(0));
        assert_eq!(date("29/Feb/2024:00:00:00.000"), Some(1_709_164_800_000));
        assert_eq!(date("01/Mar/2023:00:00:00.001"), Some(1_677_628_800_001));
        assert_eq!(date("01/Mar/2023:24:00:00.001"), None);
    }
}
