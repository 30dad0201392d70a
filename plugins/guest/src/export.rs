//! From a policy to a component: the state of an instance, the interfaces in front of it, and [`export!`](crate::export!).
//!
//! Nothing here is for authors but the macro.

use alloc::{string::String, vec::Vec};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    Affinity, Amendment, Arrival, Balancer, Candidate, Description, Feedback, Key, Outcome, Persistence,
    Policy, Refusal, Reply, Server, Settings, Value, Visit,
    bindings::exports::lb::policy::{balancer, feedback, persistence, setup},
};

/// Makes a component of a policy: `export!(Type: Balancer)`.
///
/// After the colon stands what the policy is: `Balancer`, `Balancer + Feedback`, `Persistence`,
/// `Balancer + Persistence` or `Balancer + Feedback + Persistence`. Once in a crate. Natively it only checks that the
/// type is all that.
#[macro_export]
macro_rules! export {
    ($policy:ty: Balancer) => {
        $crate::__export!($policy, BALANCER, [setup balancer], Balancer);
    };
    ($policy:ty: Balancer + Feedback) => {
        $crate::__export!($policy, BALANCER_FEEDBACK, [setup balancer feedback], Feedback);
    };
    ($policy:ty: Persistence) => {
        $crate::__export!($policy, PERSISTENCE, [setup persistence], Persistence);
    };
    ($policy:ty: Balancer + Persistence) => {
        $crate::__export!($policy, BALANCER_PERSISTENCE, [setup balancer persistence], Balancer + $crate::Persistence);
    };
    ($policy:ty: Balancer + Feedback + Persistence) => {
        $crate::__export!($policy, ALL, [setup balancer feedback persistence], Feedback + $crate::Persistence);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($policy:ty, $world:ident, [$($interface:ident)*], $($bounds:tt)*) => {
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            const fn is<P: $crate::$($bounds)*>() {}
            is::<$policy>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static STATE: $crate::export::Single<$policy> = $crate::export::Single::new();
            struct Instance;
            impl $crate::export::Instance for Instance {
                type Policy = $policy;
                fn state() -> &'static $crate::export::Single<$policy> {
                    &STATE
                }
            }
            type Exported = $crate::export::Exported<Instance>;
            #[unsafe(link_section = "component-type:lb-policy")]
            pub static TYPE: [u8; $crate::export::types::$world.len()] = *$crate::export::types::$world;
            $($crate::__export_interface!($interface);)*
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    (setup) => {
        $crate::__export_lb_policy_setup_0_1_0_cabi!(
            Exported with_types_in $crate::bindings::exports::lb::policy::setup);
    };
    (balancer) => {
        $crate::__export_lb_policy_balancer_0_1_0_cabi!(
            Exported with_types_in $crate::bindings::exports::lb::policy::balancer);
    };
    (feedback) => {
        $crate::__export_lb_policy_feedback_0_1_0_cabi!(
            Exported with_types_in $crate::bindings::exports::lb::policy::feedback);
    };
    (persistence) => {
        $crate::__export_lb_policy_persistence_0_1_0_cabi!(
            Exported with_types_in $crate::bindings::exports::lb::policy::persistence);
    };
}

/// What a component says it exports, encoded: one of these goes into each policy.
pub mod types {
    /// Of `Balancer`.
    pub const BALANCER: &[u8; include_bytes!("../bindings/balancer.type").len()] =
        include_bytes!("../bindings/balancer.type");
    /// Of `Balancer + Feedback`.
    pub const BALANCER_FEEDBACK: &[u8; include_bytes!("../bindings/balancer-feedback.type").len()] =
        include_bytes!("../bindings/balancer-feedback.type");
    /// Of `Persistence`.
    pub const PERSISTENCE: &[u8; include_bytes!("../bindings/persistence.type").len()] =
        include_bytes!("../bindings/persistence.type");
    /// Of `Balancer + Persistence`.
    pub const BALANCER_PERSISTENCE: &[u8; include_bytes!("../bindings/balancer-persistence.type").len()] =
        include_bytes!("../bindings/balancer-persistence.type");
    /// Of all three.
    pub const ALL: &[u8; include_bytes!("../bindings/balancer-feedback-persistence.type").len()] =
        include_bytes!("../bindings/balancer-feedback-persistence.type");
}

/// The state of an instance, in a `static`. The host enters an instance with one call at a time, so a lock would
/// have nobody to wait for: whoever finds the state in use is the same call once more, and that is a panic.
#[derive(Debug)]
pub struct Single<T> {
    in_use: AtomicBool,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: an instance has one thread; natively nothing is exported, and nothing shared.
#[cfg(target_arch = "wasm32")]
unsafe impl<T> Sync for Single<T> {}

impl<T> Single<T> {
    /// No state as yet.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self { in_use: AtomicBool::new(false), value: UnsafeCell::new(None) }
    }

    /// Runs `f` on the state.
    ///
    /// # Panics
    /// Where the state is in use: inside `f`, and for good once `f` has panicked.
    pub fn with<R>(&self, f: impl FnOnce(&mut Option<T>) -> R) -> R {
        assert!(!self.in_use.swap(true, Ordering::Acquire), "the state is in use");
        // SAFETY: the flag was down, so nobody else is between here and the store below.
        let result = f(unsafe { &mut *self.value.get() });
        self.in_use.store(false, Ordering::Release);
        result
    }

    fn configured<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|state| f(state.as_mut().expect("the host configures first")))
    }
}

