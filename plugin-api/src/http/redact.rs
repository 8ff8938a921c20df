//! URLs without what may be a secret.

/// A URL for logs and messages: without its path and query, which may hold a token.
///
/// ```
/// use delfin_plugin_api::http::redact_url;
///
/// assert_eq!(redact_url("https://example.com:8443/hooks/t0ken"), "https://example.com:8443/…");
/// assert_eq!(redact_url("http://example.com"), "http://example.com");
/// ```
#[must_use]
pub fn redact_url(url: &str) -> String {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[host..].find(['/', '?', '#']);
    match end.map(|end| url.split_at(host + end)) {
        None | Some((_, "/")) => url.trim_end_matches('/').to_owned(),
        Some((shown, _)) => format!("{shown}/…"),
    }
}
