//! Who may see the page.
//!
//! Promises: how long a refusal takes tells nothing of the password.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::config::Login;

/// Lets in who knows the name and the password.
pub(crate) struct Guard {
    /// Of the credentials as they are sent: it is compared instead of them, so
    /// that their length does not matter either.
    digest: [u8; 32],
}

impl Guard {
    pub(crate) fn new(login: &Login) -> Self {
        let Login { username, password } = login;
        let credentials = format!("{username}:{}", password.reveal());
        Self {
            digest: Sha256::digest(BASE64_STANDARD.encode(credentials)).into(),
        }
    }

    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
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

    #[test]
    fn only_the_right_name_and_password_are_admitted() {
        let login = serde_json::json!({ "username": "prom", "password": "s:cret" });
        let config: super::super::config::Config = serde_json::from_value(login).unwrap();
        let guard = Guard::new(&config.login.unwrap());
        let admits = |value: Option<&str>| {
            let value = value.map(|value| HeaderValue::from_str(value).unwrap());
            guard.admits(&value.into_iter().map(|v| (AUTHORIZATION, v)).collect())
        };
        let basic = |credentials| format!("Basic {}", BASE64_STANDARD.encode(credentials));
        assert!(admits(Some(&basic("prom:s:cret"))));
        assert!(admits(Some(
            &basic("prom:s:cret").replace("Basic", "basic")
        )));
        for wrong in ["prom:s:cre", "prom:", "", "other:s:cret", "prom:s:cret "] {
            assert!(!admits(Some(&basic(wrong))), "{wrong}");
        }
        assert!(!admits(Some("Bearer s:cret")));
        assert!(!admits(None));
    }
}
