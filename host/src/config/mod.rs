//! `lb.toml`: read, checked, and resolved into [`model::Config`].

pub mod model;
