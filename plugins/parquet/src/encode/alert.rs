//! Alerts as rows.

use std::{collections::BTreeMap, sync::Arc};

use delfin_plugin_api::{
    Alert, AlertBatch, TEXT_COLUMNS,
    arrow_array::{ArrayRef, builder::TimestampMillisecondBuilder},
};
use parquet::errors::Result;

use super::{
    ParquetBatch, Partition, RowPoints,
    file::{CHUNK_ROWS, ParquetFile},
    partition::is_in_path,
    texts::{self, MapColumn, TextColumn},
};

const STORAGE_ID: &str = "storage_id";

impl ParquetBatch for AlertBatch {
    const FOLDER: &'static str = "alerts";

    fn partitions(&self) -> BTreeMap<Partition<'_>, Vec<RowPoints>> {
        let mut partitions = BTreeMap::<_, Vec<_>>::new();
        for (row, alert) in self.alerts().enumerate() {
            let partition = Partition::new(alert.occur_time(), alert.storage_id());
            let rows = partitions.entry(partition).or_default();
            rows.push(RowPoints { row, points: 0..1 });
        }
        partitions
    }

    fn encode(&self, rows: &[RowPoints]) -> Result<Vec<u8>> {
        let mut file = ParquetFile::default();
        let mut columns = AlertColumns::new();
        let alerts: Vec<_> = self.alerts().collect();
        for rows in rows.chunks(CHUNK_ROWS) {
            for RowPoints { row, .. } in rows {
                columns.append(alerts[*row])?;
            }
            file.write(columns.finish())?;
        }
        file.finish()
    }
}

/// The columns of some rows of a file.
struct AlertColumns {
    times: TimestampMillisecondBuilder,
    texts: Vec<(&'static str, TextColumn)>,
    extra: MapColumn,
}

impl AlertColumns {
    fn new() -> Self {
        let in_columns = TEXT_COLUMNS.into_iter().filter(|name| *name != STORAGE_ID);
        Self {
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            texts: in_columns.map(|name| (name, TextColumn::new())).collect(),
            extra: MapColumn::new(),
        }
    }

    fn append(&mut self, alert: Alert<'_>) -> Result<()> {
        self.times.append_value(alert.occur_time());
        for (name, column) in &mut self.texts {
            let mut found = alert.texts().filter(|(column, _)| column == name);
            texts::append(column, found.next().map(|(_, text)| text), 1)?;
        }
        let storage_id = alert.storage_id().filter(|id| !is_in_path(id));
        let storage_id = storage_id.map(|id| (STORAGE_ID, id));
        self.extra
            .append(alert.extra().iter().chain(storage_id), 1)?;
        Ok(())
    }

    /// The rows, and whether their columns can be null; no row is left.
    fn finish(&mut self) -> impl Iterator<Item = (&'static str, ArrayRef, bool)> {
        let times: ArrayRef = Arc::new(self.times.finish());
        let columns = self.texts.iter_mut();
        let columns: Vec<_> = columns
            .map(|(name, column)| (*name, texts::finish(column), true))
            .collect();
        let extra = ("extra", self.extra.finish(), false);
        [("occur_time", times, false)]
            .into_iter()
            .chain(columns)
            .chain([extra])
    }
}
