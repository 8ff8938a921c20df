//! What a sender says its body is: `Content-Type` and `Content-Encoding`.

use super::IngestError;

pub(super) const ACCEPTED_TYPES: &str =
    "`application/json`, `application/x-ndjson` or `application/vnd.apache.arrow.stream`";
pub(super) const ACCEPTED_ENCODINGS: &str = "`gzip`, `zstd` or `identity`";

/// What a body is once it is decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delfin's JSON: one array of items, or one item a line.
    Json,
    /// An Arrow IPC stream.
    ArrowStream,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Format {
    /// Reads the value of `Content-Type`.
    ///
    /// # Errors
    ///
    /// Another type, another charset than UTF-8, or none at all.
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
            .filter(|_| parts.all(may_stand))
            .ok_or_else(|| IngestError::UnsupportedMediaType {
                found: super::rules::excerpt(found),
            })
    }
}

impl Encoding {
    /// Reads the value of `Content-Encoding`; a body without one is plain.
    ///
    /// # Errors
    ///
    /// Another encoding, or several on top of each other.
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

/// Whether a parameter of a content type leaves the body as it is read here.
fn may_stand(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value.trim().trim_matches('"').to_ascii_lowercase();
    !name.trim().eq_ignore_ascii_case("charset")
        || matches!(value.as_str(), "utf-8" | "utf8" | "us-ascii")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_json_whatever_its_case_and_its_harmless_parameters() {
        for value in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; profile=x",
            "application/x-ndjson",
        ] {
            assert_eq!(
                Format::from_content_type(Some(value)).unwrap(),
                Format::Json
            );
        }
        let arrow = "application/vnd.apache.arrow.stream";
        assert_eq!(
            Format::from_content_type(Some(arrow)).unwrap(),
            Format::ArrowStream
        );
    }

    #[test]
    fn another_content_type_is_refused_with_what_is_accepted() {
        for value in ["text/plain", "", "application/json; charset=latin1"] {
            let error = Format::from_content_type(Some(value)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "content type `{value}` is not accepted (send `application/json`, \
                     `application/x-ndjson` or `application/vnd.apache.arrow.stream`)"
                )
            );
        }
        assert!(Format::from_content_type(None).is_err());
    }

    #[test]
    fn another_encoding_is_refused_with_what_is_accepted() {
        assert_eq!(
            Encoding::from_content_encoding(None).unwrap(),
            Encoding::Identity
        );
        assert_eq!(
            Encoding::from_content_encoding(Some("GZip")).unwrap(),
            Encoding::Gzip
        );
        assert_eq!(
            Encoding::from_content_encoding(Some("zstd")).unwrap(),
            Encoding::Zstd
        );
        for value in ["br", "gzip, zstd"] {
            let error = Encoding::from_content_encoding(Some(value)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "content encoding `{value}` is not accepted (send `gzip`, `zstd` or `identity`)"
                )
            );
        }
    }
}
