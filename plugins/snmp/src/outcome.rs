//! What an error means for the rows.

use async_snmp::{Error, v3::ReportStatus};
use delfin_plugin_api::{Failure, Outcome, workers::combine_outcomes};

/// What became of the notifications that were sent, by row: whether a text was shortened.
pub(crate) type SendResults = Vec<(usize, Result<bool, Failure>)>;

pub(crate) fn send_error(error: &Error) -> Failure {
    let message = error.to_string();
    match error.exchange_source() {
        Error::OutboundMessageTooLarge { .. } => Failure::rejected(message),
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
    }
}

fn unauthorized(message: &str) -> Failure {
    Failure::Unauthorized {
        message: format!("{message} (check `username`, and the protocols and passwords)"),
    }
}

/// Rows without a result were not sent: they come after one that failed.
pub(crate) fn outcome(rows: usize, results: SendResults) -> Outcome {
    let mut outcomes = vec![None; rows];
    for (row, result) in results {
        outcomes[row] = Some(result.map(drop));
    }
    let numbers: Vec<usize> = (0..rows).collect();
    combine_outcomes(numbers.chunks(1).zip(outcomes))
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use delfin_plugin_api::{RowFailureKind, RowFailures, testkit::check_outcome};

    use super::*;

    #[test]
    fn the_kind_of_an_error_decides_what_happens_to_the_rows() {
        let target = SocketAddr::from(([127, 0, 0, 1], 162));
        let check = |error: Error, name: &str, part: &str| {
            check_outcome(&Err(send_error(&error)), name, part);
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
        check(large, "rejected", "");
    }

    #[test]
    fn rows_without_a_result_are_sent_again() {
        let refused = Failure::rejected("too large");
        let late = Failure::Uncertain {
            message: "late".to_owned(),
        };
        let results = vec![(3, Err(late.clone())), (1, Err(refused)), (0, Ok(false))];
        let unsent = "not sent, because another request failed";
        let mut expected = RowFailures::new();
        expected.push(1..2, RowFailureKind::Rejected, "too large");
        expected.push(2..3, RowFailureKind::Retry, unsent);
        expected.push(3..4, RowFailureKind::Uncertain, "late");
        expected.push(4..5, RowFailureKind::Retry, unsent);
        assert_eq!(outcome(5, results), expected.into_outcome());
        assert_eq!(outcome(1, vec![(0, Err(late.clone()))]), Err(late));
        assert_eq!(outcome(1, vec![(0, Ok(false))]), Ok(()));
    }
}
