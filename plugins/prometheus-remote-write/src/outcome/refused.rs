//! Which rows a response to version 2 names.
//!
//! Prometheus stores what it can, and names the series of each point that it refuses on a line
//! of its own: `out of order sample for series {__name__="disk_iops", resource_id="d1"}`.

use std::{collections::HashMap, fmt::Write};

use delfin_plugin_api::{Series, http::Response};

use super::RefusedRow;
use crate::encode::SeriesLabels;

/// The rows with refused points, if the response names each of these points.
pub(super) fn refused_rows<'a>(
    response: &Response,
    points: u64,
    rows: impl Iterator<Item = Series<'a>>,
) -> Option<Vec<RefusedRow>> {
    let text = std::str::from_utf8(response.body()?).ok()?.trim_end();
    if response.status() != 400 || text.lines().count() as u64 != points {
        return None;
    }
    let mut rows_by_labels = HashMap::new();
    let mut labels = SeriesLabels::default();
    for (row, series) in rows.enumerate() {
        labels.read(&series);
        // Two rows of one series cannot be told apart.
        if rows_by_labels.insert(printed(&labels), row).is_some() {
            return None;
        }
    }
    let mut refused: Vec<Option<RefusedRow>> = vec![None; rows_by_labels.len()];
    for line in text.lines() {
        let row = *rows_by_labels.get(&line[line.find('{')?..])?;
        let found = refused[row].get_or_insert_with(|| RefusedRow {
            row,
            points: 0,
            reason: line.to_owned(),
        });
        found.points += 1;
    }
    Some(refused.into_iter().flatten().collect())
}

/// The labels as Prometheus prints them.
fn printed(labels: &SeriesLabels) -> String {
    let mut text = String::from("{");
    for (name, value) in labels.iter() {
        if text.len() > 1 {
            text.push_str(", ");
        }
        text.push_str(name);
        text.push_str("=\"");
        value.chars().for_each(|c| push_quoted(&mut text, c));
        text.push('"');
    }
    text.push('}');
    text
}

/// Appends a character as Go's `strconv.Quote` does. It need not be right for each character of
/// Unicode: a response whose series are not found is one that names no row.
fn push_quoted(text: &mut String, c: char) {
    let code = u32::from(c);
    let written = match c {
        '"' => write!(text, "\\\""),
        '\\' => write!(text, "\\\\"),
        '\u{7}' => write!(text, "\\a"),
        '\u{8}' => write!(text, "\\b"),
        '\u{c}' => write!(text, "\\f"),
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        '\u{b}' => write!(text, "\\v"),
        '\0'..='\u{1f}' | '\u{7f}' => write!(text, "\\x{code:02x}"),
        ' '..='~' => write!(text, "{c}"),
        _ if c.escape_debug().len() == 1 => write!(text, "{c}"),
        '\u{80}'..='\u{ffff}' => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "a text takes every character");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_prometheus_prints_them() {
        let mut text = String::new();
        let value = "a\"b\\c\n\u{1b}[31m grüße 🦀\u{202e}\u{feff}\0";
        value.chars().for_each(|c| push_quoted(&mut text, c));
        let printed = r#"a\"b\\c\n\x1b[31m grüße 🦀\u202e\ufeff\x00"#;
        assert_eq!(text, printed);
    }
}
