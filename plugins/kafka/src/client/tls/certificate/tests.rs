use std::{fs, net::TcpListener};

use openssl::{pkey::PKey, ssl::SslAcceptor, x509::X509};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::*;

/// The reason for a certificate that an authority signs, if the authority is trusted, and if only
/// the certificate itself is.
fn reasons(names: &[&str], until: i32) -> [String; 2] {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "Root One");
    let root_key = KeyPair::generate().unwrap();
    let root_certificate = root.self_signed(&root_key).unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "broker");
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(root, root_key);
    let certificate = params.signed_by(&key, &issuer).unwrap();

    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    let key = PKey::private_key_from_pem(key.serialize_pem().as_bytes()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    let served = X509::from_pem(certificate.pem().as_bytes()).unwrap();
    acceptor.set_certificate(&served).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            acceptor.accept(listener.accept().unwrap().0).ok();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let reasons = [root_certificate.pem(), certificate.pem()].map(|trusted| {
        fs::write(&file, trusted).unwrap();
        let mut properties = Properties::default();
        properties.set("ssl.ca.location", file.display().to_string());
        reason(&address, &properties)
    });
    server.join().unwrap();
    reasons
}

#[test]
fn the_reason_is_that_of_the_library_that_librdkafka_uses() {
    let unknown = "its certificate is signed by `Root One`, which is not trusted (name the \
                   certificate of this authority as `tls.ca`)";
    let [expired, alone] = reasons(&["127.0.0.1"], 2020);
    assert!(
        expired.starts_with("its certificate has expired (renew it"),
        "{expired}"
    );
    assert_eq!(alone, unknown);
    let [other, _] = reasons(&["a.example.com", "10.0.0.1"], 4000);
    let expected = "its certificate is for `a.example.com`, `10.0.0.1`, not for `127.0.0.1` (";
    assert!(other.starts_with(expected), "{other}");
    // Meanwhile somebody has corrected it.
    let [fine, _] = reasons(&["127.0.0.1"], 4000);
    assert!(
        fine.starts_with("its certificate cannot be verified (name"),
        "{fine}"
    );
}
