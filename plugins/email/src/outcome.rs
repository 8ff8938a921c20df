//! What the answers of a mail server mean for the rows.

use std::{error::Error as _, io};

use delfin_plugin_api::{Failure, message::MessageResults, stream::Address, tls, unreachable};
use lettre::transport::smtp::Error;

/// The part of the dialogue in which an error occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MailStage {
    /// Before a mail: the greeting, STARTTLS and the login.
    Connect,
    Login,
    /// Sender and recipients.
    Envelope,
    /// The mail itself.
    Content,
}

/// Enters an error of a mail, and returns whether the connection can be used for the next one.
pub(crate) fn set_failed(
    results: &mut MessageResults,
    rows: &[usize],
    stage: MailStage,
    error: &Error,
    address: &Address,
) -> bool {
    if stage == MailStage::Content && error.is_permanent() {
        let reason = format!("`{address}`: {}", text(error));
        results.set_rejected(rows, &reason);
        return true;
    }
    results.set_failure(failure(stage, error, address));
    false
}

pub(crate) fn failure(stage: MailStage, error: &Error, address: &Address) -> Failure {
    if let Some(reason) = tls::reason_of(error) {
        return Failure::misconfigured(format!("`{address}`: {reason}"));
    }
    let message = format!("`{address}`: {}", text(error));
    match stage {
        MailStage::Login if error.is_permanent() || error.is_client() => Failure::Unauthorized {
            message: format!("{message} (check `username` and `password`)"),
        },
        MailStage::Envelope if error.is_permanent() => Failure::misconfigured(format!(
            "{message} (check `from` and `to`, and whether the server accepts mails from here)"
        )),
        MailStage::Connect
            if error.is_permanent() || error.is_client() || error.is_tls() || is_foreign(error) =>
        {
            Failure::misconfigured(message)
        }
        // The server may have the mail.
        MailStage::Content if error.status().is_none() => Failure::Uncertain { message },
        MailStage::Connect | MailStage::Login | MailStage::Envelope | MailStage::Content => {
            Failure::retry(message)
        }
    }
}

/// The error with its cause, or with what a person must do.
fn text(error: &Error) -> String {
    let kind = io_kind(error);
    if matches!(
        kind,
        Some(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
    ) {
        return "no answer in time (check the address and the port, and `tls`: a server that expects TLS, or speaks \
                another protocol, says nothing)"
            .to_owned();
    }
    if is_foreign(error) {
        return "the answer is not one of a mail server (check the address and the port, and `tls`)".to_owned();
    }
    if is_closed(error) {
        return "the server closed the connection without an answer (check the address and the port, and `tls`)"
            .to_owned();
    }
    if let Some(reason) = unreachable::reason_of(error) {
        return reason.to_owned();
    }
    let cause = error.source().map(ToString::to_string);
    match cause {
        Some(cause) if !error.to_string().contains(&cause) => format!("{error}: {cause}"),
        _ => error.to_string(),
    }
}

/// Whether the server speaks another protocol: what it says is no answer of a mail server, or no text.
fn is_foreign(error: &Error) -> bool {
    (error.is_response() && !is_closed(error)) || io_kind(error) == Some(io::ErrorKind::InvalidData)
}

/// Whether the connection ended within an answer, or before it. The library says so in this text only.
fn is_closed(error: &Error) -> bool {
    let cause = error.source().map(ToString::to_string);
    error.is_response() && cause.as_deref() == Some("incomplete response")
}

fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    unreachable::io_error_of(error).map(io::Error::kind)
}
