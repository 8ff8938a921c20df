//! Unix.

use openssl::{error::ErrorStack, ssl::SslContextBuilder};

/// Trusts the authorities of the system, which OpenSSL finds.
pub(in crate::client::tls) fn trust_system(
    context: &mut SslContextBuilder,
) -> Result<(), ErrorStack> {
    context.set_default_verify_paths()
}
