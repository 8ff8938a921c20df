//! Alerts as events.

use delfin_plugin_api::{
    AlertBatch, Skipped,
    json::{Compact, JsonWriter},
};

use super::{EventBatch, EventMetadata, EventRequests, begin_event, push_member};

impl EventBatch for AlertBatch {
    fn encode(&self, metadata: &EventMetadata, requests: &mut EventRequests) -> Skipped {
        let mut writer = JsonWriter::<Compact>::new();
        for alert in self.alerts() {
            let text = &mut requests.text;
            let time = Some(alert.occur_time()).filter(|&time| time > 0);
            begin_event(time, metadata, text);
            let host = alert.storage_name().filter(|name| !name.is_empty());
            if let Some(host) = host.or(alert.storage_id()).filter(|host| !host.is_empty()) {
                push_member("host", host, text);
            }
            text.extend_from_slice(b",\"event\":");
            writer.write(alert, text);
            text.extend_from_slice(b",\"fields\":{\"alert_key\":\"");
            let key = alert.key().uuid().simple();
            text.extend_from_slice(key.encode_lower(&mut [0; 32]).as_bytes());
            text.extend_from_slice(b"\"}}\n");
            requests.end_row(1);
        }
        writer.skipped()
    }
}
