//! Batches as check results.
//!
//! Promises: rows that are encoded again have the same results with the same times; nothing is left
//! out without being counted; nothing is allocated for a point.
//!
//! Knows nothing of connections.

mod alert;
mod performance;

use std::ops::Range;

use delfin_plugin_api::{
    Batch, Skipped,
    json::{Compact, Style},
    setting::Mistakes,
    template::{NameTemplate, TemplateBatch, TemplateRow, TemplateRules},
    workers::{WorkItem, key_of},
};
use serde_json::Value;

const HOST: &str = "{storage_name|storage_id}";

/// The name of a host or a service. `!` is between the two.
const NAME: TemplateRules = TemplateRules {
    character: |c| (c != '!' && !c.is_control()).then_some(c),
    empty: "",
    max_value_bytes: 100,
    check: |name| {
        if name.contains('!') || name.contains(char::is_control) {
            return Err("it has an exclamation mark or a control character");
        }
        Ok(())
    },
};

/// The name of a value in performance data.
const LABEL: TemplateRules = TemplateRules {
    character: |c| (!"'=".contains(c) && !c.is_control()).then_some(c),
    empty: "",
    max_value_bytes: 200,
    check: |label| {
        if label.contains(['\'', '=']) || label.contains(char::is_control) {
            return Err("it has a quote, an equals sign or a control character");
        }
        Ok(())
    },
};

/// A batch that can be written as check results.
pub trait ResultBatch: Batch + TemplateBatch {
    /// The default of the setting `service`.
    const SERVICE: &'static str;

    /// The default of the setting `label`; `None` if there is no performance data.
    const LABEL: Option<&'static str>;

    /// The most points or alerts in a call.
    const MAX_ITEMS: u64;

    /// Appends the results of each row.
    fn encode(&self, names: &ServiceNames, results: &mut CheckResults) -> Skipped;
}

/// Where the results of a row go.
#[derive(Debug, Clone)]
pub struct ServiceNames {
    host: NameTemplate,
    service: NameTemplate,
    label: Option<NameTemplate>,
}

/// The results of a batch.
#[derive(Debug, Default)]
pub struct CheckResults {
    text: Vec<u8>,
    services: Vec<WorkItem<ServiceResults>>,
}

/// The results of a service, in the order of their times.
#[derive(Debug, Clone)]
pub struct ServiceResults {
    /// Of the host and of the service.
    pub(crate) name: [String; 2],
    /// Of requests in the text of all.
    pub(crate) bodies: Vec<Range<usize>>,
    /// Whether they say only that an alert has ended.
    pub(crate) is_end: bool,
}

impl ServiceNames {
    /// Reads the settings `host`, `service` and `label`.
    pub fn read<B: ResultBatch>(
        [host, service, label]: [Option<Value>; 3],
        mistakes: &mut Mistakes,
    ) -> Self {
        if B::LABEL.is_none() && label.is_some() {
            mistakes.add("`label` has no effect on alerts (remove it)".to_owned());
        }
        let label = B::LABEL
            .map(|default| NameTemplate::read::<B>("label", label, default, &LABEL, mistakes));
        Self {
            host: NameTemplate::read::<B>("host", host, HOST, &NAME, mistakes),
            service: NameTemplate::read::<B>("service", service, B::SERVICE, &NAME, mistakes),
            label,
        }
    }

    /// Writes the names of the host and of the service of a row.
    fn write<'a>(&self, row: impl TemplateRow<'a>, [host, service]: &mut [String; 2]) {
        for (template, name) in [(&self.host, host), (&self.service, service)] {
            name.clear();
            template.write(row, name);
            // Values that are missing leave spaces.
            let start = name.len() - name.trim_start().len();
            name.drain(..start);
            name.truncate(name.trim_end().len());
            if name.is_empty() {
                name.push('_');
            }
        }
    }
}

impl CheckResults {
    /// Removes all results.
    pub fn clear(&mut self) {
        self.text.clear();
        self.services.clear();
    }

    /// The bytes of all results.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The services. The text stays.
    pub(crate) fn take_services(&mut self) -> Vec<WorkItem<ServiceResults>> {
        std::mem::take(&mut self.services)
    }

    /// Adds a service without results.
    fn add_service(&mut self, name: &[String; 2], rows: Vec<usize>, is_end: bool) {
        self.services.push(WorkItem {
            rows,
            key: key_of(name),
            content: ServiceResults {
                name: name.clone(),
                bodies: Vec::new(),
                is_end,
            },
        });
    }

    /// Adds a result to the last service. `write` appends members of the object.
    fn add_result(&mut self, time_ms: Option<i64>, write: impl FnOnce(&mut Vec<u8>)) {
        let (start, text) = (self.text.len(), &mut self.text);
        let Some(service) = self.services.last_mut() else {
            return;
        };
        let [host, name] = &service.content.name;
        text.extend_from_slice(b"{\"type\":\"Service\",\"service\":");
        Compact::text(&format!("{host}!{name}"), text);
        text.extend_from_slice(b",\"check_source\":\"delfin-host\"");
        if let Some(ms) = time_ms {
            for key in ["execution_start", "execution_end"] {
                push_key(key, text);
                Compact::number(ms as f64 / 1000.0, text);
            }
        }
        write(text);
        text.push(b'}');
        service.content.bodies.push(start..text.len());
    }
}

/// Appends a comma, a key and a colon.
fn push_key(key: &str, text: &mut Vec<u8>) {
    text.extend_from_slice(b",\"");
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\":");
}

#[cfg(test)]
mod tests;
