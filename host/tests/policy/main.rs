//! Policies, good and hostile, through the doors that the data path uses.

mod built_in;
mod conformance;
mod contained;
mod guest;
mod loading;
mod persisting;
mod sandbox;
mod scene;
