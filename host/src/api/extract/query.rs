//! Queries: the host's own are strict, those of Delfin's calls lenient.
//!
//! The known parameters are those that the OpenAPI document names, so that no
//! parameter is accepted that is not documented.

use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use serde::{
    Deserializer,
    de::{DeserializeOwned, IntoDeserializer, Visitor, value::MapAccessDeserializer},
    forward_to_deserialize_any,
};
use utoipa::{IntoParams, openapi::path::ParameterIn};

use super::field::{FieldError, NamedValues, list};
use crate::api::error::ApiError;

/// The query of one of the host's own calls. An unknown or repeated parameter is
/// refused: a client that believes it asked for something must not go without it.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Query<T>(pub(in crate::api) T);

/// The query of a call that Delfin has too. As in Delfin, unknown parameters are
/// ignored, and of a repeated one the last value counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct DelfinQuery<T>(pub(in crate::api) T);

/// The parameters of a call that Delfin has too and that one type cannot describe.
#[derive(Clone, Debug)]
pub(in crate::api) struct DelfinParameters(Vec<(String, String)>);

impl DelfinParameters {
    /// The value of a parameter; of a repeated one, the last.
    pub(in crate::api) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter().rev();
        let (_, value) = pairs.find(|(given, _)| given == name)?;
        Some(value)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DelfinParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        pairs(&parts.uri).map(Self)
    }
}

impl<T: DeserializeOwned + IntoParams> Query<T> {
    pub(in crate::api) fn read(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = pairs(uri)?;
        // Most requests have no query, and the list of names is built for every request.
        if !pairs.is_empty() {
            let known = known::<T>();
            for (index, (name, _)) in pairs.iter().enumerate() {
                if !known.contains(name) {
                    return Err(unknown(&known));
                }
                if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                    return Err(ApiError::invalid(format!("parameter `{name}` is repeated")));
                }
            }
        }
        typed(pairs).map(Self)
    }
}

impl<T: DeserializeOwned + IntoParams> DelfinQuery<T> {
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let known = known::<T>();
        let mut pairs = pairs(uri)?;
        pairs.retain(|(name, _)| known.contains(name));
        let repeated_later = |index: usize, name: &str| {
            let mut later = pairs[index + 1..].iter();
            later.any(|(other, _)| other == name)
        };
        let last = pairs
            .iter()
            .enumerate()
            .filter(|(index, (name, _))| !repeated_later(*index, name));
        typed(last.map(|(_, pair)| pair.clone()).collect()).map(Self)
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned + IntoParams,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parts.uri)
    }
}

impl<S, T> FromRequestParts<S> for DelfinQuery<T>
where
    S: Send + Sync,
    T: DeserializeOwned + IntoParams,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(&parts.uri)
    }
}

fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, ApiError> {
    let pairs = axum::extract::Query::try_from_uri(uri);
    pairs.map(|axum::extract::Query(pairs)| pairs).map_err(|_| {
        ApiError::invalid("the query is not valid `application/x-www-form-urlencoded`")
    })
}

fn known<T: IntoParams>() -> Vec<String> {
    let documented = T::into_params(|| Some(ParameterIn::Query)).into_iter();
    documented.map(|parameter| parameter.name).collect()
}

fn unknown(known: &[String]) -> ApiError {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    // The unknown name is not shown: it may be a secret in the wrong place.
    let known = list(&known, ", ");
    ApiError::invalid(format!(
        "the query has an unknown parameter (known: {known})"
    ))
}

fn typed<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, ApiError> {
    let values = pairs.into_iter();
    let values = values.map(|(name, text)| (name, QueryValue(text)));
    T::deserialize(MapAccessDeserializer::new(NamedValues::new(values)))
        .map_err(|error| ApiError::invalid(error.describe("the query")))
}

/// The value of a parameter. A parameter is text, so the wanted type says how it
/// is read.
struct QueryValue(String);

macro_rules! parsed {
    ($($deserialize:ident $visit:ident)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                // The visitor refuses the text, and says what it wants.
                Err(_) => visitor.visit_string(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for QueryValue {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_string(self.0)
    }

    parsed! {
        deserialize_bool visit_bool
        deserialize_u16 visit_u16
        deserialize_u32 visit_u32
        deserialize_u64 visit_u64
        deserialize_i64 visit_i64
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

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
    #[serde(default)]
    struct Page {
        limit: Option<u64>,
        strict: bool,
        name: String,
    }

    fn uri(query: &str) -> Uri {
        format!("/x?{query}").parse().unwrap()
    }

    fn strict(query: &str) -> Result<Page, String> {
        let read = Query::read(&uri(query)).map(|Query(page)| page);
        read.map_err(|error| error.to_string())
    }

    fn lenient(query: &str) -> Page {
        DelfinQuery::read(&uri(query)).unwrap().0
    }

    #[test]
    fn parameters_have_their_types() {
        let page = strict("limit=5&strict=true&name=a%20b").unwrap();
        assert_eq!(
            (page.limit, page.strict, page.name.as_str()),
            (Some(5), true, "a b")
        );
        assert_eq!(strict(""), Ok(Page::default()));
        let check = |query: &str, wanted: &str| {
            let error = strict(query).unwrap_err();
            assert_eq!(error, format!("Invalid input received. {wanted}"));
        };
        check("limit=-1", "`limit` must be a whole number, 0 or more");
        check("limit=", "`limit` must be a whole number, 0 or more");
        check("strict=1", "`strict` must be `true` or `false`");
    }

    #[test]
    fn the_hosts_own_calls_refuse_unknown_and_repeated_parameters() {
        let check = |query: &str, wanted: &str| {
            let error = strict(query).unwrap_err();
            assert_eq!(error, format!("Invalid input received. {wanted}"));
        };
        let known = "the query has an unknown parameter (known: `limit`, `strict`, `name`)";
        check("limit=1&colour=red", known);
        check("name=a&name=a", "parameter `name` is repeated");
    }

    #[test]
    fn delfins_calls_ignore_unknown_parameters_and_use_the_last_of_a_repeated_one() {
        let page = lenient("colour=red&name=a&limit=1&name=b&limit=2");
        assert_eq!((page.limit, page.name.as_str()), (Some(2), "b"));
    }
}
