//! Access to the API: named tokens, what each of them allows, and certificates.
//!
//! A token is 256 random bits, and the file `tokens.json` in the state folder has its SHA-256.
//! A slow hash would only help secrets that can be guessed. Commands change the file whether
//! the host runs or not; the host reads it again when it has changed.
//!
//! Knows nothing of HTTP.

mod file;
mod scope;
mod store;
mod tls;
mod token;
mod version;

pub use file::{TokenEntry, TokenFile, TokenFileError};
pub use scope::AccessScope;
pub use store::TokenStore;
pub use tls::{CertificateFiles, TlsFileError, TlsStore};
