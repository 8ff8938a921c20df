//! Checks the URLs of receivers.
//!
//! Promises: the text before an `@` is in no message, because it may be a password, and
//! neither is the path or the query, because some services put a token into them.

use serde_json::Value;
use ureq::http::Uri;

use super::redact_url;
use crate::{setting::Mistakes, text::percent_encoded};

const URL: &str = "write `http://` or `https://`, and a host";

/// The URL of a receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiverUrl {
    /// The URL. Its path and query may be a secret.
    pub url: String,
    /// The URL without its path and query, for logs and messages.
    pub redacted: String,
}

impl ReceiverUrl {
    /// Reads the setting `url`, which is required. `remedy` says what to write. With a mistake
    /// the result is empty.
    pub fn read(value: Option<Value>, remedy: &str, mistakes: &mut Mistakes) -> Self {
        if value.is_none() {
            mistakes.missing("url", remedy);
        }
        let text = |value: &Value| Some(value.as_str()?.to_owned()).filter(|url| !url.is_empty());
        let Some(url) = mistakes.read("url", value, text, remedy) else {
            return Self::default();
        };
        let redacted = check_url("url", &url, mistakes).map(|_| redact_url(&url));
        Self {
            redacted: redacted.unwrap_or_default(),
            url,
        }
    }

    /// Reads the setting `url` as [`read`](Self::read) does. The URL is the base of others, so it
    /// has no query; a slash at its end is removed.
    pub fn read_base(value: Option<Value>, remedy: &str, mistakes: &mut Mistakes) -> Self {
        let mut read = Self::read(value, remedy, mistakes);
        if read.url.contains('?') {
            let shown = &read.redacted;
            mistakes.add(format!(
                "`url` cannot hold `{shown}` with a query ({remedy})"
            ));
        }
        let base = read.url.trim_end_matches('/').len();
        read.url.truncate(base);
        read
    }
}

/// Parses a URL, or adds why it is not one to send to.
///
/// The URL may have a path and a query. Credentials in it are a mistake: they have
/// settings of their own, and messages show the URL.
pub fn check_url(key: &str, url: &str, mistakes: &mut Mistakes) -> Option<Uri> {
    let uri = url.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    // A text that is no URL may hold credentials as well.
    if authority
        .map_or(url, |authority| authority.as_str())
        .contains('@')
    {
        mistakes.add(format!(
            "`{key}` has a name or a password before the host (use `username` and `password`)"
        ));
        return None;
    }
    let good = uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if good.is_none() {
        let url = redact_url(url);
        mistakes.add(format!("`{key}` cannot hold `{url}` ({URL})"));
    }
    good
}

/// A text as the value of a query: every character but `A` to `Z`, `a` to `z`, `0` to `9`,
/// `-`, `.`, `_` and `~` is percent-encoded.
///
/// ```
/// use delfin_plugin_api::http::query_value;
///
/// assert_eq!(query_value("my db/7"), "my%20db%2F7");
/// ```
#[must_use]
pub fn query_value(text: &str) -> String {
    percent_encoded(text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> Result<(), String> {
        let mut mistakes = Mistakes::default();
        check_url("url", url, &mut mistakes);
        mistakes.into_result(()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for good in ["http://a", "https://a:8190/v1/x?y=z", "http://[::1]:1/"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "a:80", "ftp://a", "http://", "http://a b", "/x"] {
            let shown = redact_url(bad);
            let expected =
                format!("`url` cannot hold `{shown}` (write `http://` or `https://`, and a host)");
            assert_eq!(check(bad), Err(expected));
        }
    }

    #[test]
    fn path_and_query_are_not_shown() {
        for url in [
            "htps://a/s3cret",
            "a/s3cret",
            "ftp://a?s3cret",
            "http://a b/x?y#s3cret",
        ] {
            let mistake = check(url).unwrap_err();
            assert!(
                mistake.contains("/…` (") && !mistake.contains("s3cret"),
                "{mistake}"
            );
        }
    }

    #[test]
    fn credentials_are_refused_and_not_shown() {
        for url in ["https://hunter1:hunter2@a/", "hunter1:hunter2@a b"] {
            let mistake = check(url).unwrap_err();
            assert!(mistake.contains("(use `username`"), "{mistake}");
            assert!(!mistake.contains("hunter"), "{mistake}");
        }
    }
}
