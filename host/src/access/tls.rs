//! The certificate that a server shows, and the authority of its clients.
//!
//! The files are read again when one of them has changed. Files that do not fit are reported, and
//! new connections go on with the certificate before.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    Error, RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::version::FileVersion;
use crate::regular_file;

/// The PEM files of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The table of the configuration that names them.
    pub section: &'static str,
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
    /// The authorities of client certificates. With it, each client needs one.
    pub client_ca: Option<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{section}.{setting}` `{}`: {reason}", path.display())]
pub struct TlsFileError {
    section: &'static str,
    setting: &'static str,
    path: PathBuf,
    /// The reason, and the remedy in brackets. It quotes nothing of the file.
    reason: String,
}

/// The settings of TLS, as the files have them now.
#[derive(Debug)]
pub struct TlsStore {
    files: CertificateFiles,
    known: Mutex<KnownFiles>,
}

#[derive(Debug)]
struct KnownFiles {
    versions: Vec<Option<FileVersion>>,
    config: Arc<ServerConfig>,
}

impl CertificateFiles {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or does not fit.
    pub fn load(&self) -> Result<ServerConfig, TlsFileError> {
        let failed = |error: Error| self.failed("certificate", &self.certificate, &error);
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let unusable = |reason: &dyn Display| self.failed("client_ca", path, reason);
                let mut roots = RootCertStore::empty();
                for certificate in self.certificates("client_ca", path)? {
                    let added = roots.add(certificate);
                    added.map_err(|_| unusable(&"it holds a damaged certificate"))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| unusable(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = self.certificates("certificate", &self.certificate)?;
        let unusable = |reason: &dyn Display| self.failed("key", &self.key, reason);
        let pem = regular_file::read(&self.key).map_err(|error| unusable(&error))?;
        // The parser's error is not shown: it may quote the key.
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable(&"it holds no key"))?;
        let config = builder.with_single_cert(chain, key);
        let mut config = config.map_err(|error| match error {
            Error::InconsistentKeys(_) => unusable(&format!(
                "it is not the key of `{}.certificate` (name the files of one pair)",
                self.section
            )),
            _ => unusable(&"it cannot be used (use RSA, ECDSA or Ed25519)"),
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn certificates(
        &self,
        setting: &'static str,
        path: &Path,
    ) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
        let unusable = |reason: &dyn Display| self.failed(setting, path, reason);
        let pem = regular_file::read(path).map_err(|error| unusable(&error))?;
        let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let certificates =
            certificates.map_err(|_| unusable(&"it is not a file in the form PEM"))?;
        if certificates.is_empty() {
            return Err(unusable(&"it holds no certificate"));
        }
        Ok(certificates)
    }

    fn failed(
        &self,
        setting: &'static str,
        path: &Path,
        reason: &(impl Display + ?Sized),
    ) -> TlsFileError {
        TlsFileError {
            section: self.section,
            setting,
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn versions(&self) -> Vec<Option<FileVersion>> {
        let files = [&self.certificate, &self.key].into_iter();
        let files = files.chain(&self.client_ca);
        files
            .map(|path| FileVersion::of(path).ok().flatten())
            .collect()
    }
}

impl TlsStore {
    /// # Errors
    ///
    /// A file cannot be read, or does not fit.
    pub fn open(files: CertificateFiles) -> Result<Self, TlsFileError> {
        let known = KnownFiles {
            versions: files.versions(),
            config: Arc::new(files.load()?),
        };
        Ok(Self {
            files,
            known: Mutex::new(known),
        })
    }

    /// The settings for a new connection. Reads files that have changed.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let versions = self.files.versions();
        if versions != known.versions {
            // Also after a failure, which is logged once.
            known.versions = versions;
            match self.files.load() {
                Ok(config) => {
                    let certificate = self.files.certificate.display();
                    log::info!(certificate:%; "read the certificate again");
                    known.config = Arc::new(config);
                }
                Err(error) => log::error!("the certificate stays as it was: {error}"),
            }
        }
        Arc::clone(&known.config)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use delfin_tests::Authority;

    use super::*;

    #[test]
    fn files_that_do_not_fit_are_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let [one, two] = ["one.example", "two.example"].map(|name| authority.issue(name));
        let files = |key: &Path, client_ca: Option<&Path>| CertificateFiles {
            section: "api.tls",
            certificate: one.certificate.clone(),
            key: key.to_owned(),
            client_ca: client_ca.map(Path::to_owned),
        };
        assert!(files(&one.key, Some(&authority.certificate)).load().is_ok());
        let refused = |files: CertificateFiles| files.load().unwrap_err().to_string();
        let text = refused(files(&two.key, None));
        assert!(text.contains("`api.tls.key`"), "{text}");
        assert!(
            text.contains("not the key of `api.tls.certificate`"),
            "{text}"
        );
        let text = refused(files(&one.certificate, None));
        assert!(text.ends_with("it holds no key"), "{text}");
        let text = refused(files(&one.key, Some(&one.key)));
        assert!(text.contains("`api.tls.client_ca`"), "{text}");
    }

    #[test]
    fn a_changed_certificate_is_read_and_one_that_does_not_fit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let [one, two] = ["one.example", "two.example"].map(|name| authority.issue(name));
        let store = TlsStore::open(CertificateFiles {
            section: "api.tls",
            certificate: one.certificate.clone(),
            key: one.key.clone(),
            client_ca: None,
        });
        let store = store.unwrap();
        let first = store.config();
        assert!(Arc::ptr_eq(&first, &store.config()));
        fs::rename(&two.certificate, &one.certificate).unwrap();
        assert!(Arc::ptr_eq(&first, &store.config()), "without its key");
        fs::rename(&two.key, &one.key).unwrap();
        assert!(!Arc::ptr_eq(&first, &store.config()));
    }
}
