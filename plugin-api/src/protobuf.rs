//! Writes and reads messages in the encoding of Protocol Buffers.
//!
//! Promises: fields are written in the order of the calls, into one buffer, without an
//! allocation for a message or a field. Reading copies nothing, and ends at the first byte that
//! is wrong.
//!
//! Knows no schema: the caller passes field numbers, and leaves fields out that have their
//! default.

/// A buffer for messages.
///
/// ```
/// use delfin_plugin_api::protobuf::ProtobufWriter;
///
/// let mut writer = ProtobufWriter::default();
/// writer.text(1, "iops");
/// writer.message(2, |point| point.uint(1, 300));
/// assert_eq!(writer.as_bytes(), b"\x0a\x04iops\x12\x03\x08\xac\x02");
/// ```
#[derive(Debug, Default)]
pub struct ProtobufWriter(Vec<u8>);

/// How a field is encoded.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
}

/// The fields of a message, in their order. It ends after an error.
///
/// ```
/// use delfin_plugin_api::protobuf::{ProtobufField, ProtobufReader};
///
/// let fields: Result<Vec<_>, _> = ProtobufReader::new(b"\x0a\x04iops\x10\x07").collect();
/// let expected = [(1, ProtobufField::Bytes(b"iops")), (2, ProtobufField::Varint(7))];
/// assert_eq!(fields.unwrap(), expected);
/// ```
#[derive(Debug, Clone)]
pub struct ProtobufReader<'a> {
    rest: &'a [u8],
}

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtobufField<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes, such as a `double`.
    Fixed64(u64),
    /// Four bytes, such as a `float`.
    Fixed32(u32),
    /// A text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message of Protocol Buffers")]
pub struct MalformedMessage;

impl ProtobufWriter {
    /// Removes what was written, and memory above `kept` bytes.
    pub fn clear(&mut self, kept: usize) {
        self.0.clear();
        self.0.shrink_to(kept);
    }

    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A field of the types `uint32`, `uint64`, `int32`, `int64`, `bool` or of an enum. Cast
    /// negative numbers to `u64`.
    pub fn uint(&mut self, field: u32, value: u64) {
        self.key(field, WireType::Varint);
        self.varint(value);
    }

    /// A field of the type `double`.
    pub fn double(&mut self, field: u32, value: f64) {
        self.fixed64(field, value.to_bits());
    }

    /// A field of the type `fixed64`.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.key(field, WireType::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A field of the type `string`.
    pub fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// A field of the type `bytes`.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, WireType::Length);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A field that is a message, or packed numbers: `write` writes its content.
    pub fn message<R>(&mut self, field: u32, write: impl FnOnce(&mut Self) -> R) -> R {
        self.key(field, WireType::Length);
        let start = self.0.len();
        // Most messages are shorter than 128 bytes, so that their length takes one byte. Others
        // are moved once their length is known.
        self.0.push(0);
        let result = write(self);
        let end = self.0.len();
        let mut length = end - start - 1;
        let more = (length.max(1).ilog2() / 7) as usize;
        self.0.resize(end + more, 0);
        self.0.copy_within(start + 1..end, start + 1 + more);
        for byte in &mut self.0[start..start + more] {
            *byte = length as u8 | 0x80;
            length >>= 7;
        }
        self.0[start + more] = length as u8;
        result
    }

    /// Appends the fields of another message.
    pub fn append(&mut self, fields: &Self) {
        self.0.extend_from_slice(&fields.0);
    }

    /// A number in packed numbers.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: WireType) {
        self.varint(u64::from(field) << 3 | wire as u64);
    }
}

impl<'a> ProtobufReader<'a> {
    /// Reads a message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The numbers of a field with packed numbers. It ends after an error.
    ///
    /// ```
    /// use delfin_plugin_api::protobuf::ProtobufReader;
    ///
    /// let numbers: Result<Vec<_>, _> = ProtobufReader::new(b"\x01\xac\x02").packed_varints().collect();
    /// assert_eq!(numbers.unwrap(), [1, 300]);
    /// ```
    pub fn packed_varints(
        mut self,
    ) -> impl Iterator<Item = Result<u64, MalformedMessage>> + use<'a> {
        std::iter::from_fn(move || {
            if self.rest.is_empty() {
                return None;
            }
            let number = self.varint();
            if number.is_none() {
                self.rest = &[];
            }
            Some(number.ok_or(MalformedMessage))
        })
    }

    fn field(&mut self) -> Option<(u32, ProtobufField<'a>)> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => ProtobufField::Varint(self.varint()?),
            1 => ProtobufField::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                ProtobufField::Bytes(bytes)
            }
            5 => ProtobufField::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => return None,
        };
        Some((u32::try_from(key >> 3).ok()?, field))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(array)
    }
}

impl<'a> Iterator for ProtobufReader<'a> {
    type Item = Result<(u32, ProtobufField<'a>), MalformedMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(MalformedMessage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_length_has_its_length_in_front() {
        for (length, prefix) in [
            (0, &[0x0a, 0][..]),
            (127, &[0x0a, 127]),
            (128, &[0x0a, 0x80, 1]),
            (16_383, &[0x0a, 0xff, 0x7f]),
            (16_384, &[0x0a, 0x80, 0x80, 1]),
        ] {
            let mut writer = ProtobufWriter::default();
            let content: Vec<_> = (0..length).map(|number| number as u8 & 0x7f).collect();
            writer.message(1, |writer| {
                content.iter().for_each(|&byte| writer.varint(byte.into()));
            });
            writer.uint(2, 1);
            let expected = [prefix, &content, &[0x10, 1]].concat();
            assert_eq!(writer.as_bytes(), expected, "{length}");
        }
    }

    #[test]
    fn fields_are_written_as_the_encoding_guide_says() {
        let mut writer = ProtobufWriter::default();
        writer.uint(1, 150);
        writer.uint(16, -1_i64 as u64);
        writer.double(3, 1.0);
        writer.text(2, "testing");
        let expected = [
            &b"\x08\x96\x01\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
            b"\x19\0\0\0\0\0\0\xf0\x3f",
            b"\x12\x07testing",
        ];
        assert_eq!(writer.as_bytes(), expected.concat());
        writer.clear(0);
        assert_eq!(writer.as_bytes(), b"");
    }
    #[test]
    fn what_was_written_is_read_and_other_bytes_are_an_error() {
        let mut writer = ProtobufWriter::default();
        writer.uint(1, u64::MAX);
        writer.double(2, -0.5);
        writer.message(300, |message| message.text(1, "x"));
        let read = ProtobufReader::new(writer.as_bytes());
        let fields: Result<Vec<_>, _> = read.collect();
        let expected = [
            (1, ProtobufField::Varint(u64::MAX)),
            (2, ProtobufField::Fixed64((-0.5_f64).to_bits())),
            (300, ProtobufField::Bytes(b"\x0a\x01x")),
        ];
        assert_eq!(fields.unwrap(), expected);
        for bad in [
            &b"\x0a\x05x"[..],
            b"\x09\0",
            b"\x0b",
            b"\x08",
            b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
            b"<html>",
        ] {
            let fields: Vec<_> = ProtobufReader::new(bad).collect();
            assert_eq!(fields.last(), Some(&Err(MalformedMessage)), "{bad:?}");
        }
    }
}
