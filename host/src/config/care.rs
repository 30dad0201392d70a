//! How servers are cared for.

use super::layer::ServerOptions;
use super::model::care::{Layer, Observe, OnError};
use super::section::Value;

/// What a server's live traffic tells of its health, where it is to tell anything.
pub(super) fn observed(options: &ServerOptions) -> Option<Observe> {
    Some(Observe {
        layer: options.observe?,
        error_limit: options.error_limit.unwrap_or(10),
        on_error: options.on_error.unwrap_or(OnError::FailCheck),
    })
}

/// `observe`.
pub(super) fn layer(value: Value<'_>) -> Option<Layer> {
    value.one_of(&[("layer4", Layer::Connections), ("layer7", Layer::Answers)])
}

/// `on_error`.
pub(super) fn on_error(value: Value<'_>) -> Option<OnError> {
    let all = [OnError::FastInter, OnError::FailCheck, OnError::SuddenDeath, OnError::MarkDown];
    value.one_of(&all.map(|one| (one.name(), one)))
}
