//! Certificates for connections over TLS.
//!
//! Promises: a receiver's certificate is always verified; a file that cannot be used
//! is reported with its reason before anything is sent.

mod reason;
mod verifier;

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, Error, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;

pub(crate) use self::reason::reason;
pub use self::reason::reason_of;
use self::verifier::PinnedVerifier;
use crate::{
    Failure,
    setting::{Mistakes, unreadable_file, unusable_file},
};
pub use rustls;

const FLAG: &str = "write true or false";

/// The settings for TLS. By default the public certificate authorities are trusted,
/// and the client shows no certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the certificates to trust, instead of the public authorities: of
    /// authorities, or the receiver's own.
    pub ca_certificate: Option<PathBuf>,
    /// The client certificate, for a receiver that asks for one.
    pub client_certificate: Option<ClientCertificate>,
}

/// The PEM files of a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The private key of the certificate.
    pub key: PathBuf,
}

impl Tls {
    /// Reads the settings `ca_certificate`, `client_certificate` and `client_key`.
    pub fn read(
        ca_certificate: Option<Value>,
        client_certificate: Option<Value>,
        client_key: Option<Value>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let certificate = mistakes.text("client_certificate", client_certificate);
        let key = mistakes.text("client_key", client_key);
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientCertificate {
                certificate: certificate.into(),
                key: key.into(),
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                let one = "`client_certificate` and `client_key` come together, and one is \
                           missing or wrong (set both)";
                mistakes.add(one.to_owned());
                None
            }
        };
        let ca_certificate = mistakes.text("ca_certificate", ca_certificate);
        Self {
            ca_certificate: ca_certificate.map(PathBuf::from),
            client_certificate,
        }
    }

    /// Reads the setting `tls`, which is true by default, and those of [`read`](Self::read).
    /// `None`: connections without TLS.
    pub fn read_optional(
        encrypt: Option<Value>,
        [ca_certificate, client_certificate, client_key]: [Option<Value>; 3],
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let encrypt = mistakes.read("tls", encrypt, Value::as_bool, FLAG);
        let encrypt = encrypt.unwrap_or(true);
        for (key, value) in [
            ("ca_certificate", &ca_certificate),
            ("client_certificate", &client_certificate),
            ("client_key", &client_key),
        ] {
            if value.is_some() && !encrypt {
                mistakes.add(format!(
                    "`{key}` has no effect with `tls = false` (remove one of the two)"
                ));
            }
        }
        let tls = Self::read(ca_certificate, client_certificate, client_key, mistakes);
        encrypt.then_some(tls)
    }

    /// The settings for rustls, for a client library that takes them.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] if a file cannot be used.
    pub fn config(&self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Failure::misconfigured(reason(&error)))?;
        let builder = match &self.ca_certificate {
            Some(path) => {
                let trusted = certificates("ca_certificate", path)?;
                let verifier = PinnedVerifier::new(trusted, provider).map_err(|_| {
                    unusable_file(
                        "ca_certificate",
                        path,
                        &"it holds a damaged certificate (copy it again)",
                    )
                })?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            None => builder.with_root_certificates(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            }),
        };
        let Some(files) = &self.client_certificate else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates("client_certificate", &files.certificate)?;
        let unusable = |reason: &dyn Display| unusable_file("client_key", &files.key, reason);
        let pem = read("client_key", &files.key)?;
        // The parser's error is not shown: it may quote the key.
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            unusable(&"it holds no key (name a PEM file with a private key that has no password)")
        })?;
        let config = builder.with_client_auth_cert(chain, key);
        config.map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                unusable(&"it is not the key of `client_certificate` (name the files of one pair)")
            }
            _ => unusable(&"its key cannot be used (use RSA, ECDSA or Ed25519)"),
        })
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = read(key, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable_file(key, path, &"it is not a file in the form PEM (convert it)"))?;
    if certificates.is_empty() {
        return Err(unusable_file(
            key,
            path,
            &"it holds no certificate (name a PEM file with certificates)",
        ));
    }
    Ok(certificates)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable_file(key, path, &error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(tls: &Tls) -> String {
        tls.config().unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let with_root = |path: &Path| Tls {
            ca_certificate: Some(path.to_owned()),
            client_certificate: None,
        };
        let missing = folder.path().join("missing");
        let text = refused(&with_root(&missing));
        assert!(text.starts_with("cannot use `ca_certificate` `"), "{text}");
        assert!(text.contains("No such file"), "{text}");
        assert!(
            text.ends_with("(name a file that the host's user can read)"),
            "{text}"
        );
        let text = refused(&with_root(&file("empty", "")));
        assert!(text.contains(": it holds no certificate ("), "{text}");
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let odd = file("odd", odd);
        assert!(refused(&with_root(&odd)).contains("`ca_certificate`"));
        let text = refused(&Tls {
            ca_certificate: None,
            client_certificate: Some(ClientCertificate {
                certificate: odd,
                key: file("key", "hunter2"),
            }),
        });
        assert!(text.starts_with("cannot use `client_key` `"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let mut mistakes = Mistakes::default();
        let tls = Tls::read(None, Some(json!("a.pem")), None, &mut mistakes);
        assert_eq!(tls, Tls::default());
        let mistake = mistakes.into_result(()).unwrap_err().to_string();
        assert!(mistake.contains("come together"), "{mistake}");
    }

    #[test]
    fn certificates_without_tls_are_a_mistake() {
        let read = |encrypt: Option<Value>, authorities: Option<Value>| {
            let mut mistakes = Mistakes::default();
            let tls = Tls::read_optional(encrypt, [authorities, None, None], &mut mistakes);
            mistakes.into_result(tls).map_err(|error| error.to_string())
        };
        assert_eq!(read(None, None), Ok(Some(Tls::default())));
        assert_eq!(read(Some(json!(false)), None), Ok(None));
        let mistake = read(Some(json!(false)), Some(json!("ca.pem"))).unwrap_err();
        assert!(
            mistake.starts_with("`ca_certificate` has no effect"),
            "{mistake}"
        );
        assert!(read(Some(json!("yes")), None).unwrap_err().contains(FLAG));
    }
}
