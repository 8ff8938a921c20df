//! Alerts as texts, whose first line the triggers of the template read.

use delfin_plugin_api::{
    Alert, AlertBatch, AlertState,
    json::{Compact, Style},
};

use super::{ItemNames, ValueBatch, ValueRows, ValueTime, number_below};
use crate::state::Discovery;

/// The longest name in the first line, in characters.
const MAX_NAME: usize = 200;

/// The longest text, in characters. Zabbix cuts off what is behind 65,535.
const MAX_TEXT: usize = 60_000;

/// The column that comes right after the first line, without its name.
const DESCRIPTION: &str = "description";

impl ValueBatch for AlertBatch {
    const KEY: &'static str = "delfin.alert";
    const HAS_DISCOVERY: bool = false;

    fn encode(&self, items: &ItemNames, values: &mut ValueRows) {
        let mut text = String::new();
        for alert in self.alerts() {
            text.clear();
            write_text(&alert, &mut text);
            values.begin_row(alert, items);
            let time = ValueTime::of_ms(alert.occur_time()).filter(|time| time.clock > 0);
            // Zabbix stores one value of an item for each time. Alerts of one millisecond are told
            // apart by their texts.
            let time = time.map(|time| ValueTime {
                ns: time.ns + number_below(1_000_000, &text) as u32,
                ..time
            });
            values.write_value(time, |out| Compact::text(&text, out));
        }
    }

    fn discover(&self, _: &ValueRows, _: &mut Discovery) {}
}

fn write_text(alert: &Alert<'_>, out: &mut String) {
    let state = match alert.state() {
        AlertState::Raised => "PROBLEM",
        AlertState::Cleared => "OK",
        AlertState::Event => "EVENT",
    };
    let severity = alert
        .known_severity()
        .map_or("Unknown", |severity| severity.name());
    out.push_str(state);
    out.push(' ');
    out.push_str(severity);
    out.push(' ');
    out.push_str(&alert.key().uuid().simple().to_string());
    let mut names = [alert.alert_name(), alert.alert_id()].into_iter().flatten();
    let name = names.find(|name| !name.trim().is_empty());
    out.push(' ');
    let name = name.unwrap_or("alert").chars().take(MAX_NAME);
    out.extend(name.map(|c| if c.is_control() { ' ' } else { c }));
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            out.push('\n');
            out.push_str(name);
            out.push_str(if name.is_empty() { "" } else { ": " });
            out.extend(text.chars().map(|c| if c == '\0' { ' ' } else { c }));
        }
    };
    line("", alert.description().unwrap_or_default());
    for (column, text) in alert.texts().filter(|&(column, _)| column != DESCRIPTION) {
        line(column, text);
    }
    for (name, text) in alert.extra() {
        line(name, text);
    }
    if let Some((end, _)) = out.char_indices().nth(MAX_TEXT) {
        out.truncate(end);
        out.push('…');
    }
}
