//! Which dead letters a request selects.

use std::fmt;

use delfin_plugin_api::Kind;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{Array, ArrayBuilder, ObjectBuilder, schema::Type},
};

use super::KINDS;
use crate::{
    api::{error::ApiError, extract::Since},
    journal::{DeadLetterFilter, DeadLetterId},
};

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 100_000;
/// More digits than a number in a journal has.
const MAX_DIGITS: usize = 18;

/// The dead letters to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListDeadLettersQuery {
    /// Only dead letters of this exporter.
    exporter: Option<String>,
    /// Only dead letters from this time on: how long ago, such as `2h`, or a time in RFC 3339.
    #[param(schema_with = Since::schema, required = false)]
    since: Option<Since>,
    /// Only dead letters whose reason contains this text, in upper or lower case.
    reason: Option<String>,
    /// Maximum number of dead letters; at most 100000.
    #[param(default = 100)]
    limit: u64,
}

/// The dead letters to replay or purge: those that match every given field. `all`
/// excludes `exporter`, `since`, `reason` and `ids`; one of the five is required.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SelectDeadLettersRequest {
    /// Only dead letters of this exporter.
    #[schema(nullable = false)]
    exporter: Option<String>,
    /// Only dead letters from this time on: how long ago, such as `2h`, or a time in RFC 3339.
    #[schema(schema_with = Since::schema, required = false)]
    since: Option<Since>,
    /// Only dead letters whose reason contains this text, in upper or lower case.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Only dead letters with these ids.
    #[serde(default)]
    #[schema(schema_with = ids_schema, required = false)]
    ids: Vec<DeadLetterRef>,
    /// Maximum number of dead letters, the oldest first; no limit by default.
    #[schema(nullable = false)]
    limit: Option<u64>,
    /// Whether to change nothing, and only answer what would be done.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Every dead letter.
    #[serde(default)]
    all: bool,
}

/// Dead letters of both kinds that match every field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DeadLetterSelection {
    exporter: Option<String>,
    since_ms: Option<i64>,
    reason: Option<String>,
    /// Any, if empty.
    ids: Vec<DeadLetterRef>,
    pub(super) limit: Option<u64>,
}

/// Id of a dead letter in the API: its kind, and its number in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeadLetterRef {
    pub(super) kind: Kind,
    pub(super) number: DeadLetterId,
}

impl Default for ListDeadLettersQuery {
    fn default() -> Self {
        Self {
            exporter: None,
            since: None,
            reason: None,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl ListDeadLettersQuery {
    pub(super) fn into_selection(self) -> DeadLetterSelection {
        DeadLetterSelection {
            exporter: self.exporter,
            since_ms: self.since.map(|since| since.ms),
            reason: self.reason,
            ids: Vec::new(),
            limit: Some(self.limit.min(MAX_LIMIT)),
        }
    }
}

impl SelectDeadLettersRequest {
    /// # Errors
    ///
    /// The request selects nothing, or says `all` and selects.
    pub(super) fn into_selection(self) -> Result<DeadLetterSelection, ApiError> {
        let selects = self.exporter.is_some()
            || self.since.is_some()
            || self.reason.is_some()
            || !self.ids.is_empty();
        if !self.all && !selects {
            return Err(ApiError::invalid(
                "the body selects no dead letters (give `exporter`, `since`, `reason` or `ids`, \
                 or set `all`)",
            ));
        }
        if self.all && selects {
            return Err(ApiError::invalid(
                "the body sets `all` and selects dead letters as well (remove one)",
            ));
        }
        Ok(DeadLetterSelection {
            exporter: self.exporter,
            since_ms: self.since.map(|since| since.ms),
            reason: self.reason,
            ids: self.ids,
            limit: self.limit,
        })
    }
}

impl DeadLetterSelection {
    /// The filter for the journal of this kind; `None` if the selection has ids, and
    /// all are of the other kind.
    pub(super) fn filter(&self, kind: Kind, limit: Option<u64>) -> Option<DeadLetterFilter> {
        let ids = self.ids.iter().filter(|id| id.kind == kind);
        let ids: Vec<DeadLetterId> = ids.map(|id| id.number).collect();
        if ids.is_empty() && !self.ids.is_empty() {
            return None;
        }
        Some(DeadLetterFilter {
            exporter: self.exporter.clone(),
            since_ms: self.since_ms,
            reason: self.reason.clone(),
            ids,
            limit,
        })
    }
}

impl DeadLetterRef {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.rsplit_once('-')?;
        let kind = KINDS.into_iter().find(|known| known.as_str() == kind)?;
        // `parse` alone would take a sign.
        let is_number = (1..=MAX_DIGITS).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = DeadLetterId(number.parse().ok().filter(|_| is_number)?);
        Some(Self { kind, number })
    }
}

fn ids_schema() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::String);
    let id = id.pattern(Some(format!(
        "^(performance|alert)-[0-9]{{1,{MAX_DIGITS}}}$"
    )));
    let ids = ArrayBuilder::new().items(id.build());
    ids.examples([json!(["performance-12"])]).build()
}

impl fmt::Display for DeadLetterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.number)
    }
}

impl<'de> Deserialize<'de> for DeadLetterRef {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(field)?;
        let id = value.as_str().and_then(Self::parse);
        id.ok_or_else(|| {
            D::Error::custom("must hold ids of dead letters, such as `performance-12`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<DeadLetterSelection, String> {
        let request: SelectDeadLettersRequest =
            serde_json::from_str(body).map_err(|error| error.to_string())?;
        request.into_selection().map_err(|error| error.to_string())
    }

    fn refused(body: &str) -> String {
        read(body).unwrap_err()
    }

    #[test]
    fn a_body_must_select_dead_letters_or_say_all() {
        for body in [
            "{}",
            r#"{"limit": 3}"#,
            r#"{"dry_run": true}"#,
            r#"{"all": false}"#,
        ] {
            assert!(refused(body).contains("selects no dead letters"), "{body}");
        }
        assert!(refused(r#"{"all": true, "reason": "x"}"#).contains("as well"));
        assert!(refused(r#"{"exporters": ["a"]}"#).contains("unknown field"));
        read(r#"{"all": true}"#).unwrap();
        read(r#"{"exporter": "a", "limit": 3}"#).unwrap();
    }

    #[test]
    fn an_id_is_kind_and_number() {
        let id = DeadLetterRef {
            kind: Kind::Alert,
            number: DeadLetterId(12),
        };
        assert_eq!(id.to_string(), "alert-12");
        assert_eq!(DeadLetterRef::parse("alert-12"), Some(id));
        for odd in ["12", "alert-", "alert-+1", "alerts-1", "-1", "alert-1-2"] {
            assert_eq!(DeadLetterRef::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn ids_of_one_kind_select_nothing_of_the_other() {
        let selection = read(r#"{"ids": ["alert-1"]}"#).unwrap();
        assert_eq!(selection.filter(Kind::Performance, None), None);
        let alerts = selection.filter(Kind::Alert, None).unwrap();
        assert_eq!(alerts.ids, [DeadLetterId(1)]);
        assert!(refused(r#"{"ids": ["alert-x"]}"#).contains("must hold ids"));
    }
}
