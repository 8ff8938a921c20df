//! What a response means for the rows of a request.
//!
//! Version 2 confirms how many points are stored, also when it refuses others. Version 1
//! stores all points of a request or none.

mod refused;

use delfin_plugin_api::{
    Failure, Outcome, RowFailureKind, RowFailures, Series, http::Response, text::excerpt,
};

use self::refused::refused_rows;
use crate::encode::{Protocol, WriteRequest};

/// Bytes to read of a response, which names the series that are refused.
pub(crate) const MAX_RESPONSE_BYTES: usize = 1 << 20;
const MAX_REASON: usize = 500;

const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// The result of a request.
#[derive(Debug)]
pub(crate) enum WriteResult {
    /// For all rows.
    All(Outcome),
    /// For all rows; some are stored.
    Part(Failure),
    /// These rows have refused points. All other points are stored.
    Refused(Vec<RefusedRow>),
}

/// A row with points that the receiver refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedRow {
    /// The number of the row in the request.
    pub(crate) row: usize,
    /// The number of refused points.
    pub(crate) points: u64,
    pub(crate) reason: String,
}

/// How many points a response to version 2 confirms.
pub(crate) fn written(response: &Response) -> Option<u64> {
    response.header(WRITTEN)?.trim().parse().ok()
}

/// Whether the receiver does not know version 2: it says so, or does not confirm points.
pub(crate) fn lacks_v2(response: &Response) -> bool {
    let status = response.status();
    written(response).is_none() && (response.is_success() || matches!(status, 400 | 415))
}

/// Reads the response to a request with these rows; `url` names the receiver.
pub(crate) fn of_response<'a>(
    response: &Response,
    request: &WriteRequest,
    rows: impl Iterator<Item = Series<'a>>,
    url: &str,
) -> WriteResult {
    let written = written(response).filter(|_| request.protocol() == Protocol::V2);
    let message = || response.message(url);
    if !response.is_success() {
        let points = written.and_then(|written| request.samples().checked_sub(written));
        let named = points.and_then(|points| refused_rows(response, points, rows));
        return match named {
            Some(rows) => WriteResult::Refused(rows),
            None if written.is_some_and(|written| written > 0) => {
                WriteResult::Part(response.failure(url))
            }
            None => WriteResult::All(Err(response.failure(url))),
        };
    }
    match written {
        _ if response.is_web_page() => WriteResult::All(Err(response.foreign(url, "remote write"))),
        None if request.protocol() == Protocol::V2 => {
            WriteResult::All(Err(Failure::misconfigured(format!(
                "{} and confirms no point, so it does not know version 2.0 (set `protocol = \"auto\"`)",
                message()
            ))))
        }
        Some(written) if written < request.samples() => {
            WriteResult::Part(Failure::rejected(format!(
                "{} and has stored {written} of {} points",
                message(),
                request.samples()
            )))
        }
        None if response.reports_error() => WriteResult::All(Err(Failure::misconfigured(format!(
            "{} (reports an error: check `url` and the receiver)",
            message()
        )))),
        None if response.is_cut_off() => WriteResult::All(Err(Failure::Uncertain {
            message: format!("{} (the response is cut off)", message()),
        })),
        None | Some(_) => WriteResult::All(Ok(())),
    }
}

/// The failure of a request without rows. A refusal of it keeps no rows back.
pub(crate) fn with_remedy_of_health(failure: Failure) -> Failure {
    match failure {
        Failure::Rejected { message } => Failure::rejected(format!(
            "{message} (a receiver of remote write accepts a request without points: check `url`)"
        )),
        other => other,
    }
}

/// The outcome of a request with refused rows. Also returns how many of their points count as
/// delivered.
///
/// A row that the receiver may have had before is delivered if only points before its newest
/// one are refused because of their times: a receiver refuses such points also if it has them.
pub(crate) fn of_refused(
    refused: &[RefusedRow],
    request: &WriteRequest,
    is_unconfirmed: impl Fn(usize) -> bool,
) -> (Outcome, u64) {
    let mut failures = RowFailures::new();
    let mut delivered = 0;
    for RefusedRow {
        row,
        points,
        reason,
    } in refused
    {
        let all = request.samples_of(*row);
        if *points < all && names_time_conflict(reason) && is_unconfirmed(*row) {
            delivered += points;
            continue;
        }
        let reason = format!("{points} of {all} points are refused: {reason}");
        failures.push(
            *row..*row + 1,
            RowFailureKind::Rejected,
            &excerpt(&reason, MAX_REASON),
        );
    }
    (failures.into_outcome(), delivered)
}

/// Whether the text of Prometheus, Mimir, Thanos or VictoriaMetrics names the times of points.
pub(crate) fn names_time_conflict(text: &str) -> bool {
    const REASONS: [&str; 5] = [
        "out of order",
        "out-of-order",
        "too old",
        "out of bounds",
        "duplicate sample",
    ];
    let text = text.to_ascii_lowercase();
    REASONS.iter().any(|reason| text.contains(reason))
}
