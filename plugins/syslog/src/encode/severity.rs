//! Severities and types of X.733, as RFC 5674 maps them to syslog.

use delfin_plugin_api::Alert;

const RECOVERY: &str = "Recovery";

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
    let is =
        |text: Option<&str>, name: &str| text.is_some_and(|text| text.eq_ignore_ascii_case(name));
    let severities = [
        ("Fatal", 1, "critical"),
        ("Critical", 1, "critical"),
        ("Major", 2, "major"),
        ("Minor", 3, "minor"),
        ("Warning", 4, "warning"),
        ("Informational", 6, "indeterminate"),
    ];
    let (code, perceived) = if is(alert.category(), RECOVERY) {
        (5, "cleared")
    } else {
        let found = severities
            .iter()
            .find(|(name, ..)| is(alert.severity(), name));
        found.map_or((5, "indeterminate"), |&(_, code, perceived)| {
            (code, perceived)
        })
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
