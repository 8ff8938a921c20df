//! Which storages a list has, and in which order, as Delfin does it.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, openapi::Object};

use super::{request::time_schema, view::StorageView};
use crate::{
    api::{
        error::ApiError,
        page::{self, ListPage, PageParameters, integer},
    },
    inventory::SortDirection,
};

/// The fields of a storage that Delfin can sort by: all but `sync_status`.
const SORTABLE: [&str; 18] = [
    "created_at",
    "updated_at",
    "id",
    "name",
    "description",
    "location",
    "status",
    "vendor",
    "model",
    "serial_number",
    "firmware_version",
    "total_capacity",
    "used_capacity",
    "free_capacity",
    "raw_capacity",
    "subscribed_capacity",
    "deleted_at",
    "deleted",
];

/// The part of the list to answer with. The texts of errors are Delfin's.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListStoragesQuery {
    /// Maximum number of storages; 1000 by default and at most.
    #[param(schema_with = page::limit_schema, required = false)]
    limit: Option<String>,
    /// Number of storages to skip.
    #[param(schema_with = page::offset_schema, required = false)]
    offset: Option<String>,
    /// Id of a storage: the list begins after it.
    marker: Option<String>,
    /// Sort order, as in `vendor:asc,name:desc`; without a direction, descending.
    #[param(schema_with = sort_schema, required = false)]
    sort: Option<String>,
    /// The field to sort by, if there is no `sort`; `created_at` by default.
    #[param(schema_with = sort_key_schema, required = false)]
    sort_key: Option<String>,
    /// `asc` or `desc`, for `sort_key`; `desc` by default.
    #[param(schema_with = page::sort_dir_schema, required = false)]
    sort_dir: Option<String>,
    /// Only storages with this name.
    name: Option<String>,
    /// Only storages of this vendor.
    vendor: Option<String>,
    /// Only storages of this model.
    model: Option<String>,
    /// Only storages with this status: `normal`, `offline` or `unknown`.
    status: Option<String>,
    /// Only the storage with this serial number.
    serial_number: Option<String>,
}

/// The times between which alerts are wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListAlertsQuery {
    /// Begin, in milliseconds since the Unix epoch; 0 for no limit.
    #[param(schema_with = time_schema, required = false)]
    begin_time: Option<String>,
    /// End, in milliseconds since the Unix epoch; 0 for no limit.
    #[param(schema_with = time_schema, required = false)]
    end_time: Option<String>,
}

/// A part of the list of storages, in an order.
#[derive(Debug)]
pub(super) struct StoragePage {
    page: ListPage,
    marker: Option<String>,
    filters: Vec<(&'static str, String)>,
}

impl ListAlertsQuery {
    /// Begin and end, in milliseconds since the Unix epoch; 0 for no limit.
    pub(super) fn times(&self) -> Result<[i64; 2], ApiError> {
        let time = |text: &Option<String>| {
            let Some(text) = text else { return Ok(0) };
            integer(text).ok_or_else(|| {
                ApiError::invalid(
                    "begin_time and end_time should be integer values in milliseconds.",
                )
            })
        };
        Ok([time(&self.begin_time)?, time(&self.end_time)?])
    }
}

impl StoragePage {
    pub(super) fn new(query: ListStoragesQuery) -> Result<Self, ApiError> {
        let filters = [
            ("name", query.name),
            ("vendor", query.vendor),
            ("model", query.model),
            ("status", query.status),
            ("serial_number", query.serial_number),
        ];
        let filters = filters.into_iter();
        let page = ListPage::new(PageParameters {
            limit: query.limit.as_deref(),
            offset: query.offset.as_deref(),
            sort: query.sort.as_deref(),
            sort_key: query.sort_key.as_deref(),
            sort_dir: query.sort_dir.as_deref(),
        })?;
        Ok(Self {
            page,
            marker: query.marker,
            filters: filters
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        })
    }

    /// The storages of this page.
    pub(super) fn select(&self, storages: Vec<StorageView>) -> Result<Vec<StorageView>, ApiError> {
        let mut rows: Vec<(Map<String, Value>, StorageView)> = storages
            .into_iter()
            .map(|view| (columns(&view), view))
            .collect();
        for (key, _) in &self.page.sort {
            if !SORTABLE.contains(&key.as_str()) {
                return Err(ApiError::invalid("Invalid sort key"));
            }
        }
        rows.sort_by(|(a, _), (b, _)| self.compare(a, b));
        let after = match &self.marker {
            None => 0,
            Some(marker) => {
                let place = rows.iter().position(|(_, view)| view.id == *marker);
                let id = marker.clone();
                1 + place.ok_or(ApiError::StorageNotFound { id })?
            }
        };
        let rows = rows.into_iter().skip(after);
        let fits = |(columns, _): &(Map<String, Value>, StorageView)| {
            let mut filters = self.filters.iter();
            filters.all(|(name, value)| columns.get(*name).and_then(Value::as_str) == Some(value))
        };
        let rows = rows
            .filter(fits)
            .skip(self.page.offset)
            .take(self.page.limit);
        Ok(rows.map(|(_, view)| view).collect())
    }

    fn compare(&self, a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
        let of = |key: &str| compare(a.get(key), b.get(key));
        let mut orders = self
            .page
            .sort
            .iter()
            .map(|(key, direction)| match direction {
                SortDirection::Ascending => of(key),
                SortDirection::Descending => of(key).reverse(),
            });
        // Without a last key that is unique, pages could overlap.
        let unequal = orders.find(|order| order.is_ne());
        unequal.unwrap_or_else(|| of("id"))
    }
}

fn sort_schema() -> Object {
    page::sort_schema(&SORTABLE)
}

fn sort_key_schema() -> Object {
    page::one_of(&SORTABLE)
}

fn columns(view: &StorageView) -> Map<String, Value> {
    match serde_json::to_value(view) {
        Ok(Value::Object(columns)) => columns,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// Null comes first, as in Delfin's database.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let truth = |value: Option<&Value>| value.and_then(Value::as_bool);
    let key = |value| (text(value), number(value), truth(value));
    key(a).cmp(&key(b))
}
