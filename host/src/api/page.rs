//! Which part of a list a client gets, and in which order, as Delfin does it. The texts of errors
//! are Delfin's.

use utoipa::openapi::{
    Object, ObjectBuilder,
    schema::{KnownFormat, SchemaFormat, Type},
};

use super::error::ApiError;
use crate::inventory::SortDirection;

const MAX_LIMIT: usize = 1_000;
const MAX_OFFSET: i64 = i32::MAX as i64;

/// The parameters of a page, as they were given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageParameters<'a> {
    pub(super) limit: Option<&'a str>,
    pub(super) offset: Option<&'a str>,
    pub(super) sort: Option<&'a str>,
    pub(super) sort_key: Option<&'a str>,
    pub(super) sort_dir: Option<&'a str>,
}

/// A part of a list, in an order.
#[derive(Debug)]
pub(super) struct ListPage {
    pub(super) limit: usize,
    pub(super) offset: usize,
    /// Names of fields; the last is the time of creation.
    pub(super) sort: Vec<(String, SortDirection)>,
}

impl ListPage {
    pub(super) fn new(given: PageParameters<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            limit: limit(given.limit)?,
            offset: offset(given.offset)?,
            sort: sort(given.sort, given.sort_key, given.sort_dir)?,
        })
    }
}

/// The description of `limit`. Larger numbers are as good as the largest.
pub(super) fn limit_schema() -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::Integer);
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    schema.format(Some(format)).minimum(Some(0)).build()
}

/// The description of `offset`.
pub(super) fn offset_schema() -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::Integer);
    schema.minimum(Some(0)).maximum(Some(i32::MAX)).build()
}

/// The description of `sort`, for a list whose fields have these names.
pub(super) fn sort_schema(keys: &[&str]) -> Object {
    let part = format!("({})(:(asc|desc))?", keys.join("|"));
    let schema = ObjectBuilder::new().schema_type(Type::String);
    schema.pattern(Some(format!("^{part}(,{part})*$"))).build()
}

/// The description of `sort_dir`.
pub(super) fn sort_dir_schema() -> Object {
    one_of(&["asc", "desc"])
}

/// The description of a text that has one of some values.
pub(super) fn one_of(values: &[&str]) -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    schema.enum_values(Some(values.iter().copied())).build()
}

/// A whole number in the forms that Python reads: with a sign, spaces around it, and
/// underscores between digits.
pub(super) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    is_number
        .then(|| text.replace('_', "").parse().ok())
        .flatten()
}

fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else {
        return Ok(MAX_LIMIT);
    };
    let limit = integer(text).ok_or_else(|| ApiError::invalid("limit param must be an integer"))?;
    let limit = usize::try_from(limit);
    let limit = limit.map_err(|_| ApiError::invalid("limit param must be positive"))?;
    Ok(limit.min(MAX_LIMIT))
}

fn offset(text: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = text else { return Ok(0) };
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
) -> Result<Vec<(String, SortDirection)>, ApiError> {
    let mut keys = Vec::new();
    if let Some(sort) = sort {
        for part in sort.split(',') {
            let (key, dir) = part.split_once(':').unwrap_or((part, "desc"));
            keys.push((key.to_owned(), self::direction(dir)?));
        }
    } else {
        let dir = self::direction(direction.unwrap_or("desc"))?;
        keys.push((key.unwrap_or("created_at").to_owned(), dir));
    }
    if keys.iter().any(|(key, _)| key.is_empty()) {
        return Err(ApiError::invalid("Invalid sort key"));
    }
    let first = keys
        .first()
        .map_or(SortDirection::Descending, |(_, dir)| *dir);
    keys.push(("created_at".to_owned(), first));
    Ok(keys)
}

fn direction(text: &str) -> Result<SortDirection, ApiError> {
    match text {
        "asc" => Ok(SortDirection::Ascending),
        "desc" => Ok(SortDirection::Descending),
        _ => Err(ApiError::invalid(
            "Unknown sort direction, must be 'desc' or 'asc'.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(given: PageParameters<'_>) -> Result<ListPage, String> {
        ListPage::new(given).map_err(|error| error.to_string())
    }

    #[test]
    fn the_order_ends_with_the_time_of_creation_in_the_direction_of_the_first_key() {
        let sort = |text| {
            let given = PageParameters {
                sort: Some(text),
                ..PageParameters::default()
            };
            page(given).map(|page| page.sort)
        };
        let (up, down) = (SortDirection::Ascending, SortDirection::Descending);
        let key = |name: &str, direction| (name.to_owned(), direction);
        assert_eq!(
            sort("name:asc,wwn").unwrap(),
            [key("name", up), key("wwn", down), key("created_at", up)]
        );
        for wrong in ["", "name:ASC", "name,,wwn"] {
            assert!(sort(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_and_offsets_are_numbers_as_python_reads_them() {
        let limit = |text| {
            let given = PageParameters {
                limit: Some(text),
                ..PageParameters::default()
            };
            page(given).map(|page| page.limit)
        };
        assert_eq!(limit(" 1_0 "), Ok(10));
        assert_eq!(limit("5000"), Ok(1_000));
        assert!(limit("-1").unwrap_err().contains("must be positive"));
        assert!(limit("").unwrap_err().contains("must be an integer"));
    }
}
