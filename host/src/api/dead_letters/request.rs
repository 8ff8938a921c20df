//! Which dead letters a request speaks of.

use axum::extract::Request;
use delfin_plugin_api::Kind;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::{ApiState, error::ApiError, since, storages::request};
use crate::journal::{DeadLetterCount, DeadLetterFilter, DeadLetterId, Journal, ReadError};

const LISTED: u64 = 100;
const MOST_LISTED: u64 = 100_000;

/// Which dead letters: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// Of this exporter.
    pub(super) exporter: Option<String>,
    /// Given up since then: how long ago, or a time in RFC 3339.
    #[schema(example = "2h")]
    since: Option<String>,
    /// With this in their reason.
    reason: Option<String>,
    /// Of these ids.
    #[schema(example = json!(["performance-12"]))]
    ids: Vec<String>,
    /// So many at most, the oldest of them.
    pub(super) limit: Option<u64>,
    /// Only say what would be done.
    pub(super) dry_run: bool,
    /// Every letter there is.
    all: bool,
}

/// A letter's number, and its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LetterName {
    pub(super) kind: Kind,
    pub(super) id: DeadLetterId,
}

impl Asked {
    /// As a query asks. Of what comes twice the last holds, and what is not known
    /// is passed over.
    pub(super) fn of_query(query: Vec<(String, String)>, now_ms: i64) -> Result<Self, ApiError> {
        let mut asked = Self {
            limit: Some(LISTED),
            ..Self::default()
        };
        for (key, value) in query {
            match key.as_str() {
                "exporter" => asked.exporter = Some(value),
                "since" => asked.since = Some(value),
                "reason" => asked.reason = Some(value),
                "limit" => {
                    let limit: Result<u64, _> = value.parse();
                    let limit = limit
                        .map_err(|_| ApiError::invalid("limit must be a whole number from 0 on"))?;
                    asked.limit = Some(limit.min(MOST_LISTED));
                }
                _ => {}
            }
        }
        asked.since_ms(now_ms)?;
        Ok(asked)
    }

    /// As the body of a request asks, which must say something.
    pub(super) async fn of_request(api: &ApiState, request: Request) -> Result<Self, ApiError> {
        Self::of_body(request::json(api, request).await?)
    }

    fn of_body(body: Value) -> Result<Self, ApiError> {
        let asked: Self = serde_json::from_value(body).map_err(|error| {
            ApiError::invalid(format!("the body is not as it must be: {error}"))
        })?;
        if !asked.all && !asked.says_which() {
            let which = "the body must say which: `exporter`, `since`, `reason` or `ids`; or `all`";
            return Err(ApiError::invalid(which));
        }
        if asked.all && asked.says_which() {
            return Err(ApiError::invalid("the body says `all` and which as well"));
        }
        Ok(asked)
    }

    /// What to ask a journal for; nothing if none of its letters are meant.
    pub(super) fn filter(
        &self,
        kind: Kind,
        limit: Option<u64>,
        now_ms: i64,
    ) -> Result<Option<DeadLetterFilter>, ApiError> {
        let mut ids = Vec::new();
        for id in &self.ids {
            let name = LetterName::read(id)
                .ok_or_else(|| ApiError::invalid("one of the `ids` is no dead letter's"))?;
            if name.kind == kind {
                ids.push(name.id);
            }
        }
        if ids.is_empty() && !self.ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(DeadLetterFilter {
            exporter: self.exporter.clone(),
            since_ms: self.since_ms(now_ms)?,
            reason: self.reason.clone(),
            ids,
            limit,
        }))
    }

    fn says_which(&self) -> bool {
        self.exporter.is_some()
            || self.since.is_some()
            || self.reason.is_some()
            || !self.ids.is_empty()
    }

    fn since_ms(&self, now_ms: i64) -> Result<Option<i64>, ApiError> {
        let since = self.since.as_deref();
        since.map(|since| since::ms(since, now_ms)).transpose()
    }
}

impl LetterName {
    /// Reads what its `Display` wrote.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (kind, id) = text.rsplit_once('-')?;
        let kind = super::KINDS
            .into_iter()
            .find(|known| known.as_str() == kind)?;
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let id = DeadLetterId(id.parse().ok().filter(|_| is_number)?);
        Some(Self { kind, id })
    }
}

impl std::fmt::Display for LetterName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.id)
    }
}

/// How many letters would be replayed or purged.
pub(super) fn count(
    journal: &dyn Journal,
    which: DeadLetterFilter,
) -> Result<DeadLetterCount, ReadError> {
    let limit = which.limit.unwrap_or(u64::MAX);
    let all = DeadLetterFilter {
        limit: None,
        ..which
    };
    let mut count = DeadLetterCount::default();
    for letter in journal.dead_letters(&all)? {
        if letter.replayed_ms.is_none() && count.dead_letters < limit {
            count.dead_letters += 1;
            count.items += letter.dead_letter.items;
            count.bytes += letter.bytes;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Asked, ApiError> {
        Asked::of_body(serde_json::from_str(body).unwrap())
    }

    fn refused(body: &str) -> String {
        read(body).unwrap_err().to_string()
    }

    #[test]
    fn a_body_must_say_which_letters_or_all() {
        for body in [
            "{}",
            r#"{"limit": 3}"#,
            r#"{"dry_run": true}"#,
            r#"{"all": false}"#,
        ] {
            assert!(refused(body).contains("must say which"), "{body}");
        }
        assert!(refused(r#"{"all": true, "reason": "x"}"#).contains("as well"));
        assert!(refused(r#"{"exporters": ["a"]}"#).contains("unknown field"));
        read(r#"{"all": true}"#).unwrap();
        read(r#"{"exporter": "a", "limit": 3}"#).unwrap();
    }

    #[test]
    fn since_is_how_long_ago_or_a_time() {
        let now = 1_700_000_000_000;
        let of = |since: &str| {
            let query = vec![("since".to_owned(), since.to_owned())];
            let asked = Asked::of_query(query, now)?;
            Ok::<_, ApiError>(
                asked
                    .filter(Kind::Alert, None, now)?
                    .unwrap()
                    .since_ms
                    .unwrap(),
            )
        };
        assert_eq!(of("2h").unwrap(), now - 7_200_000);
        assert_eq!(of("2023-11-14T22:13:20Z").unwrap(), now);
        of("yesterday").unwrap_err();
    }

    #[test]
    fn a_letter_goes_by_its_lane_and_number() {
        let name = LetterName {
            kind: Kind::Alert,
            id: DeadLetterId(12),
        };
        assert_eq!(name.to_string(), "alert-12");
        assert_eq!(LetterName::read("alert-12"), Some(name));
        for odd in ["12", "alert-", "alert-+1", "alerts-1", "-1", "alert-1-2"] {
            assert_eq!(LetterName::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn ids_of_one_lane_ask_the_other_for_nothing() {
        let asked = read(r#"{"ids": ["alert-1"]}"#).unwrap();
        assert_eq!(asked.filter(Kind::Performance, None, 0), Ok(None));
        let alerts = asked.filter(Kind::Alert, None, 0).unwrap().unwrap();
        assert_eq!(alerts.ids, [DeadLetterId(1)]);
    }
}
