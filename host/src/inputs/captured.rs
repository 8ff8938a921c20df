//! Bodies in files: what they are, without the headers of a request.

use std::borrow::Cow;

use super::{LinePrecision, OtlpEncoding, RemoteWriteMessage, SeriesFormat, SeriesInput};
use crate::ingest::{BodyEncoding, BodyLimits, IngestError, ParseGuard, decompress};

/// A body, and what the query of its request says.
#[derive(Debug)]
pub struct CapturedBody {
    pub input: SeriesInput,
    pub bytes: Vec<u8>,
    /// Of the line protocol.
    pub precision: LinePrecision,
    /// Of the line protocol.
    pub bucket: String,
}

/// Decompresses a body if it is compressed. The format, and the plain bytes.
///
/// # Errors
///
/// The body is cut off, or a limit is exceeded.
pub fn captured_format(
    body: CapturedBody,
    limits: &BodyLimits,
    guard: &mut ParseGuard,
) -> Result<(SeriesFormat, Vec<u8>), IngestError> {
    let is_json = body.bytes.trim_ascii_start().starts_with(b"{");
    let encoding = match (body.input, &*body.bytes) {
        (_, [0x1f, 0x8b, ..]) => BodyEncoding::Gzip,
        (_, [0x28, 0xb5, 0x2f, 0xfd, ..]) => BodyEncoding::Zstd,
        (SeriesInput::RemoteWrite, _) if !is_json => BodyEncoding::Snappy,
        _ => BodyEncoding::Identity,
    };
    let plain = decompress(Cow::Owned(body.bytes), encoding, limits, guard)?.into_owned();
    let is_json = plain.trim_ascii_start().starts_with(b"{");
    let format = match body.input {
        SeriesInput::RemoteWrite if is_json => SeriesFormat::QueryAnswer,
        SeriesInput::RemoteWrite => SeriesFormat::RemoteWrite(RemoteWriteMessage::of_body(&plain)),
        SeriesInput::Otlp if is_json => SeriesFormat::Otlp(OtlpEncoding::Json),
        SeriesInput::Otlp => SeriesFormat::Otlp(OtlpEncoding::Protobuf),
        SeriesInput::Influxdb => SeriesFormat::LineProtocol {
            precision: body.precision,
            bucket: body.bucket,
        },
    };
    Ok((format, plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use delfin_plugin_api::protobuf::ProtobufWriter;

    use super::*;

    fn format(input: SeriesInput, bytes: Vec<u8>) -> SeriesFormat {
        let limits = BodyLimits::default();
        let body = CapturedBody {
            input,
            bytes,
            precision: LinePrecision::default(),
            bucket: String::new(),
        };
        let found = captured_format(body, &limits, &mut ParseGuard::unlimited(&limits));
        found.unwrap().0
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_says_itself_what_it_is() {
        let snappy = |field: u32| {
            let mut message = ProtobufWriter::default();
            message.text(field, "");
            let encoded = snap::raw::Encoder::new().compress_vec(message.as_bytes());
            format(SeriesInput::RemoteWrite, encoded.unwrap())
        };
        let first = SeriesFormat::RemoteWrite(RemoteWriteMessage::WriteRequest);
        assert_eq!(snappy(1), first);
        let second = SeriesFormat::RemoteWrite(RemoteWriteMessage::Request);
        assert_eq!((snappy(4), snappy(5)), (second.clone(), second));
        let answer = format(SeriesInput::RemoteWrite, b" {}".to_vec());
        assert_eq!(answer, SeriesFormat::QueryAnswer);
        let json = SeriesFormat::Otlp(OtlpEncoding::Json);
        assert_eq!(format(SeriesInput::Otlp, gzip(b"{}")), json);
        let protobuf = SeriesFormat::Otlp(OtlpEncoding::Protobuf);
        assert_eq!(format(SeriesInput::Otlp, vec![]), protobuf);
    }
}
