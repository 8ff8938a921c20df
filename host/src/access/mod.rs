//! Access to the API: named tokens, and what each of them allows.
//!
//! A token is 256 random bits, and the file `tokens.json` in the state folder has its SHA-256.
//! A slow hash would only help secrets that can be guessed. Commands change the file whether
//! the host runs or not; the host reads it again when it has changed.
//!
//! Knows nothing of HTTP.

mod file;
mod scope;
mod store;
mod token;

pub use file::{TokenEntry, TokenFile, TokenFileError};
pub use scope::Scope;
pub use store::TokenStore;
