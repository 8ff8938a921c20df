//! `POST /v1/ingest/webhooks/{id}`: JSON of any form, which mapping files turn into alerts.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use delfin_plugin_api::{AlertBatchBuilder, Kind};
use serde_json::Value;

use super::{
    BatchAccepted, ingest,
    request::{IdempotencyHeader, IngestHeaders, IngestQuery},
};
use crate::{
    api::{
        error::{ApiError, ErrorBody},
        extract::Path,
        responses::{InputRefused, StorageNotFound},
        state::IngestState,
        storages::StoragePath,
        webhook_log::WebhookLog,
    },
    clock::now_ms,
    ingest::{
        BodyLimits, IngestError, ItemError, ItemRejection, ParseGuard, ParsedItems, RequestBody,
        excerpt, parse_json,
    },
    notification::NotificationAlert,
    storages::{StorageView, Storages},
    webhooks::{InvalidAlerts, WebhookMappings, take_invalid_alerts, webhook_alerts},
};

/// The storage of a webhook, and the mappings in force.
pub(super) struct WebhookTarget {
    owner: AlertOwner,
    mappings: Arc<WebhookMappings>,
    log: WebhookLog,
}

/// Whose the alerts of a webhook are.
enum AlertOwner {
    Storage(Box<StorageView>),
    /// Of the storage that the rule of each alert names.
    ByRule(Arc<Storages>),
}

/// Accepts a webhook of a storage, such as that of Alertmanager, and answers when its alerts are
/// durable. Mapping files say which alerts become of it. A body that no mapping knows is an alert
/// as it is; of an array, each item is one.
#[utoipa::path(
    post,
    path = "/v1/ingest/webhooks/{id}",
    security(("token" = ["ingest"])),
    params(StoragePath, IngestQuery, IngestHeaders, IdempotencyHeader),
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
        InputRefused,
        StorageNotFound,
        (status = 403, body = ErrorBody, description = "`inputs.webhook.enabled` is not set"),
    ),
)]
pub(super) async fn ingest_webhook(
    State(state): State<Arc<IngestState>>,
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    request: Request,
) -> Response {
    let target = WebhookTarget::find(&state, &storages, id);
    ingest_for(&state, target, request).await
}

/// Accepts the webhook of Alertmanager, and answers when its alerts are durable. Mapping files say which storage each alert
/// is of: by its label `storage_id`, or else `instance`. The fingerprint identifies the alert; `resolved` ends it.
#[utoipa::path(
    post,
    path = "/v1/ingest/alertmanager",
    security(("token" = ["ingest"])),
    params(IngestQuery, IngestHeaders, IdempotencyHeader),
    request_body(
        description = "The payload of the version 4.",
        content((serde_json::Value = "application/json", example = json!({
            "version": "4",
            "alerts": [{
                "status": "firing",
                "labels": {"alertname": "PoolFull", "severity": "critical", "storage_id": "12345"},
                "annotations": {"summary": "Pool 1 is full"},
                "startsAt": "2023-11-14T22:13:20Z",
                "fingerprint": "9f2c1a7d"
            }]
        })))
    ),
    responses(
        BatchAccepted,
        InputRefused,
        (status = 403, body = ErrorBody, description = "`inputs.alertmanager.enabled` is not set"),
    ),
)]
pub(super) async fn ingest_alertmanager(
    State(state): State<Arc<IngestState>>,
    State(storages): State<Arc<Storages>>,
    request: Request,
) -> Response {
    let target = WebhookTarget::by_rule(&state, storages);
    ingest_for(&state, target, request).await
}

async fn ingest_for(
    state: &Arc<IngestState>,
    target: Result<WebhookTarget, ApiError>,
    request: Request,
) -> Response {
    match target {
        Ok(target) => ingest(state, Kind::Alert, request, Some(target)).await,
        Err(error) => error.into_response(),
    }
}

impl WebhookTarget {
    fn find(state: &IngestState, storages: &Storages, id: String) -> Result<Self, ApiError> {
        let mappings = state.webhooks.as_ref();
        let mappings = mappings.ok_or(ApiError::InputDisabled { input: "webhook" })?;
        Ok(Self {
            owner: AlertOwner::Storage(Box::new(storages.get(&id)?)),
            mappings: mappings.get(),
            log: state.webhook_log.clone(),
        })
    }

    fn by_rule(state: &IngestState, storages: Arc<Storages>) -> Result<Self, ApiError> {
        let mappings = state.alertmanager.as_ref();
        let input = "alertmanager";
        let mappings = mappings.ok_or(ApiError::InputDisabled { input })?;
        Ok(Self {
            owner: AlertOwner::ByRule(storages),
            mappings: mappings.get(),
            log: state.webhook_log.clone(),
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
            batch: mut body,
            mut rejected,
            notes,
            complete_for,
            claim,
        } = parse_json(body, limits, guard)?;
        let invalid = self.owner.take_invalid(&mut body)?;
        self.log
            .truncated(body["truncatedAlerts"].as_u64().unwrap_or_default());
        let alerts = webhook_alerts(&body, &self.mappings, now_ms());
        let limit = limits.max_rows;
        if alerts.len() as u64 > limit {
            return Err(IngestError::TooManyRows { limit });
        }
        let mut batch = AlertBatchBuilder::new();
        let places = (0..).filter(|index| !invalid.contains_key(index));
        for (index, alert) in places.zip(&alerts) {
            if !self.owner.add(alert, &mut batch) {
                rejected.push(ItemRejection {
                    index,
                    line: None,
                    name: alert.text("alert_name").map(excerpt),
                    error: ItemError::NoStorage { kind: "webhook" },
                });
            }
        }
        for (index, (field, reason)) in invalid {
            rejected.push(ItemRejection {
                index,
                line: None,
                name: None,
                error: ItemError::Invalid {
                    field: Some(field),
                    reason,
                },
            });
        }
        self.log.rejected(&rejected);
        Ok(ParsedItems {
            batch: batch.build().into(),
            rejected,
            notes,
            complete_for,
            claim,
        })
    }
}

impl AlertOwner {
    /// Takes out what Alertmanager does not send. A webhook of a storage can have any form.
    fn take_invalid(&self, body: &mut Value) -> Result<InvalidAlerts, IngestError> {
        match self {
            Self::Storage(_) => Ok(InvalidAlerts::new()),
            Self::ByRule(_) => take_invalid_alerts(body).map_err(|reason| IngestError::Message {
                message: "webhook of Alertmanager",
                reason,
            }),
        }
    }

    /// Adds an alert, unless it has no storage.
    fn add(&self, alert: &NotificationAlert, batch: &mut AlertBatchBuilder) -> bool {
        match self {
            Self::Storage(storage) => alert.add_to(batch, storage),
            Self::ByRule(storages) => {
                let Some(id) = alert.text("storage_id") else {
                    return false;
                };
                match storages.get(id) {
                    Ok(storage) => alert.add_to(batch, &storage),
                    // Other monitoring systems know storages that the host does not collect from.
                    Err(_) => alert.add_as_it_is(batch),
                }
            }
        }
        true
    }
}
