//! The proxy between this machine and a receiver, in errors.
//!
//! Promises: an error that is the proxy's names it, without its credentials, and not the receiver.

use std::{fmt, io};

use ureq::{Proxy, Timeout};

use super::{ErrorKind, RequestError};
use crate::unreachable;

/// The address of a proxy, for messages.
#[derive(Debug, Clone)]
pub(crate) struct NamedProxy(String);

impl NamedProxy {
    pub(crate) fn new(proxy: &Proxy) -> Self {
        Self(format!("http://{}:{}", proxy.host(), proxy.port()))
    }

    /// The error of a request, through a proxy if there is one. `is_sent` is whether any of the body was sent.
    pub(crate) fn error_of(
        proxy: Option<&Self>,
        error: &ureq::Error,
        is_sent: bool,
    ) -> RequestError {
        let of_proxy = proxy.and_then(|proxy| proxy.error(error));
        of_proxy.unwrap_or_else(|| RequestError::new(error, is_sent))
    }

    /// The error of a request, if there is no connection to the proxy, or none from the proxy to the
    /// receiver. `None`: the request failed after that.
    pub(crate) fn error(&self, error: &ureq::Error) -> Option<RequestError> {
        match error {
            // The library passes on the status of the proxy's response in this text only.
            ureq::Error::ConnectProxyFailed(reason) => Some(match status_in(reason) {
                Some(status) => self.refusal(status),
                None => self.unusable(reason),
            }),
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Some(RequestError::not_sent(format!(
                    "no connection through the proxy `{}` in time (check `proxy`, the address of the \
                     receiver, and firewalls on the way)",
                    self.0
                )))
            }
            ureq::Error::HostNotFound => Some(self.unusable(unreachable::HOST_UNKNOWN)),
            ureq::Error::Io(error) => unreachable::reason_of(error)
                .filter(|_| error.kind() != io::ErrorKind::TimedOut)
                .map(|reason| self.unusable(reason)),
            _ => None,
        }
    }

    /// The proxy does not connect to the receiver, and answers with this status.
    pub(crate) fn refusal(&self, status: u16) -> RequestError {
        let (kind, remedy) = match status {
            401 | 407 => (ErrorKind::Forbidden, "check the credentials in `proxy`"),
            403 => (
                ErrorKind::Forbidden,
                "allow connections to the receiver there",
            ),
            408 | 429 | 500 | 502..=504 => (
                ErrorKind::NotSent,
                "it cannot connect to the receiver: check the receiver, its address, and the network of \
                 the proxy",
            ),
            _ => (
                ErrorKind::InvalidUrl,
                "correct `proxy`: the server there does not connect to others with `CONNECT`",
            ),
        };
        RequestError {
            kind,
            reason: format!("the proxy `{}` answers {status} ({remedy})", self.0),
        }
    }

    /// There is no connection to the proxy, or it answers nothing.
    pub(crate) fn unusable(&self, reason: &str) -> RequestError {
        // The remedy of a reason is for a receiver.
        let cause = reason.split(" (").next().unwrap_or_default();
        RequestError::not_sent(format!(
            "cannot connect through the proxy `{}`: {cause} (check `proxy`, and that the proxy runs)",
            self.0
        ))
    }
}

impl fmt::Display for NamedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn status_in(reason: &str) -> Option<u16> {
    let (_, status) = reason.split_once("responded ")?;
    status.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_proxy_names_it_with_the_remedy_and_without_its_password() {
        let proxy = Proxy::new("http://u:hunter2@proxy.example:3128").unwrap();
        let proxy = NamedProxy::new(&proxy);
        let answers =
            |status| ureq::Error::ConnectProxyFailed(format!("proxy server responded {status}/x"));
        let silent = || ureq::Error::ConnectProxyFailed("proxy server did not respond".to_owned());
        let refused = || ureq::Error::Io(io::ErrorKind::ConnectionRefused.into());
        for (error, kind, part) in [
            (answers(407), ErrorKind::Forbidden, "credentials in `proxy`"),
            (answers(403), ErrorKind::Forbidden, "allow connections"),
            (answers(502), ErrorKind::NotSent, "check the receiver"),
            (answers(501), ErrorKind::InvalidUrl, "correct `proxy`"),
            (silent(), ErrorKind::NotSent, "did not respond"),
            (refused(), ErrorKind::NotSent, "connection refused (check"),
            (
                ureq::Error::HostNotFound,
                ErrorKind::NotSent,
                "name is unknown (check `proxy`",
            ),
            (
                ureq::Error::Timeout(Timeout::Connect),
                ErrorKind::NotSent,
                "in time",
            ),
        ] {
            let error = proxy.error(&error).unwrap();
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.reason.contains(part), "{error}");
            assert!(
                error.reason.contains("`http://proxy.example:3128`"),
                "{error}"
            );
            assert!(!error.reason.contains("hunter2"), "{error}");
        }
        let broken = ureq::Error::Io(io::ErrorKind::ConnectionReset.into());
        assert!(proxy.error(&broken).is_none());
        assert!(
            proxy
                .error(&ureq::Error::Timeout(Timeout::Global))
                .is_none()
        );
    }
}
