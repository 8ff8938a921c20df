//! `/v1/storages/{id}/labels`: the labels that the operator gives a storage.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use super::StoragePath;
use crate::{
    api::{
        blocking,
        error::ApiError,
        extract::{Json, Path},
        responses::{
            InvalidBody, InventoryUnavailable, RegisteredStoragesUnknown, StorageIsDeclared,
            StorageNotFound,
        },
    },
    collect::{MAX_STATIC_LABEL_VALUE, MAX_STATIC_LABELS, STATIC_LABEL_NAME_PATTERN, StaticLabels},
    storages::{StorageError, Storages},
};

/// The labels of a storage.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageLabelsBody {
    /// Value by name, at most 16. Every series and every alert of the storage has them.
    #[schema(schema_with = labels_schema)]
    labels: BTreeMap<String, String>,
}

/// Shows the labels of a storage.
#[utoipa::path(
    get,
    path = "/v1/storages/{id}/labels",
    params(StoragePath),
    responses(
        (status = 200, body = StorageLabelsBody, description = "The labels"),
        StorageNotFound,
        RegisteredStoragesUnknown,
    ),
)]
pub(super) async fn show_labels(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
) -> Result<Json<StorageLabelsBody>, ApiError> {
    Ok(Json(StorageLabelsBody::of(&storages.get(&id)?.labels)))
}

/// Replaces the labels of a registered storage. The next series and alerts have them; the
/// storage keeps its id.
#[utoipa::path(
    put,
    path = "/v1/storages/{id}/labels",
    params(StoragePath),
    request_body(content = StorageLabelsBody, content_type = "application/json"),
    responses(
        (status = 200, body = StorageLabelsBody, description = "The change applies"),
        InvalidBody,
        StorageNotFound,
        StorageIsDeclared,
        InventoryUnavailable,
    ),
)]
pub(super) async fn set_labels(
    State(storages): State<Arc<Storages>>,
    Path(StoragePath { id }): Path<StoragePath>,
    Json(body): Json<StorageLabelsBody>,
) -> Result<Json<StorageLabelsBody>, ApiError> {
    let labels = StaticLabels::new(body.labels);
    let labels = labels.map_err(|error| ApiError::invalid(format!("labels: {error}")))?;
    let shown = StorageLabelsBody::of(&labels);
    let set: Result<(), StorageError> = blocking(move || storages.set_labels(&id, labels)).await?;
    set?;
    Ok(Json(shown))
}

pub(super) fn labels_schema() -> Object {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let name = text().pattern(Some(STATIC_LABEL_NAME_PATTERN)).build();
    let value = text().pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"));
    let value = value
        .min_length(Some(1))
        .max_length(Some(MAX_STATIC_LABEL_VALUE));
    ObjectBuilder::new()
        .property_names(Some(name))
        .additional_properties(Some(value))
        .max_properties(Some(MAX_STATIC_LABELS))
        .examples([json!({"site": "hk-1"})])
        .build()
}

impl StorageLabelsBody {
    fn of(labels: &StaticLabels) -> Self {
        let labels = labels.iter();
        Self {
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}
