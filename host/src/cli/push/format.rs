//! Recognises the compression and the format of a file by its first bytes.

use std::{
    io::{Cursor, Read},
    path::Path,
};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ARROW_STREAM: &[u8] = &[0xff, 0xff, 0xff, 0xff];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const ARROW_FILE: &[u8] = b"ARROW1";

const JSON: &str = "application/json";
const JSON_LINES: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Content-Type and Content-Encoding of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFormat {
    pub(super) content_type: &'static str,
    pub(super) encoding: Option<&'static str>,
}

impl FileFormat {
    /// The format of a file that begins with `head`; `None` for an Arrow file.
    pub(super) fn of(head: &[u8], path: &Path) -> Option<Self> {
        let (encoding, head) = decompress(head);
        let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
        let content_type = if head.starts_with(ARROW_FILE) {
            return None;
        } else if head.starts_with(ARROW_STREAM) {
            ARROW
        } else if is_lines(head) || named_lines(path) {
            JSON_LINES
        } else {
            JSON
        };
        Some(Self {
            content_type,
            encoding,
        })
    }
}

/// Decompresses the beginning of the file.
fn decompress(head: &[u8]) -> (Option<&'static str>, Vec<u8>) {
    let start = |reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        // The head may end within a block. The bytes before the error are enough.
        let _ = reader.take(64).read_to_end(&mut bytes);
        bytes
    };
    if head.starts_with(GZIP) {
        let mut reader = flate2::read::MultiGzDecoder::new(head);
        return (Some("gzip"), start(&mut reader));
    }
    if head.starts_with(ZSTD) {
        let reader = zstd::stream::read::Decoder::with_buffer(Cursor::new(head));
        let bytes = reader.map(|mut reader| start(&mut reader));
        return (Some("zstd"), bytes.unwrap_or_default());
    }
    (None, head.to_vec())
}

/// Whether the text begins with an object. The host accepts objects in an array or
/// in lines, so this one is the first line.
fn is_lines(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{")
}

fn named_lines(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    name.ends_with(".jsonl") || name.ends_with(".ndjson")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(bytes: &[u8], name: &str, content_type: &str, encoding: Option<&str>) {
        let format = FileFormat::of(bytes, Path::new(name)).unwrap();
        assert_eq!(
            (format.content_type, format.encoding),
            (content_type, encoding)
        );
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_array_is_json_and_an_object_is_the_first_line() {
        check(b" [{}]", "a.json", JSON, None);
        check(b"", "a.json", JSON, None);
        check("\u{feff}{}".as_bytes(), "a.json", JSON_LINES, None);
        check(b"{\"name\": 1}\n{}", "-", JSON_LINES, None);
    }

    #[test]
    fn lines_of_arrays_are_recognised_by_the_file_name() {
        check(b"[\"iops\", {}, {}]\n", "a.jsonl", JSON_LINES, None);
        check(b"[\"iops\", {}, {}]\n", "a.ndjson.gz", JSON_LINES, None);
        check(b"[[\"iops\", {}, {}]]\n", "-", JSON, None);
    }

    #[test]
    fn an_arrow_stream_differs_from_an_arrow_file() {
        check(&[0xff, 0xff, 0xff, 0xff, 0x10], "-", ARROW, None);
        assert_eq!(FileFormat::of(b"ARROW1\0\0", Path::new("a.arrow")), None);
    }

    #[test]
    fn a_compressed_file_is_recognised_by_its_content() {
        let arrow = [&[0xff; 4][..], &[7; 100_000]].concat();
        check(&gzip(&arrow), "-", ARROW, Some("gzip"));
        check(
            &zstd::encode_all(&arrow[..], 1).unwrap(),
            "-",
            ARROW,
            Some("zstd"),
        );
        check(&gzip(b"{}\n{}"), "a.gz", JSON_LINES, Some("gzip"));
    }

    #[test]
    fn a_head_that_ends_within_a_block_is_enough() {
        let noise: Vec<u8> = (0..200_000_u32)
            .flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes())
            .collect();
        let body = [b"{", &noise[..]].concat();
        check(&gzip(&body)[..65_536], "-", JSON_LINES, Some("gzip"));
        let zstd = zstd::encode_all(&body[..], 1).unwrap();
        check(
            &zstd[..zstd.len().min(200_000)],
            "-",
            JSON_LINES,
            Some("zstd"),
        );
    }
}
