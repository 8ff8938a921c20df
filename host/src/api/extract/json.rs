//! JSON bodies, of requests and of answers.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{body, field::JsonField};
use crate::{
    api::{error::ApiError, state::MaxBodyBytes},
    ingest::{MemoryClaim, MemoryUse, RequestMemory},
};

/// Requests in JSON are short: registrations and selections. Batches have their
/// own extractor.
const MAX_BYTES: u64 = 1 << 20;

/// A JSON body.
///
/// As an argument it is read within the limits of the API. Unknown fields are
/// refused where `T` denies them; of a repeated field the last value counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Json<T>(pub(in crate::api) T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    MaxBodyBytes: FromRef<S>,
    Arc<RequestMemory>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let MaxBodyBytes(max_bytes) = FromRef::from_ref(state);
        let memory: Arc<RequestMemory> = FromRef::from_ref(state);
        let mut claim = memory.claim(MemoryUse::Command);
        let (head, mut content) = request.into_parts();
        let max_bytes = max_bytes.min(MAX_BYTES);
        let bytes = read(&head.headers, &mut content, max_bytes, &mut claim).await?;
        // The parser's own error may show a part of the body.
        let value = serde_json::from_slice(&bytes).map_err(|_| ApiError::MalformedRequestBody {
            detail: "cannot understand JSON".to_owned(),
        })?;
        let typed = T::deserialize(JsonField(value));
        typed
            .map(Self)
            .map_err(|error| ApiError::invalid(error.describe("the body")))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

async fn read(
    headers: &HeaderMap,
    content: &mut Body,
    max_bytes: u64,
    claim: &mut MemoryClaim,
) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::InvalidContentType {
            detail: "it must be `application/json`".to_owned(),
        });
    }
    // A registration has a password in it.
    body::read(content, max_bytes, claim)
        .await
        .map(Zeroizing::new)
}
