//! The settings of a client, from the configuration.
//!
//! Promises: all mistakes are reported at once; a value that may be a secret is not shown.

use serde_json::Value;

use super::{
    Authorization, ClientSettings, OAuth2Settings, Tls, WrittenClientSettings,
    headers::read_headers, proxy::NamedProxy, redact_url,
};
use crate::{
    credentials::warn_of_plain_credentials,
    setting::{Mistakes, Secret},
};

const PROXY: &str = "write `http://host:port`";

impl ClientSettings {
    /// Reads the settings of a client whose header `User-Agent` is `user_agent`.
    ///
    /// `own_headers` are the headers that the exporter sets itself, in lower case: the
    /// configuration must not contain them.
    pub fn read(
        user_agent: &str,
        own_headers: &[&str],
        mut written: WrittenClientSettings,
        mistakes: &mut Mistakes,
    ) -> Self {
        let authorization = Authorization::read(
            written.take("username"),
            written.take("password"),
            written.take("bearer_token"),
            mistakes,
        );
        let oauth2 = written.take("oauth2");
        if authorization.is_some() && oauth2.is_some() {
            mistakes.add(
                "`oauth2` is set together with `username` or `bearer_token` (keep one)".to_owned(),
            );
        }
        let is_authorized = authorization.is_some() || oauth2.is_some();
        let oauth2 = OAuth2Settings::read(oauth2, mistakes);
        let headers = read_headers(
            written.take("headers"),
            own_headers,
            is_authorized,
            mistakes,
        );
        let tls = Tls::read(
            written.take("ca_certificate"),
            written.take("client_certificate"),
            written.take("client_key"),
            mistakes,
        );
        let proxy = mistakes.secret("proxy", written.take("proxy"));
        let is_http = |proxy: &Secret| proxy.reveal().starts_with("http://");
        if proxy.as_ref().is_some_and(|proxy| !is_http(proxy)) {
            mistakes.add(format!("`proxy` does not begin with `http://` ({PROXY})"));
        }
        Self {
            user_agent: user_agent.to_owned(),
            authorization,
            oauth2,
            headers,
            tls,
            proxy,
        }
    }

    /// Reads a setting with credentials for a scheme of the receiver's own. `keep` says which
    /// setting should stay if there are others.
    pub fn read_scheme(
        &mut self,
        [key, scheme]: [&str; 2],
        value: Option<Value>,
        keep: &str,
        mistakes: &mut Mistakes,
    ) {
        let Some(credentials) = mistakes.secret(key, value) else {
            return;
        };
        if self.authorization.is_some() || self.oauth2.is_some() {
            mistakes.add(format!(
                "`{key}` is set together with `username`, `bearer_token` or `oauth2` (keep {keep})"
            ));
        }
        self.authorization = Some(Authorization::Other {
            scheme: scheme.to_owned(),
            credentials,
        });
    }

    /// Whether requests have a header `Authorization` of the settings.
    #[must_use]
    pub fn is_authorized(&self) -> bool {
        let is_authorization =
            |(name, _): &(String, Secret)| name.eq_ignore_ascii_case("authorization");
        self.authorization.is_some()
            || self.oauth2.is_some()
            || self.headers.iter().any(is_authorization)
    }

    /// Logs a warning for each machine to which requests to this URL carry credentials unencrypted: the
    /// receiver, the token server, the proxy.
    pub fn warn_of_plain_credentials(&self, url: &str) {
        if self.is_authorized() {
            self.warn_of_plain_requests(url);
        } else {
            self.warn_of_plain_proxy();
        }
    }

    /// The same for requests that carry credentials in their body or in the URL itself.
    pub fn warn_of_plain_requests(&self, url: &str) {
        warn_of_plain_url(url);
        if let Some(oauth2) = &self.oauth2 {
            warn_of_plain_url(&oauth2.token_url);
        }
        self.warn_of_plain_proxy();
    }

    /// The connection to a proxy is never encrypted.
    pub fn warn_of_plain_proxy(&self) {
        let proxy = self.proxy().ok().flatten();
        if let Some(proxy) = proxy.filter(|proxy| proxy.username().is_some()) {
            let receiver = NamedProxy::new(&proxy).to_string();
            let remedy = "use a proxy that needs no password, or one on this machine";
            warn_of_plain_credentials(&receiver, remedy);
        }
    }
}

fn warn_of_plain_url(url: &str) {
    if url.starts_with("http://") {
        warn_of_plain_credentials(&redact_url(url), "use https");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(mut written: Value) -> Result<ClientSettings, String> {
        let mut mistakes = Mistakes::default();
        let written = WrittenClientSettings::from(written.as_object_mut().unwrap());
        let settings = ClientSettings::read("acme/1", &["x-own"], written, &mut mistakes);
        assert!(!format!("{settings:?}").contains("hunter"));
        let read = mistakes.into_result(settings);
        read.map_err(|error| error.to_string())
    }

    fn headers(headers: Value) -> Result<ClientSettings, String> {
        read(json!({ "headers": headers }))
    }

    #[test]
    fn headers_that_cannot_be_set_are_refused_and_not_shown() {
        let check = |name: &str, value: Value, reason: &str| {
            let mistake = headers(json!({ name: value })).unwrap_err();
            assert!(mistake.contains(reason), "{mistake}");
            assert!(!mistake.contains("hunter"), "{mistake}");
        };
        for name in ["Content-Type", "X-OWN", "host"] {
            check(name, json!("hunter"), "is set by the exporter (remove it)");
        }
        check("a b", json!("hunter"), "is not a valid header name");
        check("", json!("hunter"), "is not a valid header name");
        check("X-A", json!("hunter\r\nHost: y"), "not allowed in a header");
        check("X-A", json!(["hunter"]), "is not text");
        let mistake = headers(json!([7])).unwrap_err();
        assert!(mistake.contains("`headers` is not a table"), "{mistake}");
        let mistake = headers(json!({ "X-A": "1", "x-a": "2" })).unwrap_err();
        assert!(mistake.contains("twice"), "{mistake}");
        let both = read(json!({
            "headers": { "Authorization": "ApiKey hunter" },
            "bearer_token": "hunter",
        }));
        assert!(both.unwrap_err().contains("(keep one)"));
    }

    #[test]
    fn client_credentials_are_the_only_ones() {
        let oauth2 =
            json!({ "token_url": "https://a/t", "client_id": "a", "client_secret": "hunter2" });
        let read = |others: Value| {
            let mut written = others;
            written["oauth2"] = oauth2.clone();
            read(written)
        };
        assert!(read(json!({})).unwrap().is_authorized());
        for others in [
            json!({ "bearer_token": "hunter3" }),
            json!({ "username": "u", "password": "hunter3" }),
            json!({ "headers": { "authorization": "ApiKey hunter3" } }),
        ] {
            let mistake = read(others).unwrap_err();
            assert!(mistake.ends_with("(keep one)"), "{mistake}");
        }
    }

    #[test]
    fn a_proxy_is_an_http_url_and_not_shown() {
        let proxy = |url: &str| read(json!({ "proxy": url }));
        assert!(proxy("http://hunter:hunter@proxy:3128").is_ok());
        let mistake = proxy("https://hunter@proxy").unwrap_err();
        let text = "`proxy` does not begin with `http://` (write `http://host:port`)";
        assert_eq!(mistake, text);
    }
}
