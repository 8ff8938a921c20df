//! Checks the URLs of receivers.
//!
//! Promises: the text before an `@` is in no message, because it may be a password.

use ureq::http::Uri;

use crate::setting::Mistakes;

const URL: &str = "write `http://` or `https://`, and a host";

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
        mistakes.add(format!("`{key}` cannot hold `{url}` ({URL})"));
    }
    good
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
            let expected =
                format!("`url` cannot hold `{bad}` (write `http://` or `https://`, and a host)");
            assert_eq!(check(bad), Err(expected));
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
