//! The text of a token, and its hash.

use std::{fmt::Write, io};

use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Tells scanners for leaked secrets what they have found.
const PREFIX: &str = "delfin_";

const TOKEN_BYTES: usize = 32;

/// Creates a token.
///
/// # Errors
///
/// The system has no random numbers.
pub(super) fn generate() -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    OsRng
        .try_fill_bytes(&mut *bytes)
        .map_err(io::Error::other)?;
    // With room for everything, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + 2 * TOKEN_BYTES));
    text.push_str(PREFIX);
    write_hex(&*bytes, &mut text);
    Ok(text)
}

/// The SHA-256 of a token, in hexadecimal digits.
pub(super) fn hash(token: &str) -> String {
    let mut text = String::new();
    write_hex(&Sha256::digest(token), &mut text);
    text
}

fn write_hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_have_256_bits() {
        let [one, two] = [generate().unwrap(), generate().unwrap()];
        assert_ne!(one, two);
        assert_eq!(one.len(), PREFIX.len() + 64);
    }

    #[test]
    fn the_hash_is_the_one_of_sha256sum() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
