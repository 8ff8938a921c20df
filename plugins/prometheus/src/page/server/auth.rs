//! HTTP basic authentication of scrapes.
//!
//! Promises: the time that a check takes reveals nothing about the password.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::page::config::Login;

pub(super) struct BasicAuth {
    /// The SHA-256 of the encoded credentials. Digests are compared instead of the
    /// credentials because they always have the same length.
    digest: [u8; 32],
}

impl BasicAuth {
    pub(super) fn new(login: &Login) -> Self {
        let Login { username, password } = login;
        let credentials = format!("{username}:{}", password.reveal());
        Self {
            digest: Sha256::digest(BASE64_STANDARD.encode(credentials)).into(),
        }
    }

    pub(super) fn accepts(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(AUTHORIZATION);
        let sent = sent.and_then(|value| value.to_str().ok());
        let Some((scheme, credentials)) = sent.and_then(|sent| sent.split_once(' ')) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(credentials.trim()).into();
        scheme.eq_ignore_ascii_case("basic") && bool::from(digest.ct_eq(&self.digest))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;
    use crate::page::config::PageConfig;

    #[test]
    fn only_the_right_name_and_password_are_accepted() {
        let login = serde_json::json!({ "username": "prom", "password": "s:cret" });
        let config: PageConfig = serde_json::from_value(login).unwrap();
        let auth = BasicAuth::new(&config.login.unwrap());
        let accepts = |value: Option<&str>| {
            let value = value.map(|value| HeaderValue::from_str(value).unwrap());
            auth.accepts(&value.into_iter().map(|v| (AUTHORIZATION, v)).collect())
        };
        let basic = |credentials| format!("Basic {}", BASE64_STANDARD.encode(credentials));
        assert!(accepts(Some(&basic("prom:s:cret"))));
        assert!(accepts(Some(
            &basic("prom:s:cret").replace("Basic", "basic")
        )));
        for wrong in ["prom:s:cre", "prom:", "", "other:s:cret", "prom:s:cret "] {
            assert!(!accepts(Some(&basic(wrong))), "{wrong}");
        }
        assert!(!accepts(Some("Bearer s:cret")));
        assert!(!accepts(None));
    }
}
