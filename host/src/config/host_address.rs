//! The host and the port that a client sends a request to, as `api.hosts`, `Host` and
//! `Origin` name them.

use std::net::{IpAddr, Ipv6Addr};

/// A host, and the port if it is not the one of the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAddress {
    pub host: HostName,
    pub port: Option<u16>,
}

/// A host as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    Ip(IpAddr),
    /// In lower case, without a dot at the end.
    Name(String),
}

impl HostAddress {
    /// Reads `HOST` or `HOST:PORT`. Port 80 counts as none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::with_default_port(text.trim(), 80)
    }

    /// Reads the value of `Origin`; `None` also for `null`, an origin without a host.
    #[must_use]
    pub fn of_origin(text: &str) -> Option<Self> {
        let (scheme, address) = text.trim().split_once("://")?;
        match scheme {
            "http" => Self::with_default_port(address, 80),
            "https" => Self::with_default_port(address, 443),
            _ => None,
        }
    }

    /// Whether the host is an address or a name without a dot. No name of the DNS is one.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.host {
            HostName::Ip(_) => true,
            HostName::Name(name) => !name.contains('.'),
        }
    }

    fn with_default_port(text: &str, default: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                // The zone is of the machine of the client.
                let address = address.split('%').next().unwrap_or_default();
                let address: Ipv6Addr = address.parse().ok()?;
                (HostName::Ip(address.into()), port)
            }
            None => {
                let end = text.find(':').unwrap_or(text.len());
                (HostName::parse(&text[..end])?, &text[end..])
            }
        };
        let port = match port {
            "" | ":" => None,
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        let port = port.filter(|port| *port != default);
        Some(Self { host, port })
    }
}

impl HostName {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_label = |label: &str| !label.is_empty() && label.chars().all(legal);
        name.split('.')
            .all(is_label)
            .then(|| Self::Name(name.to_ascii_lowercase()))
    }
}
