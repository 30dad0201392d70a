//! Care for servers beside their checks: those that come back start slowly, and live traffic counts for their
//! health. Workers count, in atomics; what follows from it is done on the control thread.

pub mod passive;
pub mod ramp;
pub mod sign;
pub mod tend;
