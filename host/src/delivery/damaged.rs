//! A record that cannot be read as a batch any more: kept as it is, as a dead
//! letter, so that it does not stand in the way of what comes after it.

use delfin_plugin_abi::OutcomeCode;

use crate::{
    clock::now_ms,
    journal::{DeadLetter, Entry, Position, Settlement},
};

pub(super) fn dead_letter(entry: Entry, reason: &str, plugin_version: &str) -> Settlement {
    let Entry { seq, record } = entry;
    let now = now_ms();
    let letter = DeadLetter {
        plugin_version: plugin_version.to_owned(),
        batch_id: record.batch_id,
        seq,
        first_row: 0,
        rows: record.rows,
        items: record.items,
        origin: record.origin,
        storage_id: record.storage_id,
        accepted_ms: record.accepted_ms,
        code: OutcomeCode::REJECT.0,
        reason: format!("the record cannot be read: {reason}"),
        attempts: 0,
        first_ms: now,
        last_ms: now,
        payload: record.payload,
    };
    Settlement {
        through: Position::after(seq),
        dead_letters: vec![letter],
        ..Settlement::default()
    }
}
