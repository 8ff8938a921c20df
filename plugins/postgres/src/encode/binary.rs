//! The binary format of `COPY`.

use bytes::{BufMut, Bytes, BytesMut};
use delfin_plugin_api::Uuid;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
const NULL: i32 = -1;
/// The version of the binary form of `jsonb`.
const JSONB_VERSION: u8 = 1;

/// 2000-01-01, the epoch of PostgreSQL, in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 946_684_800_000;
/// The times that PostgreSQL can store, in milliseconds since the Unix epoch: the start of
/// Julian day 0, and the end of the year 294276.
const MIN_MS: i64 = -210_866_803_200_000;
const MAX_MS: i64 = 9_224_318_015_999_999;

/// Rows of one table.
#[derive(Debug, Default)]
pub struct CopyBuffer {
    bytes: BytesMut,
    scratch: Vec<u8>,
}

/// A time that PostgreSQL can store, in microseconds since its epoch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PostgresTime(i64);

impl PostgresTime {
    pub(super) fn new(ms: i64) -> Option<Self> {
        (MIN_MS..=MAX_MS)
            .contains(&ms)
            .then(|| Self((ms - EPOCH_MS) * 1000))
    }
}

impl CopyBuffer {
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The rows with what comes before and after them. The buffer is empty then.
    pub(crate) fn take(&mut self) -> Bytes {
        self.bytes.put_i16(END);
        self.bytes.split().freeze()
    }

    pub(super) fn row(&mut self, columns: i16) {
        if self.bytes.is_empty() {
            self.bytes.put_slice(HEADER);
        }
        self.bytes.put_i16(columns);
    }

    pub(super) fn null(&mut self) {
        self.bytes.put_i32(NULL);
    }

    pub(super) fn time(&mut self, time: PostgresTime) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(time.0);
    }

    pub(super) fn float(&mut self, value: f64) {
        self.bytes.put_i32(8);
        self.bytes.put_f64(value);
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.bytes.put_i32(8);
        self.bytes.put_i64(value);
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.bytes.put_i32(1);
        self.bytes.put_u8(value.into());
    }

    pub(super) fn uuid(&mut self, id: Uuid) {
        self.bytes.put_i32(16);
        self.bytes.put_slice(id.as_bytes());
    }

    /// A text, or null for none. PostgreSQL stores no NUL: U+FFFD is in its place.
    pub(super) fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            return self.null();
        };
        if text.contains('\0') {
            return self.value(text.replace('\0', "\u{fffd}").as_bytes());
        }
        self.value(text.as_bytes());
    }

    /// An object of texts. If a key comes twice, the last text counts.
    pub(super) fn object<'a>(&mut self, members: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut object = std::mem::take(&mut self.scratch);
        object.clear();
        object.extend_from_slice(&[JSONB_VERSION, b'{']);
        for (index, (key, text)) in members.enumerate() {
            if index > 0 {
                object.push(b',');
            }
            push_json(key, &mut object);
            object.push(b':');
            push_json(text, &mut object);
        }
        object.push(b'}');
        self.value(&object);
        self.scratch = object;
    }

    fn value(&mut self, bytes: &[u8]) {
        // A batch has less than 2 GiB in each column.
        self.bytes
            .put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.bytes.put_slice(bytes);
    }
}

fn push_json(text: &str, out: &mut Vec<u8>) {
    use delfin_plugin_api::json::{Compact, Style};
    if text.contains('\0') {
        return Compact::text(&text.replace('\0', "\u{fffd}"), out);
    }
    Compact::text(text, out);
}
