//! Says in the sentences of every exporter why a broker cannot be reached.
//!
//! librdkafka has texts only, such as `host:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed:
//! Connection refused (after 0ms in state CONNECT)`.

use delfin_plugin_api::unreachable::{HOST_UNKNOWN, NO_ROUTE, NOT_IN_TIME, REFUSED};

use crate::outcome::{SendError, SendErrorKind};

const SILENT: &str = "it does not answer (check that the port is that of a broker of Kafka, and \
                      whether its listener wants `tls` or `sasl`)";

/// The error of a call for which no broker had an answer in time, and no event says why.
pub(super) fn late(brokers: &str) -> SendError {
    let reason = format!(
        "no broker of `{brokers}` answers in time (check the addresses and ports, and whether their \
         listeners want `tls` or `sasl`)"
    );
    SendError::new(SendErrorKind::Unavailable, reason)
}

/// The error behind an event, if it is about a connection.
pub(super) fn error(text: &str) -> Option<SendError> {
    let broker = broker(text)?;
    let (_, known) = REASONS.iter().find(|(part, _)| text.contains(part))?;
    let reason = format!("broker `{broker}`: {known}");
    Some(SendError::new(SendErrorKind::Unavailable, reason))
}

/// Parts of the texts of librdkafka and of the system.
const REASONS: [(&str, &str); 8] = [
    ("Failed to resolve", HOST_UNKNOWN),
    ("Connection refused", REFUSED),
    ("No route to host", NO_ROUTE),
    ("Network is unreachable", NO_ROUTE),
    ("in state CONNECT)", NOT_IN_TIME),
    ("Connection timed out", NOT_IN_TIME),
    ("ApiVersionRequest failed", SILENT),
    ("in state APIVERSION_QUERY)", SILENT),
];

/// The address in `ssl://host:port/name: text` or `host:port/name: text`.
pub(super) fn broker(text: &str) -> Option<&str> {
    let name = text.split_once("://").map_or(text, |(_, name)| name);
    let (address, _) = name.split_once('/')?;
    (!address.contains(' ')).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_cannot_be_reached_is_named_with_the_remedy() {
        for (text, reason) in [
            (
                "k:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
                REFUSED,
            ),
            (
                "sasl_ssl://k:9092/bootstrap: Failed to resolve 'k:9092': Name or service not known (after 9ms in state CONNECT)",
                HOST_UNKNOWN,
            ),
            (
                "k:9092/1: Connect to ipv4#10.0.0.1:9092 failed: No route to host (after 3000ms in state CONNECT)",
                NO_ROUTE,
            ),
            (
                "k:9092/bootstrap: Connection setup timed out in state CONNECT (after 30029ms in state CONNECT)",
                NOT_IN_TIME,
            ),
            (
                "k:9092/bootstrap: ApiVersionRequest failed: Local: Timed out (after 10000ms in state APIVERSION_QUERY)",
                SILENT,
            ),
        ] {
            let error = error(text).unwrap();
            assert_eq!(error.kind, SendErrorKind::Unavailable);
            assert_eq!(error.reason, format!("broker `k:9092`: {reason}"));
        }
    }

    #[test]
    fn an_error_of_a_connection_that_was_open_stays() {
        let closed = "k:9092/1: Disconnected (after 90ms in state UP)";
        assert_eq!(error(closed), None);
        assert_eq!(error("1/1 brokers are down"), None);
    }
}
