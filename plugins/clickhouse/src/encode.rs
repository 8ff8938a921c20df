//! The tables for the columns of batches. The kit writes the columns as an Arrow stream.

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Batch, BatchError, NewAlert, PerformanceBatch,
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

/// A name in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', r"\\").replace('`', r"\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(r"a`b\c d"), r"`a\`b\\c d`");
    }
}
