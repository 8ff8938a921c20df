//! Rows as JSON messages.

use std::ops::Range;

use crate::{Skipped, json::JsonWriter};

use super::{MessageLimits, MessageRow, MessageStyle, Payload};

/// Writes rows and hands them over in payloads within the limits.
///
/// How long a row is turns out only when it is written. A row that exceeds the
/// limit is therefore written first, moved to `next`, and starts the next payload.
pub(super) fn encode<'a, S: MessageStyle, R: MessageRow<'a>, E>(
    rows: &[R],
    limits: MessageLimits,
    out: &mut Vec<u8>,
    mut take: impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<Skipped, E> {
    let array = S::ALWAYS_ARRAY || limits.rows > 1;
    let (open, close): (&[u8], &[u8]) = if array { (b"[", b"]") } else { (b"", b"") };
    let mut writer = JsonWriter::<S>::new();
    let mut range = 0..0;
    let mut next = Vec::new();
    for (index, &row) in rows.iter().enumerate() {
        let end = out.len();
        out.extend_from_slice(if range.is_empty() {
            open
        } else {
            S::COMMA.as_bytes()
        });
        let start = out.len();
        row.write(&mut writer, out);
        let full = out.len() + close.len() > limits.bytes || range.len() == limits.rows;
        if full && !range.is_empty() {
            next.clear();
            next.extend_from_slice(&out[start..]);
            out.truncate(end);
            hand_over(range, out, close, &mut take)?;
            out.extend_from_slice(open);
            out.extend_from_slice(&next);
            range = index..index;
        }
        range.end = index + 1;
    }
    if !range.is_empty() {
        hand_over(range, out, close, &mut take)?;
    }
    Ok(writer.skipped())
}

fn hand_over<E>(
    rows: Range<usize>,
    out: &mut Vec<u8>,
    close: &[u8],
    take: &mut impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<(), E> {
    out.extend_from_slice(close);
    let taken = take((rows, Ok(out)));
    out.clear();
    taken
}
