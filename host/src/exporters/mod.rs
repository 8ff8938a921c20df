//! The exporters of the host: started as the configuration says, listed,
//! replaced by a reload, stopped.
//!
//! An exporter that cannot start is listed as failed and keeps its cursor; the
//! others run.

mod operate;
mod pause_marks;
mod plan;
mod reload;
mod reopen;
mod replace;
mod set;
mod settings;
mod start;
mod trials;

pub use operate::{Forgotten, OperateError};
pub use pause_marks::{MarkError, PauseMarks};
pub use plan::Reloaded;
pub use reload::{ReloadError, Reloader};
pub use set::ExporterSet;
pub use settings::AppliedSettings;
pub use start::{ExporterStartError, ExporterStarter};
