//! What an answer means for each row.
//!
//! A receiver may name rows by their place in the array, those that it refuses
//! for ever and those that it wants once more:
//! `{"rejected":[{"index":3,"error":"…"}],"retry":[{"index":7,"error":"…"}]}`.
//!
//! Promises: a row counts as delivered only under a success, and unless it is
//! named; as refused only if it is named, or nothing is and the status says so.

use delfin_plugin_api::{
    Failure, Outcome, RowFailure,
    http::Response,
    log,
    serde::{self, Deserialize},
};

/// How much of what is said of a row is worth keeping.
const MAX_REASON: usize = 500;

const MULTI_STATUS: u16 = 207;

/// How long an answer may be that is about that many rows.
pub(crate) fn max_answer(rows: usize) -> usize {
    64 * 1024 + 512 * rows
}

/// What became of the rows.
pub(crate) fn outcome(answer: &Response, rows: usize, receiver: &str) -> Outcome {
    let named = Named::read(answer, rows);
    if answer.is_success() {
        return success(answer, named, receiver);
    }
    match (answer.failure(receiver), named) {
        // It has not said that it has the others.
        (Failure::Rejected { message }, Named::Rows(named)) => Err(Failure::Partial {
            rows: with_others(named, &message),
        }),
        (failure, _) => Err(failure),
    }
}

fn success(answer: &Response, named: Named, receiver: &str) -> Outcome {
    match named {
        Named::Rows(rows) => Err(Failure::Partial {
            rows: join(rows.into_iter().flatten()),
        }),
        Named::None => Ok(()),
        // This status says that some rows have met with something else.
        Named::Nonsense | Named::Nothing if answer.status() == MULTI_STATUS => {
            let message = answer.message(receiver);
            Err(Failure::Uncertain {
                message: format!("{message} (it does not name rows in a form that is known)"),
            })
        }
        Named::Nonsense => {
            log::warn!(
                url = receiver, status = answer.status();
                "the receiver names rows that it was not sent, all count as delivered"
            );
            Ok(())
        }
        Named::Nothing => Ok(()),
    }
}

/// The rows that an answer names.
enum Named {
    /// What is said of each row; at least one is named.
    Rows(Vec<Option<RowFailure>>),
    /// That it names none is said.
    None,
    /// It names rows that were not sent, or one twice.
    Nonsense,
    /// It speaks of something else.
    Nothing,
}

#[derive(Deserialize)]
#[serde(crate = "serde")]
struct Written {
    rejected: Option<Vec<Item>>,
    retry: Option<Vec<Item>>,
}

#[derive(Deserialize)]
#[serde(crate = "serde")]
struct Item {
    index: usize,
    #[serde(default)]
    error: String,
}

impl Named {
    fn read(answer: &Response, rows: usize) -> Self {
        let written = answer
            .body()
            .and_then(|body| serde_json::from_slice::<Written>(body).ok());
        let (rejected, again) = match written {
            None
            | Some(Written {
                rejected: None,
                retry: None,
            }) => return Self::Nothing,
            Some(Written { rejected, retry }) => {
                (rejected.unwrap_or_default(), retry.unwrap_or_default())
            }
        };
        if rejected.is_empty() && again.is_empty() {
            return Self::None;
        }
        let mut named = vec![None; rows];
        for (items, retry) in [(rejected, false), (again, true)] {
            for Item { index, error } in items {
                match named.get_mut(index) {
                    Some(place @ None) => {
                        *place = Some(RowFailure {
                            rows: index..index + 1,
                            retry,
                            reason: reason(&error, retry),
                        });
                    }
                    Some(Some(_)) | None => return Self::Nonsense,
                }
            }
        }
        Self::Rows(named)
    }
}

fn reason(error: &str, retry: bool) -> String {
    let error = error.trim();
    if error.is_empty() {
        let reason = if retry {
            "the receiver wants it once more"
        } else {
            "the receiver refuses it"
        };
        return reason.to_owned();
    }
    let error = error.chars().take(MAX_REASON);
    error
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The rows that are named, and the others once more.
fn with_others(named: Vec<Option<RowFailure>>, message: &str) -> Vec<RowFailure> {
    let all = named.into_iter().enumerate().map(|(row, named)| {
        named.unwrap_or_else(|| RowFailure {
            rows: row..row + 1,
            retry: true,
            reason: message.to_owned(),
        })
    });
    join(all)
}

/// Makes one of neighbours that meet with the same.
fn join(rows: impl Iterator<Item = RowFailure>) -> Vec<RowFailure> {
    let mut joined: Vec<RowFailure> = Vec::new();
    for row in rows {
        match joined.last_mut() {
            Some(last)
                if last.rows.end == row.rows.start
                    && last.retry == row.retry
                    && last.reason == row.reason =>
            {
                last.rows.end = row.rows.end;
            }
            Some(_) | None => joined.push(row),
        }
    }
    joined
}
