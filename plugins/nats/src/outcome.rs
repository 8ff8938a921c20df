//! What acknowledgements and errors mean for the rows.

use async_nats::{
    ConnectError, ConnectErrorKind,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
    },
};
use delfin_plugin_api::{
    Failure,
    message::MessageResults,
    tls,
    unreachable::{self, HOST_UNKNOWN, NOT_IN_TIME},
};

/// Enters why a message was not published, and returns whether other messages can be.
pub(crate) fn set_failed(
    results: &mut MessageResults,
    rows: &[usize],
    subject: &str,
    error: &PublishError,
) -> bool {
    let is_too_large = is_too_large(error);
    if is_too_large && rows.len() == 1 {
        results.set_rejected(rows, &format!("`{subject}`: {error}"));
        return true;
    }
    results.set_failure(if is_too_large {
        Failure::TooLarge {
            message: format!("`{subject}`: {error} (set a smaller `message_bytes`)"),
        }
    } else {
        failure_of(subject, error)
    });
    false
}

/// The failure that an error of the server means, if it is a missing permission.
pub(crate) fn permission_failure(error: String) -> Option<Failure> {
    let is_permission = error.to_lowercase().contains("permissions violation");
    is_permission.then(|| {
        Failure::misconfigured(format!(
            "{error} (allow the user to publish to the subject, and to subscribe to `_INBOX.>`)"
        ))
    })
}

fn failure_of(subject: &str, error: &PublishError) -> Failure {
    let message = match std::error::Error::source(error) {
        Some(cause) if !error.to_string().contains(&cause.to_string()) => {
            format!("`{subject}`: {error}: {cause}")
        }
        _ => format!("`{subject}`: {error}"),
    };
    match error.kind() {
        PublishErrorKind::StreamNotFound => Failure::misconfigured(format!(
            "no stream has the subject `{subject}` (create one that has it, and turn on JetStream)"
        )),
        // The stream may have the message. Its id keeps a second one out for some minutes.
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Failure::Uncertain { message },
        PublishErrorKind::Other
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence => Failure::retry(message),
    }
}

/// Whether a server or a stream finds the message too large.
fn is_too_large(error: &PublishError) -> bool {
    let cause = std::error::Error::source(error);
    let code = cause.and_then(|cause| cause.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || code.is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

/// The failure that an error of a new connection means. Of several servers, it is the error of the
/// last one. `remedy` is for a refused login.
pub(crate) fn connect_failure(error: &ConnectError, servers: &str, remedy: &str) -> Failure {
    if let Some(reason) = tls::reason_of(error) {
        return Failure::misconfigured(format!("`{servers}`: {reason}"));
    }
    let kind = error.kind();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.unwrap_or_else(|| kind.to_string());
    let retry = |reason: &str| Failure::retry(format!("`{servers}`: {reason}"));
    match kind {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Failure::Unauthorized {
                message: format!("`{servers}`: {kind} ({remedy})"),
            }
        }
        ConnectErrorKind::ServerParse => Failure::misconfigured(format!("`{servers}`: {cause}")),
        ConnectErrorKind::Tls => Failure::misconfigured(format!(
            "`{servers}`: {cause} (turn on TLS at the server, or set `tls = false`)"
        )),
        ConnectErrorKind::Dns => retry(HOST_UNKNOWN),
        ConnectErrorKind::TimedOut | ConnectErrorKind::MaxReconnects => retry(NOT_IN_TIME),
        ConnectErrorKind::Io => match unreachable::reason_of(error) {
            Some(reason) => retry(reason),
            None => retry(&format!(
                "{cause} (check that the port is that of a server of NATS)"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{Outcome, RowFailureKind, testkit::check_outcome};

    use super::*;

    fn outcome(rows: &[usize], kind: PublishErrorKind) -> Outcome {
        let mut results = MessageResults::new(2);
        results.set_sent(rows);
        set_failed(&mut results, rows, "s", &PublishError::new(kind));
        results.into_outcome()
    }

    #[test]
    fn the_kind_of_an_error_decides_what_happens_to_the_rows() {
        let check = |kind, name: &str, part: &str| {
            check_outcome(&outcome(&[0, 1], kind), name, part);
        };
        check(PublishErrorKind::StreamNotFound, "misconfigured", "`s`");
        check(PublishErrorKind::BrokenPipe, "uncertain", "");
        check(PublishErrorKind::TimedOut, "uncertain", "");
        check(PublishErrorKind::Other, "retry", "");
        let large = PublishErrorKind::MaxPayloadExceeded;
        check(large, "too large", "`message_bytes`");
        let Err(Failure::Partial { rows, .. }) = outcome(&[0], large) else {
            panic!("the other row can be sent")
        };
        assert_eq!(
            (rows[0].rows.clone(), rows[0].kind),
            (0..1, RowFailureKind::Rejected)
        );
    }

    #[test]
    fn a_missing_permission_pauses_the_exporter() {
        let error = "nats: permissions violation for publish to \"s\"".to_owned();
        let failure = Err(permission_failure(error).unwrap());
        check_outcome(&failure, "misconfigured", "_INBOX");
        assert_eq!(permission_failure("slow consumer".to_owned()), None);
    }
}
