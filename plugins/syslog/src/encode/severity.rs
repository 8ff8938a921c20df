//! Severities and types of X.733, as RFC 5674 maps them to syslog.

use delfin_plugin_api::{Alert, AlertSeverity, AlertState};

/// A severity in both forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Severity {
    /// The severity of syslog: 0 is the most severe, 7 the least.
    pub(super) code: u8,
    /// The perceived severity of X.733.
    pub(super) perceived: &'static str,
}

/// The severity of an alert. Syslog's 0, `Emergency`, is not used: many systems show it to
/// each person who is logged in.
pub(super) fn severity(alert: &Alert<'_>) -> Severity {
    use AlertSeverity::{Critical, Fatal, Informational, Major, Minor, Warning};
    let (code, perceived) = match (alert.state(), alert.known_severity()) {
        (AlertState::Cleared, _) => (5, "cleared"),
        (_, Some(Fatal | Critical)) => (1, "critical"),
        (_, Some(Major)) => (2, "major"),
        (_, Some(Minor)) => (3, "minor"),
        (_, Some(Warning)) => (4, "warning"),
        (_, Some(Informational)) => (6, "indeterminate"),
        (_, None) => (5, "indeterminate"),
    };
    Severity { code, perceived }
}

/// The event type for a type of Delfin; `None` for `NotSpecified`.
pub(super) fn event_type(kind: &str) -> Option<&'static str> {
    let types = [
        "communicationsAlarm",
        "qualityOfServiceAlarm",
        "processingErrorAlarm",
        "equipmentAlarm",
        "environmentalAlarm",
        "integrityViolation",
        "operationalViolation",
        "physicalViolation",
        "securityServiceOrMechanismViolation",
        "timeDomainViolation",
    ];
    if kind.eq_ignore_ascii_case("NotSpecified") {
        return None;
    }
    let found = types
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(kind));
    Some(found.unwrap_or("other"))
}
