//! The manifest of a plugin: JSON in a section of the library, which a host reads
//! without opening the library. It is written while the plugin is compiled.
//!
//! The record is the magic number, the format version and the length of the JSON,
//! each as little-endian `u32`, and the JSON. `delfin-plugin-loader` reads it and
//! describes the JSON.
//!
//! Every function is `const`: the compiler writes the manifest. Formatting and
//! allocation are not available there, so the record is built in two passes: the
//! first with `N = 0` only counts bytes, the second writes them.

use delfin_plugin_abi::manifest::{FORMAT_VERSION, MAGIC};

/// A part of the JSON.
pub enum ManifestPart {
    /// JSON that is written unchanged.
    Raw(&'static str),
    /// A text that is quoted and escaped.
    Text(&'static str),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// A number; `None` is `null`.
    Number(Option<u64>),
    /// A comma, except at the start of a list.
    Comma,
}

const HEADER: usize = MAGIC.len() + 8;

/// The length of the record of these parts, in bytes.
#[must_use]
pub const fn len(parts: &[ManifestPart]) -> usize {
    write::<0>(parts).1
}

/// The record of these parts.
#[must_use]
pub const fn record<const N: usize>(parts: &[ManifestPart]) -> [u8; N] {
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

/// Stops the compiler at a name that a host would refuse. Each name comes with the texts for
/// a bad name and for a second exporter of that name.
pub const fn check_names(names: &[(&str, &str, &str)]) {
    let mut i = 0;
    while i < names.len() {
        let (name, bad, twice) = names[i];
        assert!(is_name(name.as_bytes()), "{}", bad);
        let mut earlier = 0;
        while earlier < i {
            let other = names[earlier].0;
            assert!(!equal(name.as_bytes(), other.as_bytes()), "{}", twice);
            earlier += 1;
        }
        i += 1;
    }
}

/// Stops the compiler at a vendor or a model that a host would refuse. Each pair comes with the
/// texts for a bad name and for a second driver of that vendor and model.
pub const fn check_drivers(drivers: &[(&str, &str, &str, &str)]) {
    let mut i = 0;
    while i < drivers.len() {
        let (vendor, model, bad, twice) = drivers[i];
        let is_good = is_name(vendor.as_bytes()) && is_name(model.as_bytes());
        assert!(is_good, "{}", bad);
        let mut earlier = 0;
        while earlier < i {
            let (other_vendor, other_model, _, _) = drivers[earlier];
            let is_same = equal(vendor.as_bytes(), other_vendor.as_bytes())
                && equal(model.as_bytes(), other_model.as_bytes());
            assert!(!is_same, "{}", twice);
            earlier += 1;
        }
        i += 1;
    }
}

const fn is_name(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if !(name[i].is_ascii_alphanumeric() || matches!(name[i], b'.' | b'_' | b'-')) {
            return false;
        }
        i += 1;
    }
    !name.is_empty() && name.len() <= 64
}

const fn equal(one: &[u8], other: &[u8]) -> bool {
    let mut i = 0;
    while i < one.len() && i < other.len() && one[i] == other[i] {
        i += 1;
    }
    i == one.len() && i == other.len()
}

/// Writes the first `N` bytes of the record, without its header, and returns them
/// with the length of the whole record.
const fn write<const N: usize>(parts: &[ManifestPart]) -> ([u8; N], usize) {
    let mut out = JsonBytes {
        bytes: [0; N],
        end: HEADER,
        last: 0,
    };
    let mut i = 0;
    while i < parts.len() {
        match parts[i] {
            ManifestPart::Raw(text) => out.raw(text.as_bytes()),
            ManifestPart::Text(text) => out.text(text.as_bytes()),
            ManifestPart::Texts(texts) => out.texts(texts),
            ManifestPart::Number(Some(number)) => out.number(number),
            ManifestPart::Number(None) => out.raw(b"null"),
            ManifestPart::Comma if out.last == b'[' => {}
            ManifestPart::Comma => out.byte(b','),
        }
        i += 1;
    }
    (out.bytes, out.end)
}

struct JsonBytes<const N: usize> {
    bytes: [u8; N],
    end: usize,
    last: u8,
}

impl<const N: usize> JsonBytes<N> {
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

    const fn texts(&mut self, texts: &[&str]) {
        self.byte(b'[');
        let mut i = 0;
        while i < texts.len() {
            if i > 0 {
                self.byte(b',');
            }
            self.text(texts[i].as_bytes());
            i += 1;
        }
        self.byte(b']');
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
    fn good_names_compile() {
        let longest = "x".repeat(64);
        const { check_names(&[("A.b_C-9", "bad", "twice"), ("A.b_C", "bad", "twice")]) };
        check_names(&[(&longest, "bad", "twice")]);
    }

    #[test]
    fn a_name_that_a_host_refuses_does_not_compile() {
        let refused = |names: &[(&str, &str, &str)]| {
            let panic = std::panic::catch_unwind(|| check_names(names)).unwrap_err();
            *panic.downcast::<String>().unwrap()
        };
        let long = "x".repeat(65);
        for name in ["", "a b", "a/b", "é", &long] {
            assert_eq!(refused(&[("a", "", ""), (name, "bad", "twice")]), "bad");
        }
        let names = [
            ("a", "bad", "twice"),
            ("b", "", ""),
            ("a", "bad", "a twice"),
        ];
        assert_eq!(refused(&names), "a twice");
    }

    #[test]
    fn a_driver_that_a_host_refuses_does_not_compile() {
        const { check_drivers(&[("acme", "a", "bad", "twice"), ("acme", "b", "bad", "twice")]) };
        let refused = |drivers: &[(&str, &str, &str, &str)]| {
            let panic = std::panic::catch_unwind(|| check_drivers(drivers)).unwrap_err();
            *panic.downcast::<String>().unwrap()
        };
        assert_eq!(refused(&[("acme", "", "bad", "")]), "bad");
        assert_eq!(refused(&[("a b", "a", "bad", "")]), "bad");
        let twice = [("acme", "a", "", ""), ("acme", "a", "", "twice")];
        assert_eq!(refused(&twice), "twice");
    }

    #[test]
    fn a_record_is_a_header_and_json_with_every_text_escaped() {
        const PARTS: &[ManifestPart] = &[
            ManifestPart::Raw("{\"list\":["),
            ManifestPart::Comma,
            ManifestPart::Text("a \"quoted\"\\ line\n"),
            ManifestPart::Comma,
            ManifestPart::Text("é"),
            ManifestPart::Raw("],\"texts\":"),
            ManifestPart::Texts(&["a", "\""]),
            ManifestPart::Raw(",\"no_texts\":"),
            ManifestPart::Texts(&[]),
            ManifestPart::Raw(",\"some\":"),
            ManifestPart::Number(Some(u64::MAX)),
            ManifestPart::Raw(",\"zero\":"),
            ManifestPart::Number(Some(0)),
            ManifestPart::Raw(",\"none\":"),
            ManifestPart::Number(None),
            ManifestPart::Raw("}"),
        ];
        let record = record::<{ len(PARTS) }>(PARTS);
        assert_eq!(record[..8], MAGIC);
        assert_eq!(record[8..12], FORMAT_VERSION.to_le_bytes());
        let json: serde_json::Value = serde_json::from_slice(&record[HEADER..]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "list": ["a \"quoted\"\\ line\n", "é"], "texts": ["a", "\""], "no_texts": [], "some": u64::MAX, "zero": 0, "none": null,
            })
        );
        assert_eq!(record[12..16], (record.len() as u32 - 16).to_le_bytes());
    }
}
