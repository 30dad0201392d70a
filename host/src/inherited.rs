//! File descriptors that the parent process has handed over. They alone can be taken over by `fd@N`: any other number is
//! one of this process's own, now or soon. So they are known by the first lines of `main`, before anything is opened.
//!
//! A listening socket among them is kept for as long as the process lives, whatever the configuration makes of it: it is
//! bound by a duplicate, and can be bound again after a reload that left it out.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use rustix::io::{FdFlags, fcntl_setfd};
use socket2::{Domain, SockRef, Type};

/// Where the system shows what is open.
const OPEN: &str = "/proc/self/fd";
/// Without it, so many numbers are tried.
const TRIED: i32 = 4_096;
/// The numbers below are the standard streams'.
const FIRST: i32 = 3;

static ALL: OnceLock<Inherited> = OnceLock::new();

/// What the parent process has handed over, by number.
#[derive(Debug, Default)]
struct Inherited {
    all: BTreeMap<i32, Found>,
    /// Whom systemd meant them for, where that is another process.
    meant_for: Option<String>,
}

#[derive(Debug)]
enum Found {
    Listener(Listener),
    /// Something else, in words.
    Other(&'static str),
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    /// Whether its clients have addresses.
    pub(crate) is_tcp: bool,
    /// What it is bound to.
    pub(crate) name: String,
}

/// Why a number cannot be taken over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong.
    pub(crate) message: String,
    /// What could be done; may be empty.
    pub(crate) help: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {}

/// Sees what has been handed over. To be called before anything else opens a descriptor, and before there is a second
/// thread; what is there later is never looked at.
pub fn take_stock() {
    ALL.get_or_init(|| {
        let all = open().into_iter().map(|number| (number, Found::at(number))).collect();
        Inherited { all, meant_for: meant_for_another() }
    });
}

/// The listening socket of this number.
///
/// # Errors
/// When no such socket was handed over.
pub(crate) fn listener(number: i32) -> Result<&'static Listener, Refused> {
    match ALL.get() {
        Some(inherited) => inherited.listener(number),
        None => Err(Inherited::default().refused(number, "was not handed over by the parent process")),
    }
}

impl Inherited {
    fn listener(&self, number: i32) -> Result<&Listener, Refused> {
        if (0..FIRST).contains(&number) {
            return Err(self.refused(number, "is a standard stream"));
        }
        match self.all.get(&number) {
            Some(Found::Listener(listener)) => Ok(listener),
            Some(Found::Other(what)) => {
                Err(self.refused(number, &format!("is {what}, not a listening socket")))
            }
            None => Err(self.refused(number, "was not handed over by the parent process")),
        }
    }

    fn refused(&self, number: i32, why: &str) -> Refused {
        let listeners = self.all.iter().filter_map(|(number, found)| match found {
            Found::Listener(listener) => Some((number, listener)),
            Found::Other(_) => None,
        });
        let listeners: Vec<String> =
            listeners.map(|(number, listener)| format!("`fd@{number}` ({})", listener.name)).collect();
        let help = match (&self.meant_for, listeners.is_empty()) {
            (_, false) => format!("the listening sockets that were are {}", listeners.join(", ")),
            (Some(process), true) => format!(
                "no listening socket was; LISTEN_PID says that systemd's are for process {process}, and this is {}: \
                 whatever stands between must `exec` lb",
                std::process::id()
            ),
            (None, true) => {
                "no listening socket was; with systemd it takes a .socket unit, and lb is started by its service"
                    .to_owned()
            }
        };
        Refused { message: format!("file descriptor {number} {why}"), help }
    }
}

impl Found {
    /// What is open at this number, which belongs to nobody in this process.
    fn at(number: i32) -> Found {
        // SAFETY: the descriptor is open, and there is nobody who could close it.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        if let Some(what) = not_a_listener(borrowed) {
            return Found::Other(what);
        }
        let (is_tcp, name) = match SockRef::from(&borrowed).local_addr().map(|address| address.as_socket()) {
            Ok(Some(address)) => (true, address.to_string()),
            _ => (false, format!("fd@{number}")),
        };
        // SAFETY: it was handed over with the process, and is known to nothing else in it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        // No program that this one may start one day inherits it.
        let _ = fcntl_setfd(&socket, FdFlags::CLOEXEC);
        Found::Listener(Listener { socket, is_tcp, name })
    }
}

