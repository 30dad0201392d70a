//! From a client or a request to the key that a limit counts by: a hash that only this process knows, so that nobody
//! can choose names that fall together.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use crate::config::model::limits::{KeyPart, Limit};
use crate::rules::Facts;

/// The key of what came; `None` where it lacks a part. Of a connection there is no request.
pub(super) fn key(
    limit: &Limit,
    secret: &RandomState,
    client: Option<IpAddr>,
    request: Option<&Facts<'_>>,
) -> Option<u64> {
    let mut hasher = secret.build_hasher();
    for part in &limit.key {
        match part {
            KeyPart::All => {}
            KeyPart::Client => match client?.to_canonical() {
                IpAddr::V4(address) => {
                    hasher.write_u32(masked(address.to_bits().into(), 32, limit.prefix_v4) as u32)
                }
                IpAddr::V6(address) => hasher.write_u128(masked(address.to_bits(), 128, limit.prefix_v6)),
            },
            KeyPart::Header(name) => text(&mut hasher, request?.headers(name).next()?),
            KeyPart::Cookie(name) => text(&mut hasher, request?.head.cookie(name.as_bytes())?),
            KeyPart::Path => text(&mut hasher, request?.head.path()),
        }
    }
    Some(hasher.finish())
}

/// With its length, so that two parts are not one.
fn text(hasher: &mut impl Hasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

/// The first `prefix` of so many bits.
fn masked(address: u128, bits: u32, prefix: u8) -> u128 {
    let rest = bits.saturating_sub(u32::from(prefix));
    address.checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::model::limits::{Bound, Rate, When};
    use crate::http::head::RequestHead;
    use crate::http::parse;

    fn limit(key: &[KeyPart]) -> Limit {
        Limit {
            name: "l".into(),
            when: When::default(),
            key: key.to_vec(),
            prefix_v4: 24,
            prefix_v6: 64,
            bound: Bound::Requests(Rate { count: 1, per: Duration::from_secs(1), burst: 1 }),
            status: 429,
            dry_run: false,
            headers: false,
            max_keys: 16,
        }
    }

    fn keys(parts: &[KeyPart], requests: &[(&str, &str)]) -> Vec<Option<u64>> {
        let (limit, secret) = (limit(parts), RandomState::new());
        let key = |(client, lines): &(&str, &str)| {
            let mut head = RequestHead::default();
            let text = format!("GET {lines}\r\n\r\n");
            parse::request(text.as_bytes(), 100, &mut head).unwrap().unwrap();
            key(&limit, &secret, client.parse().ok(), Some(&Facts::new(&head, None)))
        };
        requests.iter().map(key).collect()
    }

    #[test]
    fn clients_of_one_network_are_one() {
        let paths = "/ HTTP/1.1\r\nhost: a";
        let clients = [
            "10.1.2.3",
            "10.1.2.9",
            "10.1.3.3",
            "::ffff:10.1.2.3",
            "2001:db8::1",
            "2001:db8:0:0:9::1",
            "2001:db8:0:1::1",
            "unknown",
        ];
        let keys = keys(&[KeyPart::Client], &clients.map(|client| (client, paths)));
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        assert_eq!(keys[0], keys[3], "an IPv4 address in IPv6's clothes");
        assert_eq!(keys[4], keys[5]);
        assert_ne!(keys[4], keys[6]);
        assert_eq!(keys[7], None);
    }

    #[test]
    fn what_a_request_lacks_is_no_key() {
        let parts = [KeyPart::Header("x-key".into()), KeyPart::Cookie("id".into())];
        let both = "/ HTTP/1.1\r\nhost: a\r\nX-Key: a\r\ncookie: id=b";
        let keys = keys(
            &parts,
            &[("1.1.1.1", both), ("2.2.2.2", both), ("1.1.1.1", "/ HTTP/1.1\r\nx-key: a\r\nhost: a")],
        );
        assert!(keys[0].is_some() && keys[0] == keys[1]);
        assert_eq!(keys[2], None);
    }

    #[test]
    fn two_parts_are_not_one() {
        let parts = [KeyPart::Header("x-a".into()), KeyPart::Header("x-b".into())];
        let keys = keys(
            &parts,
            &[
                ("1.1.1.1", "/ HTTP/1.1\r\nhost: a\r\nx-a: ab\r\nx-b: c"),
                ("1.1.1.1", "/ HTTP/1.1\r\nhost: a\r\nx-a: a\r\nx-b: bc"),
            ],
        );
        assert_ne!(keys[0], keys[1]);
        let keys = super::tests::keys(
            &[KeyPart::Path],
            &[
                ("1.1.1.1", "/a?b HTTP/1.1\r\nhost: a"),
                ("1.1.1.1", "/a HTTP/1.1\r\nhost: b"),
                ("1.1.1.1", "/b HTTP/1.1\r\nhost: b"),
            ],
        );
        assert!(keys[0] == keys[1] && keys[1] != keys[2]);
    }

    #[test]
    fn every_prefix_is_a_mask() {
        assert_eq!(masked(0xffff_ffff, 32, 0), 0);
        assert_eq!(masked(0xffff_ffff, 32, 8), 0xff00_0000);
        assert_eq!(masked(0xffff_ffff, 32, 32), 0xffff_ffff);
        assert_eq!(masked(u128::MAX, 128, 0), 0);
        assert_eq!(masked(u128::MAX, 128, 128), u128::MAX);
    }
}
