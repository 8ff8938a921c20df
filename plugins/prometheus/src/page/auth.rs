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