impl Listener {
    /// Another descriptor of the socket.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn duplicate(&self) -> std::io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }
}

/// What a descriptor is that clients cannot come in by; `None`: they can.
fn not_a_listener(descriptor: BorrowedFd<'_>) -> Option<&'static str> {
    let socket = SockRef::from(&descriptor);
    let Ok(kind) = socket.r#type() else { return Some("no socket") };
    if kind != Type::STREAM {
        return Some("a socket for datagrams");
    }
    if !socket.is_listener().unwrap_or(false) {
        return Some("a connection, or a socket to make one of");
    }
    let domain = socket.domain().ok();
    let known = [Domain::IPV4, Domain::IPV6, Domain::UNIX].map(Some).contains(&domain);
    if known { None } else { Some("a socket of a family that is not known here") }
}

/// The numbers of what is open.
fn open() -> Vec<i32> {
    let listed = std::fs::read_dir(OPEN).map(|entries| {
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.collect::<Vec<i32>>()
    });
    let mut numbers = listed.unwrap_or_else(|_| (FIRST..TRIED).collect());
    // The listing was read by a descriptor of its own, which is closed by now.
    numbers.retain(|number| *number >= FIRST && is_open(*number));
    numbers
}

fn is_open(number: i32) -> bool {
    // SAFETY: the call takes a number and changes nothing.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Another process that systemd meant its sockets for (`sd_listen_fds(3)`).
fn meant_for_another() -> Option<String> {
    std::env::var_os("LISTEN_FDS")?;
    let process = std::env::var("LISTEN_PID").ok()?;
    (process != std::process::id().to_string()).then_some(process)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::IntoRawFd;

    use super::*;

    fn found(what: impl IntoRawFd) -> (i32, Inherited) {
        let number = what.into_raw_fd();
        (number, Inherited { all: [(number, Found::at(number))].into(), meant_for: None })
    }

    #[test]
    fn a_listening_socket_is_duplicated_and_stays() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (number, inherited) = found(listener);
        let known = inherited.listener(number).expect("it can be taken over");
        assert_eq!((known.is_tcp, &known.name), (true, &address));
        drop(known.duplicate().expect("another one"));
        drop(known.duplicate().expect("and one more"));
        assert!(is_open(number));
        let refused = inherited.listener(number + 1).unwrap_err();
        assert!(refused.message.contains("was not handed over"), "{refused}");
        assert_eq!(refused.help, format!("the listening sockets that were are `fd@{number}` ({address})"));
    }

    #[test]
    fn what_is_no_listening_socket_is_refused_for_what_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("a connection");
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let file = std::fs::File::open("/dev/null").expect("it is there");
        for (descriptor, what) in [
            (client.into_raw_fd(), "a connection"),
            (datagrams.into_raw_fd(), "datagrams"),
            (file.into_raw_fd(), "no socket"),
        ] {
            // SAFETY: it is open, and nobody else has it.
            let (number, inherited) = found(unsafe { OwnedFd::from_raw_fd(descriptor) });
            let refused = inherited.listener(number).unwrap_err();
            assert!(refused.message.contains(what), "{refused}");
            assert!(refused.help.starts_with("no listening socket was"), "{}", refused.help);
            assert!(is_open(number), "it is left alone");
        }
    }

    #[test]
    fn standard_streams_are_refused_and_a_stranger_is_named() {
        let inherited = Inherited { all: BTreeMap::new(), meant_for: Some("1".to_owned()) };
        for number in 0..FIRST {
            assert!(inherited.listener(number).unwrap_err().message.ends_with("is a standard stream"));
        }
        assert!(inherited.listener(3).unwrap_err().help.contains("for process 1"));
    }
}
