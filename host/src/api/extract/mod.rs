//! What handlers take from a request: within the limits of the API, and with
//! errors in its format.
//!
//! | Extractor | Takes | Unknown names | Repeated names |
//! |-----------|-------|---------------|----------------|
//! | [`Json`] | the body | refused | the last value counts |
//! | [`Query`] | the query | refused | refused |
//! | [`DelfinQuery`] | the query of a call that Delfin has | ignored | the last value counts |
//! | [`DelfinParameters`] | the same, without a type | ignored | the last value counts |
//! | [`Path`] | parameters of the path | | |
//!
//! The lenient rules are those of Delfin, whose clients rely on them. An error
//! names the field and what it must be. It never shows a value that was sent.

pub(super) mod body;
mod field;
mod json;
mod path;
mod query;
mod since;

pub(super) use json::Json;
pub(super) use path::Path;
pub(super) use query::{DelfinParameters, DelfinQuery, Query};
pub(super) use since::Since;
