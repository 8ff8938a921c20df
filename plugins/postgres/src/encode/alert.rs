//! Alerts, one row for each.

use delfin_plugin_api::{Alert, AlertBatch, AlertState, BatchPart, RowFailures, TEXT_COLUMNS};

use super::{CopyBatch, CopyStatements, CopyTables, binary::PostgresTime};

const STATEMENTS: CopyStatements = CopyStatements {
    prepare: "CREATE TEMPORARY TABLE delfin_new_alerts (LIKE {schema}.delfin_alerts, row_number bigint)
              ON COMMIT DELETE ROWS",
    main: [
        "COPY pg_temp.delfin_new_alerts (row_number, id, active, accepted_time, occur_time, storage_id,
         storage_name, vendor, model, serial_number, alert_id, alert_name, sequence_number, category,
         severity, type, resource_type, location, description, recovery_advice, match_key, extra)
         FROM STDIN BINARY",
        // An alert may be in a batch more than once: the last row counts. A batch that is sent
        // again later does not replace what was accepted after it.
        "INSERT INTO {schema}.delfin_alerts AS a (id, active, accepted_time, occur_time, storage_id,
         storage_name, vendor, model, serial_number, alert_id, alert_name, sequence_number, category,
         severity, type, resource_type, location, description, recovery_advice, match_key, extra)
         SELECT DISTINCT ON (id) id, active, accepted_time, occur_time, storage_id,
         storage_name, vendor, model, serial_number, alert_id, alert_name, sequence_number, category,
         severity, type, resource_type, location, description, recovery_advice, match_key, extra
         FROM pg_temp.delfin_new_alerts ORDER BY id, row_number DESC
         ON CONFLICT (id) DO UPDATE SET (active, accepted_time, occur_time, storage_id,
         storage_name, vendor, model, serial_number, alert_id, alert_name, sequence_number, category,
         severity, type, resource_type, location, description, recovery_advice, match_key, extra)
         = ROW (excluded.active, excluded.accepted_time, excluded.occur_time, excluded.storage_id,
         excluded.storage_name, excluded.vendor, excluded.model, excluded.serial_number,
         excluded.alert_id, excluded.alert_name, excluded.sequence_number, excluded.category,
         excluded.severity, excluded.type, excluded.resource_type, excluded.location,
         excluded.description, excluded.recovery_advice, excluded.match_key, excluded.extra)
         WHERE excluded.accepted_time >= a.accepted_time",
    ],
    series: None,
};

/// The columns before those of the texts, and the extras.
const OTHER_COLUMNS: i16 = 6;

impl CopyBatch for AlertBatch {
    const STATEMENTS: CopyStatements = STATEMENTS;

    fn encode(&self, parts: &[BatchPart<'_>], tables: &mut CopyTables, _: &mut RowFailures) {
        let mut parts = parts.iter().peekable();
        for (row, alert) in self.alerts().enumerate() {
            while parts
                .peek()
                .is_some_and(|part| part.first_row + part.rows <= row)
            {
                parts.next();
            }
            let accepted = parts.peek().map_or(0, |part| part.accepted_ms);
            push_alert(&alert, row, accepted, tables);
        }
    }
}

fn push_alert(alert: &Alert<'_>, row: usize, accepted_ms: i64, tables: &mut CopyTables) {
    let out = &mut tables.main;
    out.row(OTHER_COLUMNS + TEXT_COLUMNS.len() as i16);
    out.integer(row as i64);
    out.uuid(alert.key().uuid());
    out.flag(alert.state() == AlertState::Raised);
    out.time(PostgresTime::new(accepted_ms).unwrap_or_default());
    match PostgresTime::new(alert.occur_time()).filter(|_| alert.occur_time() > 0) {
        Some(time) => out.time(time),
        None => out.null(),
    }
    let mut texts = alert.texts().peekable();
    for column in TEXT_COLUMNS {
        let text = texts.next_if(|(name, _)| *name == column);
        out.text(text.map(|(_, text)| text));
    }
    out.object(alert.extra().iter());
}
