//! Signatures, by which a receiver knows who has sent what it got.
//!
//! The form is that of GitHub's webhooks, `sha256=` and hexadecimal digits of an
//! HMAC; that the time is signed as well, so that what was overheard cannot be
//! sent again later, is from Stripe's.

use std::fmt::Write;

use delfin_plugin_api::{Failure, setting::Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Who signs.
pub(crate) struct Signer {
    keyed: Hmac<Sha256>,
}

impl Signer {
    /// One who knows that secret.
    pub(crate) fn new(secret: &Secret) -> Result<Self, Failure> {
        let keyed = Hmac::new_from_slice(secret.reveal().as_bytes());
        Ok(Self {
            keyed: keyed.map_err(Failure::misconfigured)?,
        })
    }

    /// The header's value for a body that is sent at that time, in seconds since
    /// the epoch.
    pub(crate) fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.keyed.clone();
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        let mut text = "sha256=".to_owned();
        for byte in mac.finalize().into_bytes() {
            // Only a writer can fail, and a text does not.
            write!(text, "{byte:02x}").ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_openssl_makes_of_the_time_a_point_and_the_body() {
        // printf '1700000000.[]' | openssl dgst -sha256 -hmac hunter2
        let signer = Signer::new(&Secret::new("hunter2")).unwrap();
        assert_eq!(signer.sign("1700000000", b"[]"), SIGNATURE);
    }

    const SIGNATURE: &str =
        "sha256=d46c04d3f5378ae8553dd070cd3b8fff721e88d6284eeb69f91d4c12e42ad67e";
}
