//! Points as values of numeric items.

use delfin_plugin_api::{
    Batch, PerformanceBatch, Series,
    json::{Compact, Style},
};

use super::{
    ItemNames, ValueBatch, ValueRows, ValueTime,
    key::{MAX_LABEL, write_label},
};
use crate::state::Discovery;

/// Whole numbers up to here are the same as an integer.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The most bytes of what is in the name of an item, which has 255 characters with type and metric.
const MAX_NAME: usize = 128;

/// The most bytes of a unit of an item, with room for what the template adds.
const MAX_UNIT: usize = 64;

impl ValueBatch for PerformanceBatch {
    const KEY: &'static str = "delfin.value[{name},{resource_type},{resource_id}]";
    const HAS_DISCOVERY: bool = true;

    fn encode(&self, items: &ItemNames, values: &mut ValueRows) {
        for series in self.series() {
            values.begin_row(series, items);
            for (ms, value) in series.points() {
                if !value.is_finite() {
                    values.skipped.non_finite_points += 1;
                    continue;
                }
                let Some(time) = ValueTime::of_ms(ms) else {
                    values.outside_times += 1;
                    continue;
                };
                values.write_value(Some(time), |out| write_number(value, out));
            }
        }
        debug_assert_eq!(values.rows().len(), self.rows());
    }

    fn discover(&self, values: &ValueRows, discovery: &mut Discovery) {
        for (series, row) in self.series().zip(values.rows()) {
            discovery.observe(values.host(row.host), row.item, || macros(series));
        }
    }
}

/// Writes a number in quotes. A whole number has no point, so that items of whole numbers take it.
fn write_number(value: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        Compact::number(value, out);
    }
    out.push(b'"');
}

/// The macros of a series for discovery, as a JSON object: one for each label, and those that the
/// template needs.
fn macros(series: Series<'_>) -> Box<[u8]> {
    let mut out = vec![b'{'];
    let (mut name, mut text) = (String::new(), String::new());
    let mut write = |key: &str, value: &str, max: usize, out: &mut Vec<u8>| {
        name.clear();
        text.clear();
        name.push_str("{#");
        let characters = key.chars().map(|c| match c.to_ascii_uppercase() {
            c if c.is_ascii_alphanumeric() || c == '.' => c,
            _ => '_',
        });
        name.extend(characters);
        name.push('}');
        write_label(value, max, &mut text);
        if out.len() > 1 {
            out.push(b',');
        }
        Compact::text(&name, out);
        out.push(b':');
        Compact::text(&text, out);
    };
    let labels = series.labels();
    let of = |key| labels.get(key).unwrap_or_default();
    let id = of("resource_id");
    let name = Some(of("resource_name")).filter(|name| !name.is_empty());
    write("name", series.name(), MAX_LABEL, &mut out);
    write("resource_type", of("resource_type"), MAX_LABEL, &mut out);
    write("resource_id", id, MAX_LABEL, &mut out);
    write("resource_name", name.unwrap_or(id), MAX_NAME, &mut out);
    write("unit", of("unit"), MAX_UNIT, &mut out);
    let written = [
        "name",
        "resource_type",
        "resource_id",
        "resource_name",
        "unit",
    ];
    for (key, value) in labels {
        if !written.contains(&key) {
            write(key, value, MAX_LABEL, &mut out);
        }
    }
    out.push(b'}');
    out.into()
}
