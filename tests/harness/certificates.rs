//! Certificates for receivers with TLS, as PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority whose files are in a folder.
pub struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The certificate of the authority.
    pub certificate: PathBuf,
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct IssuedFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    ///
    /// A key cannot be made, or a file cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let mut params = named("authority", vec![]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = must(KeyPair::generate());
        let certificate = must(params.self_signed(&key));
        let file = folder.join("authority.pem");
        must(fs::write(&file, certificate.pem()));
        Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            certificate: file,
        }
    }

    /// A certificate for this name.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    #[must_use]
    pub fn issue(&self, name: &str) -> IssuedFiles {
        let key = must(KeyPair::generate());
        let params = named(name, vec![name.to_owned()]);
        let certificate = must(params.signed_by(&key, &self.issuer));
        let file = |end| self.folder.join(format!("{name}.{end}"));
        let files = IssuedFiles {
            certificate: file("pem"),
            key: file("key"),
        };
        must(fs::write(&files.certificate, certificate.pem()));
        must(fs::write(&files.key, key.serialize_pem()));
        files
    }
}

/// Names of subject and issuer that differ: OpenSSL takes a certificate with one name for both for
/// self-signed.
fn named(name: &str, hosts: Vec<String>) -> CertificateParams {
    let mut params = must(CertificateParams::new(hosts));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("no certificate: {error}"))
}
