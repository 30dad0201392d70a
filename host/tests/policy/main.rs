//! Policies, good and hostile, through the doors that the data path uses.

mod built_in;
mod chosen;
mod conformance;
mod contained;
mod guest;
mod loading;
mod persisting;
mod preview1;
mod reference;
mod sandbox;
mod scene;
