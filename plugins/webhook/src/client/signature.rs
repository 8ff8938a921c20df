//! Signatures, which prove to a receiver who sent a body.
//!
//! The form is that of GitHub's webhooks: `sha256=` and the HMAC in hexadecimal
//! digits. As in Stripe's webhooks the timestamp is signed too, so that a recorded
//! request cannot be sent again later.

use std::fmt::Write;

use delfin_plugin_api::{Failure, setting::Secret};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

pub(crate) struct Signer {
    keyed: Hmac<Sha256>,
}

impl Signer {
    pub(crate) fn new(secret: &Secret) -> Result<Self, Failure> {
        let keyed = Hmac::new_from_slice(secret.reveal().as_bytes());
        Ok(Self {
            keyed: keyed.map_err(Failure::misconfigured)?,
        })
    }

    /// The value of `X-Delfin-Signature`; `timestamp` is the value of
    /// `X-Delfin-Timestamp`, in seconds since the Unix epoch.
    pub(crate) fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.keyed.clone();
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        let mut text = "sha256=".to_owned();
        for byte in mac.finalize().into_bytes() {
            // Writing to a `String` cannot fail.
            write!(text, "{byte:02x}").ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_that_openssl_computes() {
        // printf '1700000000.[]' | openssl dgst -sha256 -hmac hunter2
        let signer = Signer::new(&Secret::new("hunter2")).unwrap();
        assert_eq!(signer.sign("1700000000", b"[]"), SIGNATURE);
    }

    const SIGNATURE: &str =
        "sha256=d46c04d3f5378ae8553dd070cd3b8fff721e88d6284eeb69f91d4c12e42ad67e";
}
