//! How a series of Delfin is called on the page: its family and its labels.
//!
//! Promises: every name is valid, every value escaped; no label comes twice and
//! none is empty, which Prometheus would take for one that is absent. The same
//! series has the same text whatever the order of its labels.

use delfin_plugin_api::{Labels, Series};

/// Delfin's labels: how they begin on the page, and what they are without one.
/// Their keys in a batch are those of [`known`].
const KNOWN: [(&str, &str); 8] = [
    ("storage_id=\"", ""),
    ("storage_name=\"", ""),
    ("storage_sn=\"", ""),
    ("resource_type=\"", ""),
    ("resource_id=\"", ""),
    ("type=\"", "RAW"),
    ("unit=\"", ""),
    ("value_type=\"", "gauge"),
];
const RESOURCE_TYPE: usize = 3;

/// Which of Delfin's labels has that key.
fn known(key: &str) -> Option<usize> {
    Some(match key {
        "storage_id" => 0,
        "name" => 1,
        "serial_number" => 2,
        "resource_type" => RESOURCE_TYPE,
        "resource_id" => 4,
        "type" => 5,
        "unit" => 6,
        "value_type" => 7,
        _ => return None,
    })
}

/// The text of one series at a time: `family` and `labels`, each `name="value"`.
#[derive(Debug, Default)]
pub(crate) struct SeriesText {
    family: String,
    labels: String,
    /// Where each label ends.
    ends: Vec<u32>,
    further: Vec<(String, String)>,
}

impl SeriesText {
    /// Writes the text of a series, in place of the one before.
    pub(crate) fn set(&mut self, series: &Series<'_>) {
        self.labels.clear();
        self.ends.clear();
        self.further.clear();
        let mut known = KNOWN.map(|(_, default)| default);
        self.sort_out(series.labels(), &mut known);
        for ((start, _), value) in KNOWN.into_iter().zip(known) {
            push_label(&mut self.labels, &mut self.ends, start, value);
        }
        self.push_further();
        self.family.clear();
        let resource = known[RESOURCE_TYPE];
        if !resource.is_empty() {
            push_name(&mut self.family, resource, true);
            self.family.push('_');
        }
        let start = self.family.is_empty();
        push_name(&mut self.family, series.name(), start);
    }

    /// Sets a text that was written before.
    pub(crate) fn set_parts<'a>(&mut self, family: &str, labels: impl Iterator<Item = &'a str>) {
        self.family.clear();
        self.family.push_str(family);
        self.labels.clear();
        self.ends.clear();
        for label in labels {
            self.labels.push_str(label);
            self.ends.push(self.labels.len() as u32);
        }
    }

    pub(crate) fn family(&self) -> &str {
        &self.family
    }

    /// All labels, one after the other without anything in between.
    pub(crate) fn joined_labels(&self) -> &str {
        &self.labels
    }

    /// Each label, escaped: `name="value"`.
    pub(crate) fn labels(&self) -> impl ExactSizeIterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let label = &self.labels[start..end as usize];
            start = end as usize;
            label
        })
    }

    fn sort_out<'a>(&mut self, labels: Labels<'a>, values: &mut [&'a str; KNOWN.len()]) {
        for (key, value) in labels {
            match known(key) {
                Some(_) | None if value.is_empty() => {}
                Some(index) => values[index] = value,
                None => {
                    let mut name = String::new();
                    // As Prometheus itself does with a label that clashes with its own.
                    if KNOWN
                        .iter()
                        .any(|(start, _)| start.trim_end_matches("=\"") == key)
                    {
                        name.push_str("exported_");
                    }
                    let start = name.is_empty();
                    push_label_name(&mut name, key, start);
                    name.push_str("=\"");
                    self.further.push((name, value.to_owned()));
                }
            }
        }
    }

    fn push_further(&mut self) {
        if self.further.is_empty() {
            return;
        }
        self.further.sort_unstable();
        let mut further = self.further.chunk_by(|one, other| one.0 == other.0);
        while let Some([(name, first), more @ ..]) = further.next() {
            if more.is_empty() {
                push_label(&mut self.labels, &mut self.ends, name, first);
                continue;
            }
            // Different keys with one name: nothing of what they say is lost.
            let mut joined = first.clone();
            for (_, value) in more {
                joined.push(';');
                joined.push_str(value);
            }
            push_label(&mut self.labels, &mut self.ends, name, &joined);
        }
    }
}

/// Appends a label that begins with `start`, its name and a quote.
fn push_label(labels: &mut String, ends: &mut Vec<u32>, start: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    labels.push_str(start);
    push_escaped(labels, value);
    labels.push('"');
    ends.push(labels.len() as u32);
}

/// Appends a label's value as the exposition formats want it. A NUL, at which
/// parsers written in C stop, becomes the sign for what cannot be shown.
fn push_escaped(to: &mut String, value: &str) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'"' | b'\n' | 0);
    // Nearly always there is nothing to escape, which is seen faster without
    // looking for where it would be.
    let any = value.bytes().fold(false, |any, byte| any | special(&byte));
    if !any {
        to.push_str(value);
        return;
    }
    let mut rest = value;
    while let Some(at) = rest.as_bytes().iter().position(special) {
        to.push_str(&rest[..at]);
        to.push_str(match rest.as_bytes()[at] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            b'\n' => "\\n",
            _ => "\u{fffd}",
        });
        rest = &rest[at + 1..];
    }
    to.push_str(rest);
}

/// Names that begin with two underscores are Prometheus's own.
fn push_label_name(to: &mut String, key: &str, start: bool) {
    let own = start && key.starts_with("__");
    let key = if own {
        key.trim_start_matches('_')
    } else {
        key
    };
    if own {
        to.push('_');
    }
    push_name(to, key, start && !own);
    if to.is_empty() {
        to.push('_');
    }
}

/// Appends a name with `_` for what a name cannot hold.
fn push_name(to: &mut String, name: &str, start: bool) {
    if start && name.starts_with(|c: char| c.is_ascii_digit()) {
        to.push('_');
    }
    if name
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    {
        to.push_str(name);
    } else {
        let valid = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        to.extend(name.chars().map(valid));
    }
    if to.is_empty() {
        to.push('_');
    }
}
