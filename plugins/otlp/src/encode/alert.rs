//! Alerts as log records.

use delfin_plugin_api::{
    Alert, AlertBatch, AlertSeverity, AlertState, Batch, protobuf::ProtobufWriter,
};

use super::{EncodedItems, OtlpBatch, RESOURCE, nanos, push_attribute, push_resource, push_scope};

const EVENT: &str = "delfin.alert";
const ATTRIBUTES: u32 = 6;

impl OtlpBatch for AlertBatch {
    const PATH: &str = "/v1/logs";

    const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn encode(&self, request: &mut ProtobufWriter) -> EncodedItems {
        let mut alerts = self.alerts().peekable();
        while let Some(first) = alerts.next() {
            let storage = resource_of(&first);
            request.message(1, |resource_logs| {
                push_resource(resource_logs, |key| column(&first, key));
                resource_logs.message(2, |scope_logs| {
                    push_scope(scope_logs);
                    scope_logs.message(2, |record| push_record(&first, record));
                    while let Some(next) = alerts.next_if(|next| resource_of(next) == storage) {
                        scope_logs.message(2, |record| push_record(&next, record));
                    }
                });
            });
        }
        EncodedItems {
            items: self.rows() as u64,
            skipped_times: 0,
        }
    }
}

fn column<'a>(alert: &Alert<'a>, name: &str) -> Option<&'a str> {
    alert
        .texts()
        .find_map(|(key, text)| (key == name).then_some(text))
}

fn resource_of<'a>(alert: &Alert<'a>) -> [Option<&'a str>; RESOURCE.len()] {
    RESOURCE.map(|(key, _)| column(alert, key))
}

fn push_record(alert: &Alert<'_>, record: &mut ProtobufWriter) {
    // A record without a time is right: the receiver then uses the time at which it got it.
    if let Some(time) = nanos(alert.occur_time()).filter(|&time| time > 0) {
        record.fixed64(1, time);
    }
    if let Some(number) = severity_number(alert) {
        record.uint(2, number);
    }
    if let Some(severity) = alert.severity() {
        record.text(3, severity);
    }
    let texts = [alert.description(), alert.alert_name()];
    let body = texts.into_iter().flatten().find(|text| !text.is_empty());
    record.message(5, |any| any.text(1, body.unwrap_or_default()));
    let is_attribute =
        |name: &str| name != "description" && RESOURCE.iter().all(|(column, _)| *column != name);
    for (name, text) in alert.texts().filter(|(name, _)| is_attribute(name)) {
        push_attribute(record, ATTRIBUTES, name, text);
    }
    let mut name = String::new();
    for (key, text) in alert.extra() {
        name.clear();
        name.push_str("extra.");
        name.push_str(key);
        push_attribute(record, ATTRIBUTES, &name, text);
    }
    record.text(12, EVENT);
}

/// The number of a severity; `None` for one that OpenTelemetry has no number for.
fn severity_number(alert: &Alert<'_>) -> Option<u64> {
    const INFO: u64 = 9;
    if alert.state() == AlertState::Cleared {
        return Some(INFO);
    }
    Some(match alert.known_severity()? {
        AlertSeverity::Fatal => 21,
        AlertSeverity::Critical => 18,
        AlertSeverity::Major => 17,
        AlertSeverity::Minor => 14,
        AlertSeverity::Warning => 13,
        AlertSeverity::Informational => INFO,
    })
}
