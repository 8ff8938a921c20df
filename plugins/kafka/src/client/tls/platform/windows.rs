//! Windows.

use openssl::{error::ErrorStack, ssl::SslContextBuilder, x509::X509};
use schannel::cert_store::CertStore;

/// The store with the authorities, which librdkafka reads too.
const STORE: &str = "Root";

/// Trusts the authorities of the system. None if it does not show them, as for librdkafka.
pub(in crate::client::tls) fn trust_system(
    context: &mut SslContextBuilder,
) -> Result<(), ErrorStack> {
    let Ok(store) = CertStore::open_current_user(STORE) else {
        return Ok(());
    };
    for authority in store.certs() {
        // One that OpenSSL cannot read is left out.
        if let Ok(authority) = X509::from_der(authority.to_der()) {
            context.cert_store_mut().add_cert(authority)?;
        }
    }
    Ok(())
}
