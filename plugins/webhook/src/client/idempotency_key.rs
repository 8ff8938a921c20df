//! The header `Idempotency-Key`.
//!
//! Promises: the same rows of the same batches have the same key, in every
//! attempt and after every restart; other rows have another key; a key has 1 to
//! 255 visible ASCII characters.

use std::fmt::Write;

use delfin_plugin_api::BatchPart;
use sha2::{Digest, Sha256};

const MAX_LEN: usize = 255;

/// The key of consecutive rows: batch id and row numbers of each part, as in
/// `0197….0-499`, joined by `+`. A longer key is replaced by its digest.
///
/// The number of rows in a batch is unknown here, so the key names the rows even
/// where they are the whole batch.
pub(crate) fn idempotency_key<'a>(parts: impl Iterator<Item = BatchPart<'a>>) -> String {
    let mut key = String::new();
    for part in parts {
        let joint = if key.is_empty() { "" } else { "+" };
        let (batch, first) = (part.batch_id, part.batch_row);
        let last = (first + part.rows).saturating_sub(1);
        // Writing to a `String` cannot fail.
        write!(key, "{joint}{batch}.{first}-{last}").ok();
    }
    if key.len() <= MAX_LEN {
        return key;
    }
    let mut short = "sha256-".to_owned();
    for byte in Sha256::digest(key) {
        write!(short, "{byte:02x}").ok();
    }
    short
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn part(batch: u128, first_row: usize, rows: usize) -> BatchPart<'static> {
        BatchPart {
            batch_id: Uuid::from_u128(batch),
            first_row: 0,
            batch_row: first_row,
            rows,
            accepted_ms: 0,
            storage_id: None,
            complete: false,
        }
    }

    fn key(parts: &[BatchPart<'_>]) -> String {
        idempotency_key(parts.iter().copied())
    }

    #[test]
    fn a_key_names_the_rows_of_each_batch() {
        let one = "00000000-0000-0000-0000-000000000001.0-9";
        assert_eq!(key(&[part(1, 0, 10)]), one);
        let two = format!("{one}+00000000-0000-0000-0000-000000000002.5-5");
        assert_eq!(key(&[part(1, 0, 10), part(2, 5, 1)]), two);
    }

    #[test]
    fn different_rows_have_different_keys() {
        let parts = [part(1, 0, 10), part(2, 0, 10), part(1, 0, 9), part(1, 1, 9)];
        let keys: std::collections::BTreeSet<_> = parts.iter().map(|part| key(&[*part])).collect();
        assert_eq!(keys.len(), 4);
    }

    #[test]
    fn a_key_that_would_be_too_long_is_a_stable_digest() {
        let many = |last: u128| -> Vec<_> { (1..=last).map(|id| part(id, 0, 1000)).collect() };
        let long = key(&many(100));
        assert_eq!(long.len(), "sha256-".len() + 64, "{long}");
        assert_eq!(long, key(&many(100)));
        assert_ne!(long, key(&many(101)));
        for count in 1..20 {
            let key = key(&many(count));
            assert!((1..=MAX_LEN).contains(&key.len()), "{key}");
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        }
    }
}
