//! `[global] admin`: the listener for those who watch the process.

use super::address;
use super::diagnostics::Problem;
use super::model::{Admin, BindAddress};
use super::section::{Complaint, Section, Value};

/// What `[global]` says of it.
pub(super) fn read(global: &Section<'_>) -> Option<Admin> {
    let section = global.read("admin", Value::section)?;
    let bind = section.require("bind", |value| {
        let addresses = value.accept(address::bind(value.text()?, |path| value.reading.path(path)))?;
        match addresses.as_slice() {
            [BindAddress::Tcp(address)] => Some((*address, value.span())),
            _ => {
                let help = "write an IP address and a port, as in `127.0.0.1:8404`";
                value.refuse(Complaint::new("the admin listener takes one IP address and one port", help));
                None
            }
        }
    });
    let (bind, span) = bind?;
    if !bind.ip().is_loopback() {
        let message =
            format!("whoever reaches `{bind}` can read names, addresses and figures of this process");
        let help = "bind it to `127.0.0.1` or `[::1]`, or to an address that only those who watch can reach";
        section.report(Problem::warning(span, message).help(help));
    }
    Some(Admin { bind })
}
