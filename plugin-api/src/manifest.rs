//! What a library says about itself without being opened: JSON in a section of
//! the file, written while the plugin is compiled.
//!
//! The record is the magic number and, as little-endian `u32`, the format
//! version and the length of the JSON that follows it. `delfin-plugin-loader`
//! reads it, and describes the JSON.

use delfin_plugin_abi::manifest::{FORMAT_VERSION, MAGIC};

/// A piece of the JSON.
pub enum Part {
    /// Goes in as it is.
    Raw(&'static str),
    /// A text: goes in quoted and escaped.
    Text(&'static str),
    /// A number, or `null`.
    Number(Option<u64>),
    /// A comma, unless it would be the first thing in a list.
    Comma,
}

const HEADER: usize = MAGIC.len() + 8;

/// How long the record of these parts is.
#[must_use]
pub const fn len(parts: &[Part]) -> usize {
    write::<0>(parts).1
}

/// The record of these parts.
#[must_use]
pub const fn record<const N: usize>(parts: &[Part]) -> [u8; N] {
    let (mut bytes, end) = write::<N>(parts);
    assert!(end == N);
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, MAGIC.len(), &FORMAT_VERSION.to_le_bytes());
    put(
        &mut bytes,
        MAGIC.len() + 4,
        &((N - HEADER) as u32).to_le_bytes(),
    );
    bytes
}

/// Writes what fits into `N` bytes and says how long all of it is.
const fn write<const N: usize>(parts: &[Part]) -> ([u8; N], usize) {
    let mut out = Out {
        bytes: [0; N],
        end: HEADER,
        last: 0,
    };
    let mut i = 0;
    while i < parts.len() {
        match parts[i] {
            Part::Raw(text) => out.raw(text.as_bytes()),
            Part::Text(text) => out.text(text.as_bytes()),
            Part::Number(Some(number)) => out.number(number),
            Part::Number(None) => out.raw(b"null"),
            Part::Comma if out.last == b'[' => {}
            Part::Comma => out.byte(b','),
        }
        i += 1;
    }
    (out.bytes, out.end)
}

struct Out<const N: usize> {
    bytes: [u8; N],
    end: usize,
    last: u8,
}

impl<const N: usize> Out<N> {
    const fn byte(&mut self, byte: u8) {
        if self.end < N {
            self.bytes[self.end] = byte;
        }
        self.end += 1;
        self.last = byte;
    }

    const fn raw(&mut self, text: &[u8]) {
        let mut i = 0;
        while i < text.len() {
            self.byte(text[i]);
            i += 1;
        }
    }

    const fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    const fn text(&mut self, text: &[u8]) {
        self.byte(b'"');
        let mut i = 0;
        while i < text.len() {
            self.escaped(text[i]);
            i += 1;
        }
        self.byte(b'"');
    }

    const fn escaped(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        match byte {
            b'"' | b'\\' => {
                self.byte(b'\\');
                self.byte(byte);
            }
            0..0x20 => {
                self.raw(b"\\u00");
                self.byte(HEX[(byte >> 4) as usize]);
                self.byte(HEX[(byte & 15) as usize]);
            }
            _ => self.byte(byte),
        }
    }
}

const fn put<const N: usize>(bytes: &mut [u8; N], at: usize, what: &[u8]) {
    let mut i = 0;
    while i < what.len() {
        bytes[at + i] = what[i];
        i += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_header_and_json_with_every_text_escaped() {
        const PARTS: &[Part] = &[
            Part::Raw("{\"list\":["),
            Part::Comma,
            Part::Text("a \"quoted\"\\ line\n"),
            Part::Comma,
            Part::Text("é"),
            Part::Raw("],\"some\":"),
            Part::Number(Some(u64::MAX)),
            Part::Raw(",\"zero\":"),
            Part::Number(Some(0)),
            Part::Raw(",\"none\":"),
            Part::Number(None),
            Part::Raw("}"),
        ];
        let record = record::<{ len(PARTS) }>(PARTS);
        assert_eq!(record[..8], MAGIC);
        assert_eq!(record[8..12], FORMAT_VERSION.to_le_bytes());
        let json: serde_json::Value = serde_json::from_slice(&record[HEADER..]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "list": ["a \"quoted\"\\ line\n", "é"], "some": u64::MAX, "zero": 0, "none": null,
            })
        );
        assert_eq!(record[12..16], (record.len() as u32 - 16).to_le_bytes());
    }
}