/// A policy with the place of its state.
pub trait Instance {
    /// The policy.
    type Policy: Policy;

    /// Its state.
    fn state() -> &'static Single<Self::Policy>;
}

/// The interfaces of a policy.
#[derive(Debug)]
pub struct Exported<I>(PhantomData<I>);

impl<I: Instance> setup::Guest for Exported<I> {
    fn describe() -> Description {
        I::Policy::describe()
    }

    fn configure(settings: Vec<(String, Value)>, servers: Vec<Server>) -> Result<(), Refusal> {
        let settings = Settings::new(settings);
        I::state().with(|state| match state {
            Some(policy) => policy.reconfigure(settings, servers),
            None => {
                *state = Some(I::Policy::configure(settings, servers)?);
                Ok(())
            }
        })
    }
}

impl<I: Instance<Policy: Balancer>> balancer::Guest for Exported<I> {
    fn update(candidates: Vec<Candidate>) {
        I::state().configured(|policy| policy.update(candidates));
    }

    fn pick(arrival: Arrival) -> Option<u32> {
        I::state().configured(|policy| policy.pick(arrival))
    }
}

impl<I: Instance<Policy: Feedback>> feedback::Guest for Exported<I> {
    fn observe(outcome: Outcome) {
        I::state().configured(|policy| policy.observe(outcome));
    }
}

impl<I: Instance<Policy: Persistence>> persistence::Guest for Exported<I> {
    fn place() -> Key {
        I::state().configured(|policy| policy.place())
    }

    fn recall(visit: Visit) -> Affinity {
        I::state().configured(|policy| policy.recall(visit))
    }

    fn respond(reply: Reply) -> Amendment {
        I::state().configured(|policy| policy.respond(reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_is_kept_between_calls() {
        let state = Single::new();
        state.with(|value| *value = Some(1));
        state.configured(|value| *value += 1);
        assert_eq!(state.with(|value| *value), Some(2));
    }

    #[test]
    #[should_panic(expected = "in use")]
    fn state_in_use_is_not_lent_again() {
        let state = Single::<u32>::new();
        state.with(|_| state.with(|value| *value));
    }

    #[test]
    #[should_panic(expected = "configures first")]
    fn nothing_is_asked_of_a_policy_that_is_not_there() {
        Single::<u32>::new().configured(|_| ());
    }
}
