//! A time in the past, as clients write it.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use utoipa::openapi::{
    ObjectBuilder, OneOfBuilder,
    schema::{KnownFormat, SchemaFormat, Type},
};

use crate::clock::{now_ms, parse_since};

/// A time in the past: how long ago, such as `2h`, or a time in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) struct Since {
    /// In milliseconds since the Unix epoch.
    pub(in crate::api) ms: i64,
}

impl Since {
    /// Its description.
    pub(in crate::api) fn schema() -> OneOfBuilder {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let part = r"[0-9]{1,9} ?(ms|s|m|min|h|hours?|d|days?|w|weeks?)";
        let age = text()
            .description(Some("How long ago."))
            .pattern(Some(format!("^(0|{part}( ?{part})*)$")));
        let time = text()
            .description(Some("A time in RFC 3339."))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let either = OneOfBuilder::new().item(age).item(time);
        either.examples(["2h", "2026-11-27T08:00:00Z"])
    }
}

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(field)?;
        let ms = value.as_str().and_then(|text| parse_since(text, now_ms()));
        ms.map(|ms| Self { ms }).ok_or_else(|| {
            D::Error::custom("must be how long ago, as in `2h`, or a time in RFC 3339")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_how_long_ago_or_a_time() {
        let read = |text: &str| Since::deserialize(Value::from(text)).map(|since| since.ms);
        let two_hours_ago = now_ms() - 7_200_000;
        let ms = read("2h").unwrap();
        assert!((0..60_000).contains(&(ms - two_hours_ago)), "{ms}");
        assert_eq!(read("2023-11-14T22:13:20Z").unwrap(), 1_700_000_000_000);
        read("yesterday").unwrap_err();
    }
}
