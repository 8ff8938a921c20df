//! What responses mean.

use delfin_plugin_api::{Failure, Outcome, http::Response};
use serde::Deserialize;
use serde_json::Value;

/// The name in messages.
const PRODUCT: &str = "Icinga";

/// The answer to an action or to the creation of an object.
#[derive(Deserialize)]
struct ActionAnswer {
    results: Vec<ActionResult>,
}

#[derive(Deserialize)]
struct ActionResult {
    code: f64,
    #[serde(default)]
    errors: Vec<String>,
}

/// What became of a result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResultAnswer {
    Processed,
    NoService,
}

/// The answer to a check result; `url` names the API in messages.
pub(crate) fn of_result(response: &Response, url: &str) -> Result<ResultAnswer, Failure> {
    let status = response.status();
    if status == 404 && is_about_objects(response) {
        return Ok(ResultAnswer::NoService);
    }
    // The user may send results for some services only.
    if !response.is_success() {
        return Err(response.failure(url));
    }
    match answer(response) {
        Some(results) if results.is_empty() => Ok(ResultAnswer::NoService),
        Some(results) if results.iter().all(is_success) => Ok(ResultAnswer::Processed),
        Some(_) => Err(Failure::retry(response.message(url))),
        None => Err(response.foreign(url, PRODUCT)),
    }
}

/// The answer to the creation of a host or a service. One that exists already is right.
pub(crate) fn of_creation(response: &Response, url: &str) -> Outcome {
    let exists = |result: &ActionResult| {
        let mut errors = result.errors.iter();
        errors.any(|error| error.contains("already exists"))
    };
    match answer(response) {
        Some(results)
            if results
                .iter()
                .all(|result| is_success(result) || exists(result)) =>
        {
            Ok(())
        }
        None if response.is_success() => Err(response.foreign(url, PRODUCT)),
        // Without a permission, Icinga knows no such path.
        None if response.status() != 404 => Err(response.failure(url)),
        // For an object that its rules do not allow, it answers 500.
        Some(_) | None => Err(Failure::misconfigured(format!(
            "{} (correct `host` and `service`, allow `objects/create/Host` and \
             `objects/create/Service`, or create the objects and set `create = false`)",
            response.message(url)
        ))),
    }
}

/// The answer to a question for the API itself: the user, and the version of Icinga.
pub(crate) fn of_status(response: &Response, url: &str) -> Outcome {
    if !response.is_success() {
        return Err(response.failure(url));
    }
    let body: Value = response.json().unwrap_or_default();
    let status = &body["results"][0];
    if status["user"].is_string() && status["version"].is_string() {
        return Ok(());
    }
    Err(response.foreign(url, PRODUCT))
}

/// The service was created, or exists already, and there are no objects for its result.
pub(crate) fn not_found_yet(url: &str, [host, service]: &[String; 2]) -> Failure {
    Failure::retry(format!(
        "`{url}` does not find the service `{service}` of the host `{host}`, which was created (check \
         that the permissions of the user cover it)"
    ))
}

/// Why a row becomes a dead letter.
pub(crate) fn no_service(url: &str, [host, service]: &[String; 2]) -> String {
    format!(
        "`{url}` has no service `{service}` of the host `{host}` (create it, or set `create = true`)"
    )
}

/// `{"error":404,"status":"No objects found."}`, and not that the URL is unknown.
fn is_about_objects(response: &Response) -> bool {
    response.text().contains("No objects found")
}

fn answer(response: &Response) -> Option<Vec<ActionResult>> {
    let answer: ActionAnswer = response.json()?;
    Some(answer.results)
}

fn is_success(result: &ActionResult) -> bool {
    (200.0..300.0).contains(&result.code)
}
