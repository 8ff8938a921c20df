//! `POST /v1/ingest/webhooks/{id}`: JSON of any form, which mapping files turn into alerts.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use delfin_plugin_api::{AlertBatchBuilder, Kind};

use super::{
    BatchAccepted, ingest,
    request::{IngestHeaders, IngestQuery},
};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::{Path, body},
        responses::{BatchRefused, StorageNotFound},
        state::IngestState,
        storages::StoragePath,
    },
    clock::now_ms,
    ingest::{BodyLimits, IngestError, ParseGuard, ParsedItems, RequestBody, parse_json},
    storages::{StorageView, Storages},
    webhooks::{WebhookMappings, webhook_alerts},
};

/// The storage of a webhook, and the mappings in force.
pub(super) struct WebhookTarget {
    storage: StorageView,
    mappings: Arc<WebhookMappings>,
}

/// Accepts a webhook of a storage, such as that of Alertmanager, and answers when its alerts are
/// durable. Mapping files say which alerts become of it. A body that no mapping knows is an alert
/// as it is; of an array, each item is one.
#[utoipa::path(
    post,
    path = "/v1/ingest/webhooks/{id}",
    security(("token" = ["ingest"])),
    params(StoragePath, IngestQuery, IngestHeaders),
    request_body(
        description = "One JSON value.",
        content((serde_json::Value = "application/json", example = json!({
            "alerts": [{
                "status": "firing",
                "labels": {"alertname": "PoolFull", "severity": "critical", "instance": "array-7"},
                "annotations": {"summary": "Pool 1 is full"},
                "startsAt": "2023-11-14T22:13:20Z",
                "fingerprint": "9f2c1a7d"
            }]
        })))
    ),
    responses(
        BatchAccepted,
        BatchRefused,
        StorageNotFound,
        (status = 403, body = ErrorBody, description = "`inputs.webhook.enabled` is not set"),
    ),
)]
pub(super) async fn ingest_webhook(
    State(state): State<IngestState>,
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    request: Request,
) -> Response {
    match WebhookTarget::find(&state, &storages, id) {
        Ok(target) => ingest(&state, Kind::Alert, request, Some(target)).await,
        Err(error) => {
            let (head, content) = request.into_parts();
            body::discard_later(&head.headers, content);
            error.into_response()
        }
    }
}

impl WebhookTarget {
    fn find(state: &IngestState, storages: &Storages, id: String) -> Result<Self, ApiError> {
        let mappings = state.webhooks.as_ref().ok_or(ApiError::WebhooksDisabled)?;
        Ok(Self {
            storage: storages.get(&id)?,
            mappings: mappings.get(),
        })
    }

    /// The alerts of a body.
    pub(super) fn parse(
        self,
        body: RequestBody<'_>,
        limits: &BodyLimits,
        guard: ParseGuard,
    ) -> Result<ParsedItems, IngestError> {
        let ParsedItems {
            batch: body,
            rejected,
            notes,
            complete_for,
            claim,
        } = parse_json(body, limits, guard)?;
        let alerts = webhook_alerts(&body, &self.mappings, now_ms());
        let limit = limits.max_rows;
        if alerts.len() as u64 > limit {
            return Err(IngestError::TooManyRows { limit });
        }
        let mut batch = AlertBatchBuilder::new();
        for alert in alerts {
            alert.add_to(&mut batch, &self.storage);
        }
        Ok(ParsedItems {
            batch: batch.build().into(),
            rejected,
            notes,
            complete_for,
            claim,
        })
    }
}
