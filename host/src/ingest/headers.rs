//! The headers that describe a body: `Content-Type` and `Content-Encoding`.

use super::IngestError;

/// Format of a body after decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// Delfin's JSON: one array of items, or one item per line.
    Json,
    /// Arrow IPC stream.
    ArrowStream,
}

/// Compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// A block of Snappy, without frames, as remote write sends it.
    Snappy,
}

impl BodyFormat {
    /// Reads the value of `Content-Type`.
    ///
    /// # Errors
    ///
    /// The type is missing or not supported, or the charset is not UTF-8.
    pub fn from_content_type(value: Option<&str>) -> Result<Self, IngestError> {
        let found = value.unwrap_or_default().trim();
        let mut parts = found.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let format = match name.as_str() {
            "application/json" | "application/x-ndjson" => Some(Self::Json),
            "application/vnd.apache.arrow.stream" => Some(Self::ArrowStream),
            _ => None,
        };
        format
            .filter(|_| parts.all(is_harmless))
            .ok_or_else(|| IngestError::UnsupportedMediaType {
                found: super::rules::excerpt(found),
            })
    }
}

impl BodyEncoding {
    /// Reads the value of `Content-Encoding`. A body without it is not compressed.
    ///
    /// # Errors
    ///
    /// The encoding is not supported, or there are several.
    pub fn from_content_encoding(value: Option<&str>) -> Result<Self, IngestError> {
        let found = value.unwrap_or_default().trim();
        match found.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(IngestError::UnsupportedEncoding {
                found: super::rules::excerpt(found),
            }),
        }
    }
}

/// Whether the body is read in the same way without this parameter.
fn is_harmless(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim().trim_matches('"').to_ascii_lowercase();
    !name.trim().eq_ignore_ascii_case("charset")
        || matches!(value.as_str(), "utf-8" | "utf8" | "us-ascii")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_and_harmless_parameters_of_a_content_type_are_ignored() {
        for value in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; profile=x",
            "application/x-ndjson",
        ] {
            assert_eq!(
                BodyFormat::from_content_type(Some(value)).unwrap(),
                BodyFormat::Json
            );
        }
        let arrow = "application/vnd.apache.arrow.stream";
        assert_eq!(
            BodyFormat::from_content_type(Some(arrow)).unwrap(),
            BodyFormat::ArrowStream
        );
    }

    #[test]
    fn an_unsupported_content_type_is_refused_with_what_is_accepted() {
        for value in ["text/plain", "", "application/json; charset=latin1"] {
            let error = BodyFormat::from_content_type(Some(value)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "content type `{value}` is not accepted (send `application/json`, \
                     `application/x-ndjson` or `application/vnd.apache.arrow.stream`)"
                )
            );
        }
        assert!(BodyFormat::from_content_type(None).is_err());
    }

    #[test]
    fn an_unsupported_encoding_is_refused_with_what_is_accepted() {
        assert_eq!(
            BodyEncoding::from_content_encoding(None).unwrap(),
            BodyEncoding::Identity
        );
        assert_eq!(
            BodyEncoding::from_content_encoding(Some("GZip")).unwrap(),
            BodyEncoding::Gzip
        );
        assert_eq!(
            BodyEncoding::from_content_encoding(Some("zstd")).unwrap(),
            BodyEncoding::Zstd
        );
        for value in ["br", "gzip, zstd"] {
            let error = BodyEncoding::from_content_encoding(Some(value)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "content encoding `{value}` is not accepted (send `gzip`, `zstd` or `identity`)"
                )
            );
        }
    }
}
