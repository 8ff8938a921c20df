//! Fields of a request: why a field is invalid, and how JSON becomes typed fields.
//!
//! The errors of serde and serde_json show the value that was sent, which may be a password.
//! [`FieldError`] names the field by its path and what the field must be, and
//! nothing that was sent.

use std::fmt::Display;

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, Error, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor,
        value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

/// Why a field of a request is invalid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    /// Path of the field, such as `rest.port`; empty for the request as a whole.
    path: String,
    reason: String,
}

impl FieldError {
    /// The error as a sentence. `whole` names what holds the fields.
    pub(super) fn describe(&self, whole: &str) -> String {
        let Self { path, reason } = self;
        if path.is_empty() {
            format!("{whole} {reason}")
        } else {
            format!("`{path}` {reason}")
        }
    }

    /// The same error, seen from the object that holds the field `name`.
    pub(super) fn within(mut self, name: &str) -> Self {
        self.path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{name}.{}", self.path)
        };
        self
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe("the request"))
    }
}

impl std::error::Error for FieldError {}

impl Error for FieldError {
    fn custom<T: Display>(reason: T) -> Self {
        Self {
            path: String::new(),
            reason: reason.to_string(),
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("must be {}", in_words(&expected.to_string())))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::custom(format!("must be {}", in_words(&expected.to_string())))
    }

    fn unknown_variant(_: &str, variants: &'static [&'static str]) -> Self {
        Self::custom(format!("must be {}", list(variants, " or ")))
    }

    // The unknown name is not shown: it may be a secret in the wrong place.
    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::custom(format!(
            "has an unknown field (known: {})",
            list(known, ", ")
        ))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::custom("is required").within(name)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::custom("is repeated").within(name)
    }
}

/// Names in backquotes, with `separator` between them.
pub(super) fn list(names: &[&str], separator: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(separator)
}

/// What serde expects, in words that a client of the API knows.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// A JSON value on its way into a typed field.
///
/// Unlike serde's own deserializer of [`Value`], it puts the name of the field in
/// front of an error, and takes `null` for a value: a field that is not wanted is
/// left out.
pub(super) struct JsonField(pub(super) Value);

impl<'de> Deserializer<'de> for JsonField {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(flag),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, Some(number)) => visitor.visit_f64(number),
                (None, None, None) => {
                    Err(FieldError::invalid_type(Unexpected::Other(""), &visitor))
                }
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let items = items.into_iter().map(JsonField);
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            Value::Object(fields) => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, value)| (name, JsonField(value)));
                visitor.visit_map(NamedValues::new(fields))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    // A derived visitor takes an array for the fields in their order.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        if self.0.is_array() {
            return Err(FieldError::custom("must be an object"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(FieldError::unknown_variant("", variants)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, FieldError> for JsonField {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Named values on their way into the fields of a struct. An error in a value gets
/// the name of the field.
pub(super) struct NamedValues<I, V> {
    pairs: I,
    /// The field whose name was read and whose value was not.
    current: Option<(String, V)>,
}

impl<I, V> NamedValues<I, V> {
    pub(super) fn new(pairs: I) -> Self {
        Self {
            pairs,
            current: None,
        }
    }
}

impl<'de, I, V> MapAccess<'de> for NamedValues<I, V>
where
    I: Iterator<Item = (String, V)>,
    V: Deserializer<'de, Error = FieldError>,
{
    type Error = FieldError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, FieldError> {
        let Some((name, value)) = self.pairs.next() else {
            return Ok(None);
        };
        let key = seed.deserialize(name.as_str().into_deserializer())?;
        self.current = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, FieldError> {
        let current = self.current.take();
        let (name, value) = current.ok_or_else(|| FieldError::custom("has no value"))?;
        seed.deserialize(value).map_err(|error| error.within(&name))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        count: Option<u64>,
        names: Vec<String>,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only errors are looked at")]
    struct Inner {
        level: Level,
        on: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Low,
        High,
    }

    fn error(body: Value) -> String {
        let error = Outer::deserialize(JsonField(body)).unwrap_err();
        error.describe("the body")
    }

    #[test]
    fn an_error_names_the_field_and_what_it_must_be() {
        let check = |body, wanted: &str| assert_eq!(error(body), wanted);
        check(json!([]), "the body must be an object");
        check(
            json!({"count": "a"}),
            "`count` must be a whole number, 0 or more",
        );
        check(
            json!({"count": -1}),
            "`count` must be a whole number, 0 or more",
        );
        check(
            json!({"count": null}),
            "`count` must be a whole number, 0 or more",
        );
        check(json!({"names": "a"}), "`names` must be an array");
        check(json!({"names": [1]}), "`names` must be a string");
        check(json!({"inner": {"on": true}}), "`inner.level` is required");
        check(
            json!({"inner": {"on": 1}}),
            "`inner.on` must be `true` or `false`",
        );
        check(
            json!({"inner": {"level": "x"}}),
            "`inner.level` must be `low` or `high`",
        );
        check(
            json!({"inner": {"level": 1}}),
            "`inner.level` must be `low` or `high`",
        );
        check(
            json!({"inner": {"level": "low", "on": true, "x": 1}}),
            "`inner` has an unknown field (known: `level`, `on`)",
        );
        check(
            json!({"x": 1}),
            "the body has an unknown field (known: `count`, `names`, `inner`)",
        );
    }

    #[test]
    fn an_error_never_shows_what_was_sent() {
        for body in [
            json!("hunter2"),
            json!({"hunter2": 1}),
            json!({"count": "hunter2"}),
            json!({"names": {"hunter2": "hunter2"}}),
            json!({"inner": {"level": "hunter2"}}),
            json!({"inner": {"hunter2": "hunter2"}}),
        ] {
            let error = error(body);
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn fields_that_are_left_out_have_their_default() {
        let outer = Outer::deserialize(JsonField(json!({"names": ["a"]}))).unwrap();
        assert_eq!((outer.count, outer.names), (None, vec!["a".to_owned()]));
    }
}
