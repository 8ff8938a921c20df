//! Access to the API: named tokens, what each of them allows, and certificates.
//!
//! A token is 256 random bits, and the file `tokens.json` in the state folder, or the database of a cluster, has its SHA-256.
//! A slow hash would only help secrets that can be guessed. Commands change the tokens whether
//! the host runs or not; the host reads them again when they have changed.
//!
//! Knows nothing of HTTP.

mod database;
mod file;
mod place;
mod scope;
mod store;
mod tls;
mod token;
mod version;

pub use database::TokenDatabase;
pub use file::{TokenEntry, TokenFile, TokenFileError};
pub use place::TokenPlace;
pub use scope::AccessScope;
pub use store::TokenStore;
pub use tls::{CertificateFiles, TlsFileError, TlsStore};
