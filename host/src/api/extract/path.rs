//! Parameters of a path.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;

use crate::api::error::ApiError;

/// The parameters of a path. A path that is not UTF-8, or whose parameters are
/// not what `T` has, is refused.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Path<T>(pub(in crate::api) T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(values)| Self(values))
            .map_err(|_| ApiError::invalid("a parameter of the path is not valid"))
    }
}
