//! What an exporter author sees.

mod kind;

pub use kind::{Kind, Origin};
