//! What an error means for the rows.

use async_snmp::{Error, v3::ReportStatus};
use delfin_plugin_api::{Failure, Outcome, RowFailures};

/// Why a notification was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotificationError {
    /// It never will be. Others can be.
    Refused(String),
    /// Nor are those behind it.
    Failed(Failure),
}

/// What became of the notifications that were sent, by row: whether a text was shortened.
pub(crate) type SendResults = Vec<(usize, Result<bool, NotificationError>)>;

pub(crate) fn send_error(error: &Error) -> NotificationError {
    let message = error.to_string();
    NotificationError::Failed(match error.exchange_source() {
        Error::OutboundMessageTooLarge { .. } => return NotificationError::Refused(message),
        Error::Timeout { target, .. } => Failure::Uncertain {
            message: format!(
                "`{target}` does not acknowledge in time (check `address`, and the community or \
                 the user there: a receiver ignores what it does not know)"
            ),
        },
        Error::Auth { .. } => unauthorized(&message),
        Error::Report { status, .. } => match **status {
            ReportStatus::UnknownUserName { .. }
            | ReportStatus::WrongDigest { .. }
            | ReportStatus::UnsupportedSecurityLevel { .. }
            | ReportStatus::DecryptionError { .. } => unauthorized(&message),
            _ => Failure::retry(message),
        },
        Error::Config(_) | Error::InvalidOid(_) => Failure::misconfigured(message),
        // A response to what was sent, which has another content.
        Error::MalformedResponse { .. } | Error::Decode(_) => Failure::Uncertain { message },
        _ => Failure::retry(message),
    })
}

fn unauthorized(message: &str) -> Failure {
    Failure::Unauthorized {
        message: format!("{message} (check `username`, and the protocols and passwords)"),
    }
}

/// Rows without a result were not sent: they come after one that failed, or the time was over.
pub(crate) fn outcome(rows: usize, mut results: SendResults) -> Outcome {
    results.sort_unstable_by_key(|(row, _)| *row);
    let failed = results.iter().find_map(|(_, result)| match result {
        Err(NotificationError::Failed(failure)) => Some(failure.clone()),
        _ => None,
    });
    let has_result = |result: &Result<bool, NotificationError>| {
        !matches!(result, Err(NotificationError::Failed(_)))
    };
    if let Some(failure) = &failed
        && !results.iter().any(|(_, result)| has_result(result))
    {
        return Err(failure.clone());
    }
    let reason = failed.map(|failure| failure.to_string());
    let reason = reason.unwrap_or_else(|| "no time is left".to_owned());
    let mut failures = RowFailures::new();
    let mut results = results.into_iter().peekable();
    for row in 0..rows {
        match results.next_if(|(next, _)| *next == row) {
            Some((_, Ok(_))) => {}
            Some((_, Err(NotificationError::Refused(reason)))) => {
                failures.push(row..row + 1, false, &reason)
            }
            Some((_, Err(NotificationError::Failed(_)))) | None => {
                failures.push(row..row + 1, true, &reason)
            }
        }
    }
    failures.into_outcome()
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use delfin_plugin_api::testkit::check_outcome;

    use super::*;

    #[test]
    fn the_kind_of_an_error_decides_what_happens_to_the_rows() {
        let target = SocketAddr::from(([127, 0, 0, 1], 162));
        let check = |error: Error, name: &str, part: &str| match send_error(&error) {
            NotificationError::Failed(failure) => check_outcome(&Err(failure), name, part),
            NotificationError::Refused(reason) => panic!("{reason}"),
        };
        let late = Error::Timeout {
            target,
            elapsed: Duration::ZERO,
            retries: 2,
        };
        check(late, "uncertain", "check `address`");
        check(Error::Auth { target }, "unauthorized", "check `username`");
        check(Error::Closed { target }, "retry", "127.0.0.1:162");
        let large = Error::OutboundMessageTooLarge { size: 9, limit: 8 };
        assert!(matches!(send_error(&large), NotificationError::Refused(_)));
    }

    #[test]
    fn rows_without_a_result_are_sent_again() {
        let refused = NotificationError::Refused("too large".to_owned());
        let failed = NotificationError::Failed(Failure::retry("refused"));
        let results = vec![(3, Err(failed.clone())), (1, Err(refused)), (0, Ok(false))];
        let mut expected = RowFailures::new();
        expected.push(1..2, false, "too large");
        expected.push(2..5, true, "refused");
        assert_eq!(outcome(5, results), expected.into_outcome());
        assert_eq!(
            outcome(2, vec![(0, Err(failed))]),
            Err(Failure::retry("refused"))
        );
        assert_eq!(outcome(1, vec![(0, Ok(false))]), Ok(()));
    }
}
