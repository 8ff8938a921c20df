//! Alerts as states of services.

use delfin_plugin_api::{
    Alert, AlertBatch, AlertSeverity, AlertState, Skipped,
    json::{Compact, Style},
};

use super::{CheckResults, ResultBatch, ServiceNames, push_key};

const OK: &str = "0";
const WARNING: &str = "1";
const CRITICAL: &str = "2";
const UNKNOWN: &str = "3";

impl ResultBatch for AlertBatch {
    const SERVICE: &'static str = "{alert_name|alert_id} {location}";
    const LABEL: Option<&'static str> = None;

    /// Each alert is a request of its own.
    const MAX_ITEMS: u64 = 500;

    fn encode(&self, names: &ServiceNames, results: &mut CheckResults) -> Skipped {
        let mut name = [String::new(), String::new()];
        for (row, alert) in self.alerts().enumerate() {
            names.write(alert, &mut name);
            let has_ended = alert.state() == AlertState::Cleared;
            results.add_service(&name, vec![row], has_ended);
            let time = Some(alert.occur_time()).filter(|&time| time > 0);
            results.add_result(time, |out| {
                push_key("exit_status", out);
                out.extend_from_slice(status(&alert).as_bytes());
                push_key("plugin_output", out);
                Compact::text(&output(&alert), out);
            });
        }
        Skipped::default()
    }
}

/// The state of the service.
fn status(alert: &Alert<'_>) -> &'static str {
    use AlertSeverity::{Critical, Fatal, Informational, Major, Minor, Warning};
    match (alert.state(), alert.known_severity()) {
        // An event has no end, so it would stay.
        (AlertState::Cleared | AlertState::Event, _) | (_, Some(Informational)) => OK,
        (AlertState::Raised, Some(Minor | Warning)) => WARNING,
        (AlertState::Raised, Some(Fatal | Critical | Major)) => CRITICAL,
        (AlertState::Raised, None) => UNKNOWN,
    }
}

/// The first line has severity and name; the description and the columns follow.
fn output(alert: &Alert<'_>) -> String {
    let mut text = match alert.state() {
        AlertState::Cleared => "Ended: ".to_owned(),
        AlertState::Event => "Event: ".to_owned(),
        AlertState::Raised => format!("{}: ", alert.severity().unwrap_or("Unknown")),
    };
    let name = [alert.alert_name(), alert.alert_id()].into_iter().flatten();
    let name = { name }.find(|name| !name.is_empty()).unwrap_or("alert");
    text.extend(name.chars().map(|c| if c.is_control() { ' ' } else { c }));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push('\n');
            text.push_str(name);
            // What follows `|` would be performance data.
            text.extend(value.chars().map(|c| match c {
                '|' => '¦',
                '\0' => ' ',
                c => c,
            }));
        }
    };
    line("", alert.description().unwrap_or_default());
    for (column, value) in alert.texts().filter(|(column, _)| *column != "description") {
        line(&format!("{column}: "), value);
    }
    for (name, value) in alert.extra() {
        line(&format!("{name}: "), value);
    }
    text
}
