//! The answer to a batch that is kept.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    super::batches::{BatchExporterView, exporter_views},
    wait::Waited,
};
use crate::{
    ingest::{Rejected, RejectedItem},
    journal::Receipt,
};

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A batch that is kept, and what there is to say of it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) receipt: Receipt,
    /// What of the body is not in it.
    pub(super) rejected: Rejected,
    /// What its sender has waited for, if it has.
    pub(super) waited: Option<Waited>,
    /// For how long it could have, if it said so.
    pub(super) preferred: Option<Duration>,
}

/// A batch that is safe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Its name, by which `/v1/batches` knows it.
    batch_id: Uuid,
    /// How many points or alerts it holds.
    items: u64,
    /// `durable`, or `settled` if its sender waited until every exporter was done
    /// with it.
    #[schema(example = "durable")]
    state: &'static str,
    /// What each exporter did with it; only if its sender waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    exporters: Option<Vec<BatchExporterView>>,
    /// How many series or alerts of the body are not in it; only if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_items: Option<u64>,
    /// The first hundred of them; only if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedView>,
}

/// A series or an alert that is not in its batch.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedView {
    /// Which one of the body, from 0.
    index: usize,
    /// The line that it begins on, from 1; only in a body of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// What is wrong with it.
    #[schema(example = "name: is empty")]
    error: String,
}

impl IntoResponse for Kept {
    fn into_response(self) -> Response {
        let receipt = self.receipt;
        let settled = self.waited.as_ref().is_some_and(|waited| waited.settled);
        let (status, state) = if settled {
            (StatusCode::OK, "settled")
        } else {
            (StatusCode::ACCEPTED, "durable")
        };
        let rejected_items = self.rejected.total();
        let accepted = Accepted {
            batch_id: receipt.batch_id,
            items: receipt.items,
            state,
            exporters: self
                .waited
                .and_then(|waited| waited.exporters)
                .map(exporter_views),
            rejected_items: (rejected_items > 0).then_some(rejected_items),
            rejected: self.rejected.named().map(rejected_view).collect(),
        };
        let mut response = (status, Json(accepted)).into_response();
        let headers = response.headers_mut();
        if let Ok(place) = HeaderValue::try_from(format!("/v1/batches/{}", receipt.batch_id)) {
            headers.insert(LOCATION, place);
        }
        if receipt.repeated {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(wait) = self.preferred
            && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
        {
            headers.insert(PREFERENCE_APPLIED, applied);
        }
        response
    }
}

fn rejected_view(item: &RejectedItem) -> RejectedView {
    RejectedView {
        index: item.index,
        line: item.line,
        error: item.error.to_string(),
    }
}
