//! How the running program behaves: the real binary between scripted origins and clients.

// Shared with the tests of policies, which use more of it.
#[allow(dead_code)]
#[path = "../policy/guest.rs"]
mod guest;
mod kit;

mod admin_page;
mod balancing;
mod blame;
mod bodies;
mod breaking_off;
mod central_logs;
mod choices;
mod circuit_breakers;
mod command_line;
mod cookies;
mod denials;
mod discovery;
mod discovery_sources;
mod early_answers;
mod ending;
mod failed_reloads;
mod failures;
mod feedback;
mod generations;
mod health;
mod http;
mod http2;
mod http2_servers;
mod inherited;
mod intake_metrics;
mod limits;
mod log_daemons;
mod logs;
mod meaning;
mod metrics;
mod own_connections;
mod pages;
mod policies;
mod policy_commands;
mod rate_limits;
mod reloading;
mod repeating;
mod retries;
mod rules;
mod server_care;
mod signals;
mod smuggling;
mod sockets;
mod timeouts;
mod tls;
mod tls_servers;
mod trailers;
mod tunnels;
mod upgrades;
mod waiting;
mod watching;
