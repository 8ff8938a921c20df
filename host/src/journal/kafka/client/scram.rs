//! The client of SCRAM (RFC 5802, RFC 7677), without channel binding, which Kafka does not have.
//!
//! As in Kafka's own clients, user and password are used as they are written, without SASLprep.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac, pbkdf2};

/// No channel binding: `n,,` in base64.
const NO_BINDING: &str = "c=biws";

/// Fewer iterations than RFC 7677 wants would give the password away to who listens.
const MIN_ITERATIONS: u32 = 4096;
/// More would keep a processor busy before the broker has proved anything. Kafka stores at most 16,384.
const MAX_ITERATIONS: u32 = 65_536;

/// A hash function of SCRAM.
#[derive(Clone, Copy)]
pub(super) struct ScramHash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

/// An exchange of messages that logs in.
pub(super) struct ScramExchange<'a> {
    hash: ScramHash,
    password: &'a str,
    nonce: String,
    /// The first message, without its header.
    first: String,
}

/// What the last message of the server must prove.
pub(super) struct ScramProof {
    server_key: hmac::Key,
    messages: String,
}

impl ScramHash {
    pub(super) fn sha_256() -> Self {
        Self {
            digest: &digest::SHA256,
            hmac: hmac::HMAC_SHA256,
            pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256,
        }
    }

    pub(super) fn sha_512() -> Self {
        Self {
            digest: &digest::SHA512,
            hmac: hmac::HMAC_SHA512,
            pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

impl<'a> ScramExchange<'a> {
    /// `nonce` is random printable text, and was never used before.
    pub(super) fn new(hash: ScramHash, username: &str, password: &'a str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            password,
            first: format!("n={name},r={nonce}"),
            nonce,
        }
    }

    pub(super) fn first_message(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// The last message to the server, for its first one.
    ///
    /// # Errors
    ///
    /// What is wrong with the message of the server.
    pub(super) fn last_message(&self, server: &str) -> Result<(String, ScramProof), &'static str> {
        let mut fields = server.split(',');
        let mut field = |prefix| fields.next().and_then(|field| field.strip_prefix(prefix));
        let nonce = field("r=").ok_or("it has no nonce")?;
        let is_ours = nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce);
        if !is_ours {
            return Err("its nonce is not an answer to that of the host");
        }
        let salt = field("s=").and_then(|salt| BASE64_STANDARD.decode(salt).ok());
        let salt = salt.ok_or("it has no salt")?;
        let iterations = field("i=").and_then(|number| number.parse().ok());
        let iterations = iterations
            .filter(|number| (MIN_ITERATIONS..=MAX_ITERATIONS).contains(number))
            .and_then(std::num::NonZeroU32::new)
            .ok_or("its number of iterations is not from 4096 to 65536")?;

        let mut salted = vec![0; self.hash.digest.output_len()];
        let password = self.password.as_bytes();
        pbkdf2::derive(self.hash.pbkdf2, iterations, &salt, password, &mut salted);
        let salted = hmac::Key::new(self.hash.hmac, &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest, client_key.as_ref());
        let unproved = format!("{NO_BINDING},r={nonce}");
        let messages = format!("{},{server},{unproved}", self.first);
        let stored_key = hmac::Key::new(self.hash.hmac, stored_key.as_ref());
        let signature = hmac::sign(&stored_key, messages.as_bytes());
        let key_and_signature = client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = key_and_signature.map(|(key, sign)| key ^ sign).collect();
        let server_key = hmac::sign(&salted, b"Server Key");
        let expected = ScramProof {
            server_key: hmac::Key::new(self.hash.hmac, server_key.as_ref()),
            messages,
        };
        let proof = BASE64_STANDARD.encode(proof);
        Ok((format!("{unproved},p={proof}"), expected))
    }
}

impl ScramProof {
    /// Whether the last message of the server proves that it knows the password too.
    pub(super) fn is_given_by(&self, server: &str) -> bool {
        let signature = server
            .strip_prefix("v=")
            .and_then(|signature| BASE64_STANDARD.decode(signature).ok());
        signature.is_some_and(|signature| {
            hmac::verify(&self.server_key, self.messages.as_bytes(), &signature).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn exchange(password: &str) -> ScramExchange<'_> {
        ScramExchange::new(ScramHash::sha_256(), "user", password, NONCE.to_owned())
    }

    #[test]
    fn the_example_of_rfc_7677_is_followed() {
        let exchange = exchange("pencil");
        assert_eq!(exchange.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, proof) = exchange.last_message(SERVER).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proof.is_given_by("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for wrong in [
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=",
            "v=",
            "",
            "e=invalid-proof",
        ] {
            assert!(!proof.is_given_by(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_server_that_does_not_follow_the_protocol_is_refused() {
        let exchange = exchange("pencil");
        for (wrong, reason) in [
            ("", "it has no nonce"),
            ("r=other,s=W22Z,i=4096", "its nonce"),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", "its nonce"),
            ("r=rOprNGfwEbeRWgbNEkqOx,i=4096", "it has no salt"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=?,i=4096", "it has no salt"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=1", "its number"),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4294967295", "its number"),
        ] {
            let found = exchange.last_message(wrong).err().unwrap_or_default();
            assert!(found.starts_with(reason), "{wrong}: {found}");
        }
    }

    #[test]
    fn signs_of_the_protocol_in_a_name_are_escaped() {
        let exchange = ScramExchange::new(ScramHash::sha_512(), "a=b,c", "", "x".to_owned());
        assert_eq!(exchange.first_message(), "n,,n=a=3Db=2Cc,r=x");
    }
}
