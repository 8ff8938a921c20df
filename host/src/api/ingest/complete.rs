//! A batch with every active alert of one storage.

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert, text::excerpt};

use crate::{api::error::ApiError, batch::AnyBatch};

/// The storage that the batch is complete for: named by the query, by the body, or by both.
pub(super) fn storage(
    query: Option<String>,
    body: Option<String>,
) -> Result<Option<String>, ApiError> {
    let storage = match (query, body) {
        (Some(query), Some(body)) if query != body => {
            return Err(ApiError::invalid(
                "`complete_for` in the query and in the body differ",
            ));
        }
        (query, body) => query.or(body),
    };
    match storage.as_deref() {
        Some("") => Err(ApiError::invalid("`complete_for` is empty")),
        Some(_) | None => Ok(storage),
    }
}

/// The batch, whose alerts all belong to the storage. An alert without a storage gets it.
pub(super) fn alerts_of(batch: AnyBatch, storage_id: &str) -> Result<AnyBatch, ApiError> {
    let AnyBatch::Alerts(alerts) = batch else {
        return Err(ApiError::invalid("`complete_for` is for alerts only"));
    };
    let ids = || alerts.alerts().map(|alert| alert.storage_id());
    let is_other = |id: &&str| !id.is_empty() && *id != storage_id;
    if let Some(other) = ids().flatten().find(is_other) {
        let other = excerpt(other, 60);
        return Err(ApiError::invalid(format!(
            "an alert is of storage `{other}`, but the batch is complete for another one (send the \
             alerts of each storage by themselves)"
        )));
    }
    if ids().all(|id| id == Some(storage_id)) {
        return Ok(alerts.into());
    }
    Ok(with_storage(&alerts, storage_id).into())
}

fn with_storage(alerts: &AlertBatch, storage_id: &str) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for alert in alerts.alerts() {
        let mut texts: Vec<(&str, &str)> = alert.texts().collect();
        texts.extend(alert.extra());
        texts.push(("storage_id", storage_id));
        batch.alert(NewAlert {
            occur_time: alert.occur_time(),
            texts: &texts,
        });
    }
    batch.build()
}
