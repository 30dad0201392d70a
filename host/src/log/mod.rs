//! Logs: what an exchange's line says, and how lines get to where they go without holding up traffic.

pub mod record;
