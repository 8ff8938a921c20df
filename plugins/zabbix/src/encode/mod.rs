//! Batches as values of items.
//!
//! Promises: rows that are encoded again have the same values with the same times, so that Zabbix
//! stores them once; nothing is left out without being counted; nothing is allocated for a point.
//!
//! Knows nothing of connections.

mod alert;
mod key;
mod performance;
mod request;

use std::{collections::HashMap, hash::Hash, ops::Range};

use delfin_plugin_api::{
    Batch, Skipped,
    json::{Compact, Style},
    setting::Mistakes,
    template::{NameTemplate, TemplateBatch, TemplateRow},
    workers::key_of,
};
use serde_json::Value;

use self::key::{KeyTemplate, read_host};
use crate::state::Discovery;

const HOST: &str = "{storage_name|storage_id}";

/// A batch that can be written as values of items.
pub trait ValueBatch: Batch + TemplateBatch {
    /// The default of the setting `key`.
    const KEY: &'static str;

    /// Whether items can be created by discovery.
    const HAS_DISCOVERY: bool;

    /// Appends the values of each row.
    fn encode(&self, items: &ItemNames, values: &mut ValueRows);

    /// Tells discovery about the rows that `values` holds.
    fn discover(&self, values: &ValueRows, discovery: &mut Discovery);
}

/// Where the values of a row go.
#[derive(Debug, Clone)]
pub struct ItemNames {
    host: NameTemplate,
    key: KeyTemplate,
}

/// The values of the rows of a batch.
#[derive(Debug, Default)]
pub struct ValueRows {
    text: Vec<u8>,
    rows: Vec<ValueRow>,
    hosts: Vec<String>,
    host_numbers: HashMap<String, usize>,
    /// What was left out.
    pub(crate) skipped: Skipped,
    /// Points at times that Zabbix cannot store.
    pub(crate) outside_times: u64,
    host: String,
    key: String,
    buffers: [String; 2],
    prefix: Vec<u8>,
}

/// The values of a row.
#[derive(Debug, Clone)]
pub(crate) struct ValueRow {
    /// Values, each with a comma before it.
    pub(crate) text: Range<usize>,
    pub(crate) values: u64,
    /// The number of the host among [`ValueRows::host`].
    pub(crate) host: usize,
    /// The same for the same item.
    pub(crate) item: u64,
}

impl ItemNames {
    /// Reads the settings `host` and `key`.
    pub fn read<B: ValueBatch>(
        host: Option<Value>,
        key: Option<Value>,
        mistakes: &mut Mistakes,
    ) -> Self {
        Self {
            host: read_host::<B>(host, HOST, mistakes),
            key: KeyTemplate::read::<B>(key, B::KEY, mistakes),
        }
    }
}

impl ValueRows {
    /// Removes all values.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.hosts.clear();
        self.host_numbers.clear();
        self.skipped = Skipped::default();
        self.outside_times = 0;
    }

    /// The bytes of all values.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn rows(&self) -> &[ValueRow] {
        &self.rows
    }

    /// The technical name of a host.
    pub(crate) fn host(&self, number: usize) -> &str {
        &self.hosts[number]
    }

    /// The host and the key of a row, as `host:key`, for messages.
    pub(crate) fn item_of(&self, row: &ValueRow) -> String {
        let text = self.text[row.text.clone()].get(1..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<ItemOfValue>();
        match values.next() {
            Some(Ok(value)) => format!("{}:{}", value.host, value.key),
            Some(Err(_)) | None => self.host(row.host).to_owned(),
        }
    }

    /// Begins a row: `write_value` adds its values.
    fn begin_row<'a>(&mut self, row: impl TemplateRow<'a>, items: &ItemNames) {
        self.host.clear();
        self.key.clear();
        items.host.write(row, &mut self.host);
        // A host does not begin or end with a space.
        let host = self.host.trim();
        items.key.write(row, &mut self.buffers, &mut self.key);
        self.prefix.clear();
        self.prefix.extend_from_slice(b",{\"host\":");
        Compact::text(host, &mut self.prefix);
        self.prefix.extend_from_slice(b",\"key\":");
        Compact::text(&self.key, &mut self.prefix);
        self.prefix.extend_from_slice(b",\"value\":");
        // Rows of a host usually follow each other.
        let number = match self.rows.last().map(|row| row.host) {
            Some(last) if self.hosts[last] == host => last,
            Some(_) | None => match self.host_numbers.get(host) {
                Some(&number) => number,
                None => {
                    let number = self.hosts.len();
                    self.hosts.push(host.to_owned());
                    self.host_numbers.insert(host.to_owned(), number);
                    number
                }
            },
        };
        self.rows.push(ValueRow {
            text: self.text.len()..self.text.len(),
            values: 0,
            host: number,
            item: key_of(ItemKey(host, &self.key)),
        });
    }

    /// Adds a value to the last row. Without a time, Zabbix sets its own.
    fn write_value(&mut self, time: Option<ValueTime>, write: impl FnOnce(&mut Vec<u8>)) {
        self.text.extend_from_slice(&self.prefix);
        write(&mut self.text);
        if let Some(ValueTime { clock, ns }) = time {
            self.text.extend_from_slice(b",\"clock\":");
            let mut digits = itoa::Buffer::new();
            self.text.extend_from_slice(digits.format(clock).as_bytes());
            self.text.extend_from_slice(b",\"ns\":");
            self.text.extend_from_slice(digits.format(ns).as_bytes());
        }
        self.text.push(b'}');
        if let Some(row) = self.rows.last_mut() {
            row.text.end = self.text.len();
            row.values += 1;
        }
    }
}

/// A time as Zabbix stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ValueTime {
    clock: i32,
    ns: u32,
}

impl ValueTime {
    /// `None`: before 1970, or after 19 January 2038.
    fn of_ms(ms: i64) -> Option<Self> {
        let clock = i32::try_from(ms.div_euclid(1000)).ok();
        let ns = u32::try_from(ms.rem_euclid(1000) * 1_000_000).ok();
        Some(Self {
            clock: clock.filter(|&clock| clock >= 0)?,
            ns: ns?,
        })
    }
}

#[derive(Hash)]
struct ItemKey<'a>(&'a str, &'a str);

#[derive(serde::Deserialize)]
struct ItemOfValue {
    host: String,
    key: String,
}

/// A number that is the same for the same text, below a limit.
fn number_below(limit: u64, text: impl Hash) -> u64 {
    key_of(text) % limit
}

#[cfg(test)]
mod tests;
