//! Which part of a list is asked for, and in which order.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{super::error::ApiError, request::integer, view::StorageView};
use crate::storages::StorageError;

const MOST: usize = 1_000;
const MAX_OFFSET: i64 = i32::MAX as i64;
const FILTERS: [&str; 5] = ["name", "vendor", "model", "status", "serial_number"];
const NO_COLUMN: [&str; 1] = ["sync_status"];

/// What a query asks for. Parameters that mean nothing here are passed over.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    offset: usize,
    marker: Option<String>,
    sort: Vec<(String, Direction)>,
    filters: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

impl Page {
    pub(super) fn read(params: &[(String, String)]) -> Result<Self, ApiError> {
        // Of a parameter that is repeated, the last one counts.
        let given = |name: &str| {
            let mut found = params.iter().rev().filter(|(key, _)| key == name);
            found.next().map(|(_, value)| value.as_str())
        };
        let filters = FILTERS.iter();
        let filters = filters.filter_map(|name| Some((*name, given(name)?.to_owned())));
        Ok(Self {
            limit: limit(given("limit"))?,
            offset: offset(given("offset"))?,
            marker: given("marker").map(str::to_owned),
            sort: sort(given("sort"), given("sort_key"), given("sort_dir"))?,
            filters: filters.collect(),
        })
    }

    /// That part of the list.
    pub(super) fn of(&self, storages: Vec<StorageView>) -> Result<Vec<StorageView>, ApiError> {
        let mut rows: Vec<(Map<String, Value>, StorageView)> = storages
            .into_iter()
            .map(|view| (columns(&view), view))
            .collect();
        for (key, _) in &self.sort {
            let is_column = |(columns, _): &(Map<String, Value>, _)| columns.contains_key(key);
            let known = rows.first().is_none_or(is_column);
            if !known || NO_COLUMN.contains(&key.as_str()) {
                return Err(ApiError::invalid("Invalid sort key"));
            }
        }
        rows.sort_by(|(a, _), (b, _)| self.compare(a, b));
        let after = match &self.marker {
            None => 0,
            Some(marker) => {
                let place = rows.iter().position(|(_, view)| view.id == *marker);
                let id = marker.clone();
                1 + place.ok_or(StorageError::NotFound { id })?
            }
        };
        let rows = rows.into_iter().skip(after);
        let fits = |(columns, _): &(Map<String, Value>, StorageView)| {
            let mut filters = self.filters.iter();
            filters.all(|(name, value)| columns.get(*name).and_then(Value::as_str) == Some(value))
        };
        let rows = rows.filter(fits).skip(self.offset).take(self.limit);
        Ok(rows.map(|(_, view)| view).collect())
    }

    fn compare(&self, a: &Map<String, Value>, b: &Map<String, Value>) -> Ordering {
        let of = |key: &str| compare(a.get(key), b.get(key));
        let mut orders = self.sort.iter().map(|(key, direction)| match direction {
            Direction::Ascending => of(key),
            Direction::Descending => of(key).reverse(),
        });
        // Pages must not overlap where the keys say nothing.
        let unequal = orders.find(|order| order.is_ne());
        unequal.unwrap_or_else(|| of("id"))
    }
}

fn limit(given: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = given else { return Ok(MOST) };
    let limit = integer(text).ok_or_else(|| ApiError::invalid("limit param must be an integer"))?;
    let limit = usize::try_from(limit);
    let limit = limit.map_err(|_| ApiError::invalid("limit param must be positive"))?;
    Ok(limit.min(MOST))
}

fn offset(given: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = given else { return Ok(0) };
    let offset = integer(text).ok_or_else(|| ApiError::invalid("offset must be an integer"))?;
    if offset > MAX_OFFSET {
        return Err(ApiError::invalid("offset must be <= 2147483647"));
    }
    usize::try_from(offset).map_err(|_| ApiError::invalid("offset must be >= 0"))
}

fn sort(
    sort: Option<&str>,
    key: Option<&str>,
    direction: Option<&str>,
) -> Result<Vec<(String, Direction)>, ApiError> {
    let mut keys = Vec::new();
    if let Some(sort) = sort {
        for part in sort.split(',') {
            let (key, way) = part.split_once(':').unwrap_or((part, "desc"));
            keys.push((key.to_owned(), self::direction(way)?));
        }
    } else {
        let way = self::direction(direction.unwrap_or("desc"))?;
        keys.push((key.unwrap_or("created_at").to_owned(), way));
    }
    if keys.iter().any(|(key, _)| key.is_empty()) {
        return Err(ApiError::invalid("Invalid sort key"));
    }
    let first = keys.first().map_or(Direction::Descending, |(_, way)| *way);
    keys.push(("created_at".to_owned(), first));
    Ok(keys)
}

fn direction(text: &str) -> Result<Direction, ApiError> {
    match text {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        _ => Err(ApiError::invalid(
            "Unknown sort direction, must be 'desc' or 'asc'.",
        )),
    }
}

fn columns(view: &StorageView) -> Map<String, Value> {
    match serde_json::to_value(view) {
        Ok(Value::Object(columns)) => columns,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// Nothing comes first, as in Delfin's database.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let truth = |value: Option<&Value>| value.and_then(Value::as_bool);
    let key = |value| (text(value), number(value), truth(value));
    key(a).cmp(&key(b))
}
