//! Rows as JSON messages.

use std::ops::Range;

use delfin_plugin_api::{Skipped, json::Writer};

use super::{Limits, Message, Payload, Row};

/// Writes rows, and hands over what fits into a message.
pub(super) fn encode<'a, S: Message, R: Row<'a>, E>(
    rows: &[R],
    limits: Limits,
    out: &mut Vec<u8>,
    mut take: impl FnMut(Payload<'_>) -> Result<(), E>,
) -> Result<Skipped, E> {
    let array = S::ALWAYS_ARRAY || limits.rows > 1;
    let (open, close): (&[u8], &[u8]) = if array { (b"[", b"]") } else { (b"", b"") };
    let mut writer = Writer::<S>::new();
    let mut held = 0..0;
    let mut spare = Vec::new();
    for (index, &row) in rows.iter().enumerate() {
        let end = out.len();
        out.extend_from_slice(if held.is_empty() {
            open
        } else {
            S::COMMA.as_bytes()
        });
        let start = out.len();
        row.write(&mut writer, out);
        let full = out.len() + close.len() > limits.bytes || held.len() == limits.rows;
        if full && !held.is_empty() {
            spare.clear();
            spare.extend_from_slice(&out[start..]);
            out.truncate(end);
            hand_over(held, out, close, &mut take)?;
            out.extend_from_slice(open);
            out.extend_from_slice(&spare);
            held = index..index;
        }
        held.end = index + 1;
    }
    if !held.is_empty() {
        hand_over(held, out, close, &mut take)?;
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
