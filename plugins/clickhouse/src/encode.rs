//! The tables for the columns of batches. The kit writes the columns as an Arrow stream.
//!
//! Promises: the same rows, sent with the same others, have the same token.

use std::fmt::Write;

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, BatchError, BatchPart, NewAlert, PerformanceBatch,
    PerformanceBatchBuilder, TEXT_COLUMNS, arrow_array::RecordBatch,
};

/// Inserts with a token that one of the last inserts had are dropped.
const DEDUPLICATION_WINDOW: u32 = 1000;

/// A batch that a table can hold.
pub trait TableBatch: Batch {
    /// The table, unless the settings name another one.
    const TABLE: &'static str;

    /// The names of the columns, for the `INSERT`.
    fn columns() -> String;

    /// The same rows, with each text of their labels once.
    ///
    /// # Errors
    ///
    /// The batch cannot be built.
    fn with_unique_texts(&self) -> Result<RecordBatch, BatchError>;

    /// The statements that make the tables. `table` is quoted, and so is `view`.
    fn statements(table: &str, view: &str) -> Vec<String>;
}

impl TableBatch for PerformanceBatch {
    const TABLE: &'static str = "delfin_performance";

    fn columns() -> String {
        "name, labels, timestamps, values".to_owned()
    }

    fn with_unique_texts(&self) -> Result<RecordBatch, BatchError> {
        let mut batch = PerformanceBatchBuilder::new();
        for series in self.series() {
            batch.series(series.name(), series.labels(), series.points())?;
        }
        Ok(batch.build().as_arrow().clone())
    }

    fn statements(table: &str, view: &str) -> Vec<String> {
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {table} (name LowCardinality(String), \
                 labels Map(LowCardinality(String), String), timestamps Array(Int64), \
                 values Array(Float64)) \
                 ENGINE = MergeTree ORDER BY (name, labels['storage_id']) \
                 SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
            ),
            format!(
                "CREATE VIEW IF NOT EXISTS {view} AS SELECT name, labels, \
                 fromUnixTimestamp64Milli(point.1, 'UTC') AS time, point.2 AS value \
                 FROM {table} ARRAY JOIN arrayZip(timestamps, values) AS point"
            ),
        ]
    }
}

impl TableBatch for AlertBatch {
    const TABLE: &'static str = "delfin_alerts";

    fn columns() -> String {
        format!("{}, occur_time, extra", TEXT_COLUMNS.join(", "))
    }

    fn with_unique_texts(&self) -> Result<RecordBatch, BatchError> {
        let mut batch = AlertBatchBuilder::new();
        for alert in self.alerts() {
            // Columns come last: where an extra has the name of a column, the later text is kept.
            let mut texts: Vec<(&str, &str)> = alert.extra().iter().collect();
            texts.extend(
                alert
                    .texts()
                    .map(|(column, text)| -> (&str, &str) { (column, text) }),
            );
            batch.alert(NewAlert {
                occur_time: alert.occur_time(),
                texts: &texts,
            });
        }
        Ok(batch.build().as_arrow().clone())
    }

    fn statements(table: &str, _: &str) -> Vec<String> {
        let texts = TEXT_COLUMNS.map(|column| format!("{column} Nullable(String)"));
        vec![format!(
            "CREATE TABLE IF NOT EXISTS {table} ({}, occur_time Int64, \
             extra Map(LowCardinality(String), String), \
             time DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(occur_time, 'UTC')) \
             ENGINE = MergeTree ORDER BY occur_time \
             SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}",
            texts.join(", ")
        )]
    }
}

/// A token by which ClickHouse knows rows that are sent again.
pub(crate) fn token<'a>(exporter: &str, parts: impl Iterator<Item = BatchPart<'a>>) -> String {
    let mut token = exporter.to_owned();
    for part in parts {
        // Writing to a text does not fail.
        let _ = write!(token, "/{}:{}+{}", part.batch_id, part.batch_row, part.rows);
    }
    token
}

/// A name in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', r"\\").replace('`', r"\`"))
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::Uuid;

    use super::*;

    #[test]
    fn a_token_names_the_exporter_and_the_rows() {
        let part = |batch: u128, batch_row| BatchPart {
            batch_id: Uuid::from_u128(batch),
            first_row: 0,
            batch_row,
            rows: 5,
            accepted_ms: 0,
            storage_id: None,
            complete: false,
        };
        let id = "00000000-0000-0000-0000-00000000000";
        let of = |parts: &[BatchPart<'static>]| token("e", parts.iter().copied());
        assert_eq!(
            of(&[part(1, 0), part(2, 7)]),
            format!("e/{id}1:0+5/{id}2:7+5")
        );
        assert_ne!(of(&[part(1, 0)]), of(&[part(1, 5)]));
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(r"a`b\c d"), r"`a\`b\\c d`");
    }
}
