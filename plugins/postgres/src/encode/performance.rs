//! Series and points.

use delfin_plugin_api::{BatchPart, PerformanceBatch, RowFailureKind, RowFailures, Series, Uuid};

use super::{CopyBatch, CopyStatements, CopyTables, TIME_RANGE, binary::PostgresTime};

/// The namespace of the ids of series.
const NAMESPACE: Uuid = Uuid::from_u128(0x7c3d_a0c4_52b1_4a57_8f0e_1d6f_30aa_9b52);

/// The labels with a column of their own, in the order of the columns.
const COLUMNS: [&str; 6] = [
    "storage_id",
    "storage_name",
    "resource_type",
    "resource_id",
    "resource_name",
    "unit",
];

const STATEMENTS: CopyStatements = CopyStatements {
    prepare: "CREATE TEMPORARY TABLE delfin_new_series (LIKE {schema}.delfin_series) ON COMMIT DELETE ROWS;
              CREATE TEMPORARY TABLE delfin_new_points (LIKE {schema}.delfin_points) ON COMMIT DELETE ROWS",
    main: [
        "COPY pg_temp.delfin_new_points (time, series_id, value) FROM STDIN BINARY",
        "INSERT INTO {schema}.delfin_points (time, series_id, value)
         SELECT time, series_id, value FROM pg_temp.delfin_new_points ON CONFLICT DO NOTHING",
    ],
    // In the order of the ids, so that transactions never wait for each other in a circle.
    series: Some([
        "COPY pg_temp.delfin_new_series (series_id, name, storage_id, storage_name, resource_type,
         resource_id, resource_name, unit, labels) FROM STDIN BINARY",
        "INSERT INTO {schema}.delfin_series (series_id, name, storage_id, storage_name, resource_type,
         resource_id, resource_name, unit, labels)
         SELECT series_id, name, storage_id, storage_name, resource_type, resource_id,
         resource_name, unit, labels
         FROM pg_temp.delfin_new_series ORDER BY series_id ON CONFLICT DO NOTHING",
    ]),
};

impl CopyBatch for PerformanceBatch {
    const STATEMENTS: CopyStatements = STATEMENTS;

    fn encode(&self, _: &[BatchPart<'_>], tables: &mut CopyTables, refused: &mut RowFailures) {
        let mut key = SeriesKey::default();
        for (row, series) in self.series().enumerate() {
            let storable = |ms: &i64| PostgresTime::new(*ms).is_some();
            if !series.timestamps().iter().all(storable) {
                refused.push(row..row + 1, RowFailureKind::Rejected, TIME_RANGE);
                continue;
            }
            let id = key.id(series);
            if !tables.known.contains(&id) && tables.new.insert(id) {
                push_series(series, id, tables);
            }
            for (ms, value) in series.points() {
                let Some(time) = PostgresTime::new(ms) else {
                    continue;
                };
                tables.main.row(3);
                tables.main.time(time);
                tables.main.uuid(id);
                tables.main.float(value);
            }
        }
    }
}

fn push_series(series: Series<'_>, id: Uuid, tables: &mut CopyTables) {
    let out = &mut tables.series;
    let labels = series.labels();
    out.row(3 + COLUMNS.len() as i16);
    out.uuid(id);
    out.text(Some(series.name()));
    for column in COLUMNS {
        out.text(match column {
            "storage_name" => series.storage_name(),
            _ => labels.get(column),
        });
    }
    out.object(labels.iter());
}

/// Makes the ids of series: the same name and labels give the same id, in any order of the
/// labels.
#[derive(Default)]
struct SeriesKey {
    bytes: Vec<u8>,
    order: Vec<usize>,
}

impl SeriesKey {
    fn id(&mut self, series: Series<'_>) -> Uuid {
        let labels = series.labels();
        let key = |index: &usize| labels.iter().nth(*index);
        self.order.clear();
        self.order.extend(0..labels.len());
        self.order.sort_unstable_by_key(key);
        self.bytes.clear();
        let mut push = |text: &str| {
            // With its length, so that texts cannot flow into each other.
            self.bytes
                .extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.bytes.extend_from_slice(text.as_bytes());
        };
        push(series.name());
        for (name, value) in self.order.iter().filter_map(key) {
            push(name);
            push(value);
        }
        Uuid::new_v5(&NAMESPACE, &self.bytes)
    }
}
