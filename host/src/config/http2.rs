//! `h2`: what clients of HTTP/2 may do.

use toml::de::DeValue;

use super::model::Http2;
use super::read::{Switch, size};
use super::section::Value;

/// The largest window (RFC 9113, section 6.9.1).
const MAX_WINDOW: usize = (1 << 31) - 1;
/// The smallest one, and the smallest frame that may not be refused (section 4.2).
const MIN_FRAME: usize = 16_384;
const MAX_FRAME: usize = (1 << 24) - 1;

pub(super) fn read(value: Value<'_>) -> Option<Switch<Http2>> {
    let plain = Http2::default();
    match value.toml() {
        DeValue::Boolean(false) => Some(Switch::Off),
        DeValue::Boolean(true) => Some(Switch::On(plain)),
        _ => {
            let table = value.section()?;
            let window = |value: Value<'_>| bytes(value, 1_024, MAX_WINDOW);
            Some(Switch::On(Http2 {
                max_concurrent_streams: table
                    .read("max_concurrent_streams", |value| value.integer(1..=65_535))
                    .unwrap_or(plain.max_concurrent_streams),
                initial_window_size: table
                    .read("initial_window_size", window)
                    .unwrap_or(plain.initial_window_size),
                initial_connection_window_size: table
                    .read("initial_connection_window_size", |value| bytes(value, 65_535, MAX_WINDOW))
                    .unwrap_or(plain.initial_connection_window_size),
                max_frame_size: table
                    .read("max_frame_size", |value| bytes(value, MIN_FRAME, MAX_FRAME))
                    .unwrap_or(plain.max_frame_size),
                max_header_list_size: table
                    .read("max_header_list_size", |value| size(value, 1_024..=(1 << 24))),
            }))
        }
    }
}

fn bytes(value: Value<'_>, least: usize, most: usize) -> Option<u32> {
    size(value, least..=most).and_then(|size| u32::try_from(size).ok())
}
