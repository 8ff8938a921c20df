//! The certificate of the page.

use std::{fmt::Display, path::Path, sync::Arc};

use rustls::{
    Error,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsAcceptor;

use crate::page::{config::TlsFiles, outcome::ServerError};

/// Reads the PEM files and checks that they belong together.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    let unusable = |reason: &dyn Display, path: &Path| ServerError::Tls {
        reason: format!("`{}`: {reason}", path.display()),
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>)
        .map_err(|error| unusable(&pem_reason(&error, "certificate"), &files.certificate))?;
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate", &files.certificate));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&pem_reason(&error, "key"), &files.key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(certificates, key)
        });
    let config = config.map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            let reason = "it is not the key of `tls_certificate` (name the files of one pair)";
            unusable(&reason, &files.key)
        }
        Error::InvalidCertificate(_) => {
            unusable(&"it holds a damaged certificate", &files.certificate)
        }
        _ => unusable(
            &"its key cannot be used (use RSA, ECDSA or Ed25519)",
            &files.key,
        ),
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The text of the other errors quotes lines of the file as numbers.
fn pem_reason(error: &pem::Error, content: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        _ => format!("it holds no {content} in the form PEM"),
    }
}
