//! Says in plain sentences why TLS fails, with the remedy.
//!
//! The texts of rustls name variants of its types, which mean nothing to an operator.

use rustls::{AlertDescription, CertificateError, Error};

/// Why TLS failed, if an error of a client library or one of its causes is an error of TLS.
#[must_use]
pub fn reason_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<Error>() {
            return Some(reason(error));
        }
        // The source of an I/O error is that of the error in it.
        let inner = cause.downcast_ref::<std::io::Error>();
        next = match inner.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

/// Why a connection failed.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate_reason(error),
        Error::AlertReceived(alert) => alert_reason(*alert).to_owned(),
        Error::InvalidMessage(_) => {
            "the receiver does not speak TLS (use another port, or a connection without TLS)"
                .to_owned()
        }
        Error::PeerIncompatible(_) => {
            "the receiver speaks no version of TLS that is secure (it must speak TLS 1.2 or 1.3 \
             with a current cipher)"
                .to_owned()
        }
        Error::NoCertificatesPresented => "the receiver shows no certificate".to_owned(),
        Error::FailedToGetCurrentTime => "the clock of this machine cannot be read".to_owned(),
        // The other errors are mistakes of the receiver or of something in between.
        _ => "the receiver does not follow the protocol TLS (is it another service, or is the \
              connection intercepted?)"
            .to_owned(),
    }
}

fn certificate_reason(error: &CertificateError) -> String {
    let reason = match error {
        CertificateError::UnknownIssuer => {
            "is signed by an authority that is not trusted (name the certificate of the authority \
             as `ca_certificate`)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired (renew it, or correct the clock of this machine)"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet (correct the clock of this machine, or that of the issuer)"
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => return name_reason(&expected.to_str(), presented),
        CertificateError::NotValidForName => {
            "is for another name (connect to this name, or renew the certificate)"
        }
        CertificateError::Revoked => "was revoked (renew it)",
        CertificateError::BadSignature => {
            "has a signature that does not match (name the certificate of its authority as \
             `ca_certificate`)"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not for servers (renew it with the extended key usage `serverAuth`)"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "has a signature of a kind that is not supported (renew it with RSA of 2048 bits or \
             more, ECDSA or Ed25519)"
        }
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "is that of an authority (name exactly this certificate as `ca_certificate`, or renew \
             it with `basicConstraints=CA:FALSE`)"
        }
        _ => "cannot be used (renew it as a certificate of X.509 version 3)",
    };
    format!("the certificate of the receiver {reason}")
}

/// `presented` are names as rustls writes them, such as `DnsName("a.example.com")`.
fn name_reason(expected: &str, presented: &[String]) -> String {
    let plain = |name: &String| {
        let inner = name
            .split_once('(')
            .map_or(&**name, |(_, inner)| inner.trim_end_matches(')'));
        format!("`{}`", inner.trim_matches('"'))
    };
    let names: Vec<_> = presented.iter().map(plain).collect();
    if names.is_empty() {
        return format!(
            "the certificate of the receiver names no host, so it is not valid for `{expected}` \
             (renew it with `subjectAltName`)"
        );
    }
    format!(
        "the certificate of the receiver is for {}, not for `{expected}` (connect to its name, \
         or renew it with this name)",
        names.join(", ")
    )
}

fn alert_reason(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the receiver asks for a client certificate (set `client_certificate` and `client_key`)"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            "the receiver refuses the client certificate (use one that it trusts)"
        }
        AlertDescription::UnrecognisedName => {
            "the receiver does not know the name that it is called by (connect to its own name)"
        }
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => {
            "the receiver refuses the connection: it may want another version of TLS, or a client \
             certificate"
        }
        _ => "the receiver ends the connection during TLS (its log may say why)",
    }
}

#[cfg(test)]
mod tests {
    use rustls::{
        InvalidMessage, PeerIncompatible, PeerMisbehaved,
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    #[test]
    fn a_name_is_shown_as_it_is_in_the_certificate() {
        let not_for = |presented: &[&str]| {
            let expected = ServerName::try_from("b.example.com").unwrap();
            let presented = presented.iter().map(ToString::to_string).collect();
            reason(&Error::InvalidCertificate(
                CertificateError::NotValidForNameContext {
                    expected,
                    presented,
                },
            ))
        };
        let text = not_for(&["DnsName(\"a.example.com\")", "IpAddress(10.0.0.1)"]);
        let names = "is for `a.example.com`, `10.0.0.1`, not for `b.example.com` (";
        assert!(text.contains(names), "{text}");
        assert!(not_for(&[]).contains("names no host"), "{}", not_for(&[]));
    }

    #[test]
    fn an_error_of_tls_is_found_within_others() {
        let tls = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::other(tls.clone()));
        assert_eq!(reason_of(&wrapped), Some(reason(&tls)));
        assert_eq!(reason_of(&std::io::Error::other("no")), None);
    }

    #[test]
    fn no_reason_names_a_type_of_the_library() {
        let (time, not_after) = (UnixTime::now(), UnixTime::now());
        for error in [
            Error::InvalidCertificate(CertificateError::UnknownIssuer),
            Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }),
            Error::InvalidCertificate(CertificateError::BadEncoding),
            Error::InvalidCertificate(CertificateError::UnhandledCriticalExtension),
            Error::AlertReceived(AlertDescription::CertificateRequired),
            Error::AlertReceived(AlertDescription::Unknown(77)),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered),
            Error::PeerMisbehaved(PeerMisbehaved::MessageInterleavedWithHandshakeMessage),
            Error::General("x".to_owned()),
        ] {
            let (text, debug) = (reason(&error), format!("{error:?}"));
            for word in debug.split(|c: char| !c.is_alphanumeric()) {
                let variant = word.starts_with(char::is_uppercase)
                    && word.chars().any(char::is_lowercase)
                    && !word.starts_with("Tls");
                assert!(!variant || !text.contains(word), "{text}");
            }
        }
    }
}
