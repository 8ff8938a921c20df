//! What a response of the other host means.

use delfin_plugin_api::{Failure, Outcome, http::Response};
use serde::Deserialize;

/// What the other host says about a batch that it has stored.
#[derive(Deserialize)]
struct IngestReceipt {
    batch_id: String,
    complete_for: Option<String>,
}

/// What `/readyz` says.
#[derive(Deserialize)]
struct HostReadiness {
    ready: bool,
}

/// The name in messages.
const PRODUCT: &str = "delfin-host";

/// The outcome for the rows of a request; `url` names the other host in messages.
pub(crate) fn of_response(response: &Response, complete_for: Option<&str>, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    if response.is_cut_off() {
        let message = response.message(url);
        return Err(Failure::retry(format!(
            "{message} (the response is cut off)"
        )));
    }
    match response.json::<IngestReceipt>() {
        Some(receipt) if !receipt.batch_id.is_empty() => {
            if receipt.complete_for.as_deref() == complete_for {
                return Ok(());
            }
            Err(Failure::misconfigured(format!(
                "`{url}` does not confirm that the alerts of a storage are complete (update \
                 delfin-host there)"
            )))
        }
        _ => Err(response.foreign(url, PRODUCT)),
    }
}

/// The outcome of a request to `/readyz`.
pub(crate) fn of_health(response: &Response, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    match response.json() {
        Some(HostReadiness { ready: true }) => Ok(()),
        Some(_) | None => Err(response.foreign(url, PRODUCT)),
    }
}
