//! The sequence number of the newest record. It outlives the records.

use rusqlite::{Connection, OptionalExtension};

/// The last sequence number that was given out; 0 before the first.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<u64> {
    let head = connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'batches'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(head.unwrap_or(0))
}

/// Raises the head to at least `head_seq`, so that no sequence number is given out twice.
pub(super) fn continue_after(connection: &Connection, head_seq: u64) -> rusqlite::Result<()> {
    if head(connection)? >= head_seq {
        return Ok(());
    }
    // SQLite creates the row with the first insert of a record.
    let updated = connection.execute(
        "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'batches'",
        [head_seq],
    )?;
    if updated == 0 {
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) VALUES ('batches', ?1)",
            [head_seq],
        )?;
    }
    Ok(())
}
