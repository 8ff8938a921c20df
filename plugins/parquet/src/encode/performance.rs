//! Series as rows of points.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use delfin_plugin_api::{
    PerformanceBatch, Series,
    arrow_array::{
        ArrayRef,
        builder::{Float64Builder, TimestampMillisecondBuilder},
    },
};
use parquet::errors::Result;

use super::{
    ParquetBatch, Partition, RowPoints,
    file::{CHUNK_ROWS, ParquetFile, VALUE},
    partition::{day_of, is_in_path},
    texts::{self, MapColumn, TextColumn},
};

const STORAGE_ID: &str = "storage_id";

/// Labels with a column of their own, and its name: `name` is the name of the storage.
const LABELS: [(&str, &str); 7] = [
    ("name", "storage_name"),
    ("serial_number", "serial_number"),
    ("resource_type", "resource_type"),
    ("resource_id", "resource_id"),
    ("type", "type"),
    ("unit", "unit"),
    ("value_type", "value_type"),
];

impl ParquetBatch for PerformanceBatch {
    const FOLDER: &'static str = "performance";

    fn partitions(&self) -> BTreeMap<Partition<'_>, Vec<RowPoints>> {
        let mut partitions = BTreeMap::<_, Vec<_>>::new();
        for (row, series) in self.series().enumerate() {
            let storage_id = series.labels().get(STORAGE_ID);
            let times = series.timestamps();
            let mut start = 0;
            // Points come in the order of time, so that a day is a range of them.
            for day in times.chunk_by(|a, b| day_of(*a) == day_of(*b)) {
                let points = start..start + day.len();
                start = points.end;
                let partition = Partition::new(day[0], storage_id);
                let rows = partitions.entry(partition).or_default();
                rows.push(RowPoints { row, points });
            }
        }
        partitions
    }

    fn encode(&self, rows: &[RowPoints]) -> Result<Vec<u8>> {
        let mut file = ParquetFile::default();
        let mut columns = PointColumns::new();
        let series: Vec<_> = self.series().collect();
        for RowPoints { row, points } in rows {
            let mut points = points.clone();
            while !points.is_empty() {
                let len = points.len().min(CHUNK_ROWS - columns.len());
                let end = points.start + len;
                columns.append(series[*row], points.start..end)?;
                points.start = end;
                if columns.len() == CHUNK_ROWS {
                    file.write(columns.finish())?;
                }
            }
        }
        if columns.len() > 0 {
            file.write(columns.finish())?;
        }
        file.finish()
    }
}

/// The columns of some rows of a file.
struct PointColumns {
    name: TextColumn,
    texts: [TextColumn; LABELS.len()],
    labels: MapColumn,
    times: TimestampMillisecondBuilder,
    values: Float64Builder,
}

impl PointColumns {
    fn new() -> Self {
        Self {
            name: TextColumn::new(),
            texts: LABELS.map(|_| TextColumn::new()),
            labels: MapColumn::new(),
            times: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            values: Float64Builder::new(),
        }
    }

    fn len(&self) -> usize {
        self.values.values_slice().len()
    }

    fn append(&mut self, series: Series<'_>, points: Range<usize>) -> Result<()> {
        let (labels, rows) = (series.labels(), points.len());
        texts::append(&mut self.name, Some(series.name()), rows)?;
        for ((label, _), column) in LABELS.iter().zip(&mut self.texts) {
            texts::append(column, labels.get(label), rows)?;
        }
        self.labels
            .append(labels.iter().filter(|label| is_other(*label)), rows)?;
        self.times
            .append_slice(&series.timestamps()[points.clone()]);
        self.values.append_slice(&series.values()[points]);
        Ok(())
    }

    /// The rows, and whether their columns can be null; no row is left.
    fn finish(&mut self) -> impl Iterator<Item = (&'static str, ArrayRef, bool)> {
        let name = ("name", texts::finish(&mut self.name), false);
        let columns = LABELS.iter().zip(&mut self.texts);
        let columns: Vec<_> = columns
            .map(|((_, name), column)| (*name, texts::finish(column), true))
            .collect();
        let rest: [(_, ArrayRef, _); 3] = [
            ("labels", self.labels.finish(), false),
            ("time", Arc::new(self.times.finish()), false),
            (VALUE, Arc::new(self.values.finish()), false),
        ];
        [name].into_iter().chain(columns).chain(rest)
    }
}

/// Whether a label has neither a column nor the path.
fn is_other((label, value): (&str, &str)) -> bool {
    if label == STORAGE_ID {
        return !is_in_path(value);
    }
    LABELS.iter().all(|(name, _)| *name != label)
}
