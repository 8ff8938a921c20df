//! Alerts as documents.

use delfin_plugin_api::{
    Alert, AlertBatch, Skipped, Uuid,
    json::{Compact, Style, write_texts},
};

use super::{ALERTS, BulkBatch, BulkBody, DocumentTarget, field::field_name};

impl BulkBatch for AlertBatch {
    const TARGET: DocumentTarget = ALERTS;

    fn encode(&self, body: &mut BulkBody) -> Skipped {
        let mut document = Vec::new();
        for alert in self.alerts() {
            document.clear();
            let key = alert.key().uuid();
            write_document(&alert, &key, &mut document);
            // An alert that is sent again is the same document, and one that changed is another.
            let id = Uuid::new_v5(&key, &document).simple();
            body.begin_document(id.encode_lower(&mut [0; 32]), None);
            body.text.extend_from_slice(&document);
            body.end_row();
        }
        Skipped::default()
    }
}

fn write_document(alert: &Alert<'_>, key: &Uuid, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@timestamp\":");
    out.extend_from_slice(itoa::Buffer::new().format(alert.occur_time()).as_bytes());
    out.extend_from_slice(b",\"alert_key\":\"");
    let key = key.simple();
    out.extend_from_slice(key.encode_lower(&mut [0; 32]).as_bytes());
    out.push(b'"');
    for (column, text) in alert.texts() {
        out.push(b',');
        Compact::text(
            if column == "description" {
                "message"
            } else {
                column
            },
            out,
        );
        out.push(b':');
        Compact::text(text, out);
    }
    out.extend_from_slice(b",\"extra\":");
    write_texts(alert.extra().into_iter(), field_name, out);
    out.extend_from_slice(b"}\n");
}
