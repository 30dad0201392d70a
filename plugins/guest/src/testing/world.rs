//! What the host's functions answer natively: what the running call of a scene has put here, else nothing.

use std::cell::RefCell;

use super::Request;
use crate::log::Level;

/// What is live during a call.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The request being decided on.
    pub(crate) request: Option<Request>,
    /// The candidates' loads.
    pub(crate) loads: Vec<u32>,
    /// Whether each server may take a request of a client that is bound to it.
    pub(crate) usable: Vec<bool>,
    /// The response's status and headers.
    pub(crate) response: Option<(u16, Vec<(String, String)>)>,
    /// What was logged.
    pub(crate) log: Vec<(Level, String)>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::default());
}

/// Runs a call in a world; gives what it answered and what it logged.
pub(crate) fn during<R>(world: World, call: impl FnOnce() -> R) -> (R, Vec<(Level, String)>) {
    /// Puts the world before back, also where the call panics.
    struct Back(World);
    impl Drop for Back {
        fn drop(&mut self) {
            WORLD.set(std::mem::take(&mut self.0));
        }
    }
    let _back = Back(WORLD.replace(world));
    let result = call();
    (result, WORLD.with_borrow_mut(|world| std::mem::take(&mut world.log)))
}

fn asked<R: Default>(answer: impl FnOnce(&Request) -> R) -> R {
    WORLD.with_borrow(|world| world.request.as_ref().map(answer)).unwrap_or_default()
}

pub(crate) mod request {
    use super::asked;

    pub(crate) fn method() -> String {
        asked(|request| request.method.clone())
    }

    pub(crate) fn path() -> String {
        asked(|request| request.path().into())
    }

    pub(crate) fn query() -> Option<String> {
        asked(|request| request.query().map(Into::into))
    }

    pub(crate) fn authority() -> String {
        asked(|request| request.header_value("host")).unwrap_or_default()
    }

    pub(crate) fn header(name: &str) -> Option<String> {
        asked(|request| request.header_value(name))
    }

    pub(crate) fn cookie(name: &str) -> Option<String> {
        asked(|request| request.cookies(name).into_iter().next())
    }

    pub(crate) fn client_port() -> u16 {
        asked(|request| request.client_port)
    }
}

pub(crate) mod response {
    use super::WORLD;

    pub(crate) fn status() -> u16 {
        WORLD.with_borrow(|world| world.response.as_ref().map_or(0, |(status, _)| *status))
    }

    pub(crate) fn header(name: &str) -> Option<String> {
        WORLD.with_borrow(|world| {
            let (_, headers) = world.response.as_ref()?;
            let mut headers = headers.iter();
            headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        })
    }
}

pub(crate) mod candidates {
    use super::WORLD;

    pub(crate) fn load(candidate: u32) -> u32 {
        WORLD.with_borrow(|world| world.loads.get(candidate as usize).copied().unwrap_or(0))
    }

    pub(crate) fn loads() -> Vec<u32> {
        WORLD.with_borrow(|world| world.loads.clone())
    }
}

pub(crate) mod servers {
    use super::WORLD;

    pub(crate) fn usable(server: u32) -> bool {
        WORLD.with_borrow(|world| world.usable.get(server as usize).copied().unwrap_or(false))
    }
}

pub(crate) mod log {
    use super::{Level, WORLD};

    pub(crate) fn write(level: Level, message: &str) {
        WORLD.with_borrow_mut(|world| world.log.push((level, message.into())));
    }
}
