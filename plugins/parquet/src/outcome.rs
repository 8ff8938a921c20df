//! What the responses of S3 mean. No response is about a row.

use delfin_plugin_api::{Failure, http::Response};

/// The failure of a request that has not stored its file; `url` names the bucket in messages.
pub(crate) fn failure(response: &Response, url: &str) -> Failure {
    if response.is_success() {
        return response.foreign(url, "S3");
    }
    let message = response.message(url);
    match (response.status(), code(&response.text())) {
        (400, "RequestTimeout" | "IncompleteBody" | "BadDigest" | "InternalError") | (409, _) => {
            Failure::retry(message)
        }
        (400, "EntityTooLarge") => Failure::TooLarge { message },
        (400, "ExpiredToken" | "InvalidToken") => Failure::Unauthorized { message },
        _ => match response.failure(url) {
            // A file that S3 does not take is one of many: the settings are wrong.
            Failure::Rejected { message } => Failure::Misconfigured { message },
            other => other,
        },
    }
}

/// The code of an error in XML.
fn code(text: &str) -> &str {
    let code = text.split_once("<Code>").map(|(_, rest)| rest);
    code.and_then(|rest| rest.split_once("</Code>"))
        .map_or("", |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found() {
        let text = "<?xml?> <Error><Code>SlowDown</Code><Message>m</Message></Error>";
        assert_eq!(code(text), "SlowDown");
        assert_eq!(code("<Code>"), "");
        assert_eq!(code("busy"), "");
    }
}
