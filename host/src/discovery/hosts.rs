//! `/etc/hosts`: the names that are known without asking anybody. (hickory's reader of it leaves out names with an
//! underscore in them, which Docker writes there.)

use std::net::IpAddr;

/// The addresses of a name, as the file has them now. None where it cannot be read.
pub(super) fn addresses(name: &str) -> Vec<IpAddr> {
    let bytes = std::fs::read("/etc/hosts").unwrap_or_default();
    listed(&String::from_utf8_lossy(&bytes), name)
}

fn listed(hosts: &str, name: &str) -> Vec<IpAddr> {
    let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let name = bare(name);
    let mut addresses = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|alias| bare(alias) == name) && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_line_has_its_address() {
        let hosts = "127.0.0.1\tlocalhost\n# 10.0.0.9 web\n10.0.0.1 my_app_1 Web # stack_web\n\
                     fe80::1%lo0 web\n::1 web. localhost\n10.0.0.1 web\nnonsense web\n";
        let found =
            |name: &str| listed(hosts, name).iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(found("my_app_1"), "10.0.0.1");
        assert_eq!(found("web"), "10.0.0.1 ::1");
        assert_eq!(found("WEB."), "10.0.0.1 ::1");
        assert_eq!(found("localhost"), "127.0.0.1 ::1");
        assert_eq!(found("stack_web"), "");
    }
}
