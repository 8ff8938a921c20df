//! The header `Idempotency-Key`.
//!
//! Promises: the same rows of the same batches have the same key, in every
//! attempt and after every restart; other rows have another one; a key is 1 to
//! 255 visible ASCII characters.

use std::fmt::Write;

use delfin_plugin_api::BatchPart;
use sha2::{Digest, Sha256};

const LONGEST: usize = 255;

/// The key of consecutive rows: of each part the batch and the rows, as in
/// `0197….0-499`, joined by `+`, or a digest of that where it is too long.
///
/// How many rows a batch has is not known here, so the rows are always named.
pub(crate) fn of<'a>(parts: impl Iterator<Item = BatchPart<'a>>) -> String {
    let mut key = String::new();
    for part in parts {
        let joint = if key.is_empty() { "" } else { "+" };
        let (batch, first) = (part.batch_id, part.batch_row);
        let last = (first + part.rows).saturating_sub(1);
        // Only a writer can fail, and a text does not.
        write!(key, "{joint}{batch}.{first}-{last}").ok();
    }
    if key.len() <= LONGEST {
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
        of(parts.iter().copied())
    }

    #[test]
    fn a_key_names_the_rows_of_each_batch() {
        let one = "00000000-0000-0000-0000-000000000001.0-9";
        assert_eq!(key(&[part(1, 0, 10)]), one);
        let two = format!("{one}+00000000-0000-0000-0000-000000000002.5-5");
        assert_eq!(key(&[part(1, 0, 10), part(2, 5, 1)]), two);
    }

    #[test]
    fn other_rows_have_another_key() {
        let parts = [part(1, 0, 10), part(2, 0, 10), part(1, 0, 9), part(1, 1, 9)];
        let keys: std::collections::BTreeSet<_> = parts.iter().map(|part| key(&[*part])).collect();
        assert_eq!(keys.len(), 4);
    }

    #[test]
    fn a_key_that_would_be_too_long_is_a_digest_and_as_stable() {
        let many = |last: u128| -> Vec<_> { (1..=last).map(|id| part(id, 0, 1000)).collect() };
        let long = key(&many(100));
        assert_eq!(long.len(), "sha256-".len() + 64, "{long}");
        assert_eq!(long, key(&many(100)));
        assert_ne!(long, key(&many(101)));
        for count in 1..20 {
            let key = key(&many(count));
            assert!((1..=LONGEST).contains(&key.len()), "{key}");
            assert!(key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        }
    }
}
