//! What a storage's task can be told while it runs.

use std::time::Duration;

use delfin_plugin_api::AlertBatch;
use tokio::sync::oneshot;

use super::worker::CallError;
use crate::collect::driver::{Offer, Window};

/// How often a storage is asked, and for how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often it is measured; nothing: not at all.
    pub performance: Option<Duration>,
    /// How often it is asked for its alerts; nothing: only when somebody asks.
    pub alerts: Option<Duration>,
    /// Whether what was missed while the host did not run is asked for, of a
    /// storage that remembers.
    pub is_historic: bool,
}

/// Which alerts are asked for, and whether they are handed on as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertQuery {
    /// When they occurred; nothing: all that are active.
    pub range: Option<Window>,
    /// Whether the destination gets them.
    pub hand_over: bool,
}

/// Why a question to a storage has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The schedule does not have it, or was stopped.
    #[error("storage is not collected from")]
    Gone,
    /// Its driver has no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer could not be handed on.
    #[error("collected batch is not taken: {reason}")]
    NotTaken {
        /// What the destination said.
        reason: String,
    },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, AskError>>;

/// What a task is told.
pub(super) enum Order {
    Pace(Pace),
    Alerts(AlertQuery, Answer<AlertBatch>),
    Offer(Answer<Offer>),
}
