//! Why the certificate of a broker is not accepted.
//!
//! librdkafka says only that it is not. This module connects to the broker again, with the same
//! authorities and the same library, and asks for the reason.

use std::{
    net::{IpAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use delfin_plugin_api::log;
use openssl::{
    error::ErrorStack,
    ssl::{HandshakeError, Ssl, SslContext, SslMethod, SslRef, SslVerifyMode},
    x509::{X509Ref, X509VerifyResult},
};

use super::platform::trust_system;
use crate::config::Properties;

/// For each step of the connection.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Why the certificate of the broker at `address` is not accepted, with the remedy.
pub(super) fn reason(address: &str, properties: &Properties) -> String {
    let found = found(address, properties).unwrap_or_else(|error| {
        log::debug!(address; "the certificate cannot be read: {error}");
        None
    });
    let reason = found.unwrap_or_else(|| {
        "cannot be verified (name the certificate of its authority as `tls.ca`)".to_owned()
    });
    format!("its certificate {reason}")
}

fn found(address: &str, properties: &Properties) -> Result<Option<String>, ProbeError> {
    let (host, _) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_matches(['[', ']']);
    let context = context(properties)?;
    let mut ssl = Ssl::new(&context)?;
    match host.parse::<IpAddr>() {
        Ok(ip) => ssl.param_mut().set_ip(ip)?,
        Err(_) => {
            ssl.set_hostname(host)?;
            ssl.param_mut().set_host(host)?;
        }
    }
    let mut last = std::io::Error::other("the name has no address");
    for address in address.to_socket_addrs()? {
        let stream = match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        return Ok(match ssl.connect(stream) {
            Ok(stream) => of_connection(stream.ssl(), host),
            // Also a handshake that fails later may have brought the certificate.
            Err(HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream)) => {
                of_connection(stream.ssl(), host)
            }
            Err(HandshakeError::SetupFailure(error)) => return Err(error.into()),
        });
    }
    Err(last.into())
}

/// Trusts what librdkafka trusts, and goes on with a certificate that is not accepted.
fn context(properties: &Properties) -> Result<SslContext, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_verify(SslVerifyMode::NONE);
    match properties.get("ssl.ca.location") {
        Some(file) => context.set_ca_file(file)?,
        None => trust_system(&mut context)?,
    }
    Ok(context.build())
}

fn of_connection(ssl: &SslRef, host: &str) -> Option<String> {
    let certificate = ssl.peer_certificate()?;
    let result = ssl.verify_result();
    (result != X509VerifyResult::OK).then(|| of_result(result, &certificate, host))
}

/// The numbers are those of `openssl verify`.
fn of_result(result: X509VerifyResult, certificate: &X509Ref, host: &str) -> String {
    match result.as_raw() {
        2 | 19..=21 => format!(
            "is signed by `{}`, which is not trusted (name the certificate of this authority as \
             `tls.ca`)",
            issuer(certificate)
        ),
        18 => "signs itself and is not trusted (name it as `tls.ca`)".to_owned(),
        9 => {
            "is not valid yet (correct the clock of this machine, or that of the issuer)".to_owned()
        }
        10 => "has expired (renew it, or correct the clock of this machine)".to_owned(),
        23 => "was revoked (renew it)".to_owned(),
        26 => "is not for servers (renew it with the extended key usage `serverAuth`)".to_owned(),
        62 | 64 => format!(
            "is for {}, not for `{host}` (use its name in `bootstrap_servers` and in \
             `advertised.listeners` of the broker, or renew it with this name)",
            names(certificate)
        ),
        _ => format!("cannot be used: {} (renew it)", result.error_string()),
    }
}

fn issuer(certificate: &X509Ref) -> String {
    let entries = certificate.issuer_name().entries();
    let texts = entries.filter_map(|entry| entry.data().to_string().ok());
    texts
        .last()
        .unwrap_or_else(|| "an authority without a name".to_owned())
}

fn names(certificate: &X509Ref) -> String {
    let names = certificate.subject_alt_names().into_iter().flatten();
    let names = names.filter_map(|name| {
        let ip = name.ipaddress().and_then(|bytes| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        });
        let name = name
            .dnsname()
            .map(str::to_owned)
            .or(ip.map(|ip| ip.to_string()));
        name.map(|name| format!("`{name}`"))
    });
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "no host".to_owned()
    } else {
        names.join(", ")
    }
}

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error(transparent)]
    Connect(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] ErrorStack),
}

#[cfg(test)]
mod tests;
