//! How a command reaches the running host: its address, its certificate, and the token.
//!
//! Without an option, the command uses the socket of the configuration if a host listens there
//! and the user may connect, and `[api] listen` otherwise.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    str::FromStr,
};

use delfin_plugin_api::http::{ClientCertificate, Tls};
use ureq::http::HeaderValue;
use zeroize::Zeroizing;

use super::{client::HostClient, error::Error, options::GlobalOptions};
use crate::{
    config::{self, ApiConfig},
    platform::LocalClient,
};

/// The environment variable with the token.
const TOKEN_VARIABLE: &str = "DELFIN_TOKEN";

/// The options of the commands that talk to the running host.
#[derive(Clone, Debug, clap::Args)]
pub struct HostArgs {
    /// Address of the running host, a URL or `unix:PATH` [default: the socket of the configuration,
    /// or its `[api] listen`]
    #[arg(long, value_name = "URL")]
    pub host: Option<HostTarget>,

    /// Token for the host, which other users of this machine can see in the list of processes
    /// [default: $DELFIN_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<TokenText>,

    /// File with the token for the host
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,

    /// PEM file with the certificates to trust for https [default: the public authorities]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// PEM file with a client certificate, for a host that asks for one
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_certificate: Option<PathBuf>,

    /// PEM file with the private key of the client certificate
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

/// Where a host listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostTarget {
    /// Without a slash at its end.
    Url(String),
    Socket(PathBuf),
}

/// A token that was typed; never shown.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl GlobalOptions {
    /// A client of the running host. Sends nothing yet.
    pub(super) fn host_client(&self, args: &HostArgs) -> Result<HostClient, Error> {
        let address = match &args.host {
            Some(address) => address.clone(),
            None => {
                let api = config::load_api(self.config.as_deref());
                configured(&api.map_err(Error::configuration)?)
            }
        };
        let authorization = args.authorization()?;
        Ok(match address {
            HostTarget::Socket(path) => HostClient::local(path, authorization),
            HostTarget::Url(url) => HostClient::network(&url, &args.tls(), authorization)
                .map_err(|error| Error::failed(error.to_string()))?,
        })
    }
}

impl HostArgs {
    fn tls(&self) -> Tls {
        let files = self.client_certificate.clone().zip(self.client_key.clone());
        Tls {
            ca_certificate: self.ca.clone(),
            client_certificate: files
                .map(|(certificate, key)| ClientCertificate { certificate, key }),
        }
    }

    /// The header `Authorization`.
    fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let token = match (&self.token, &self.token_file) {
            (Some(TokenText(token)), _) => Some(token.clone()),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => std::env::var(TOKEN_VARIABLE).ok().map(Zeroizing::new),
        };
        // An empty variable is how a shell script unsets it.
        let token = token.filter(|token| !token.trim().is_empty());
        token.map(|token| header(token.trim())).transpose()
    }
}

impl FromStr for HostTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REMEDY: &str =
            "not an address (write http://HOST:PORT, https://HOST:PORT or unix:PATH)";
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Socket(path.into()));
        }
        let url = text.trim_end_matches('/');
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let authority: Result<ureq::http::uri::Authority, _> = rest.parse();
        match (scheme, authority) {
            ("http" | "https", Ok(authority)) => Ok(Self::Url(format!("{scheme}://{authority}"))),
            _ => Err(REMEDY),
        }
    }
}

impl FromStr for TokenText {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn configured(api: &ApiConfig) -> HostTarget {
    if let Some(socket) = &api.socket
        && LocalClient::connect(&socket.path).is_ok()
    {
        return HostTarget::Socket(socket.path.clone());
    }
    let mut address = api.listen;
    // An unspecified address accepts connections, but is not one to connect to.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    let scheme = if api.tls.is_some() { "https" } else { "http" };
    HostTarget::Url(format!("{scheme}://{address}"))
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, Error> {
    let text = fs::read_to_string(path);
    let text =
        text.map_err(|error| format!("cannot read token file `{}`: {error}", path.display()));
    text.map(Zeroizing::new).map_err(Error::failed)
}

/// The error does not show the token.
fn header(token: &str) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    let header = HeaderValue::from_str(&text);
    let mut header = header.map_err(|_| {
        Error::failed(
            "the token has characters that no token has (give it as `tokens add` printed it)",
        )
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(typed: &str) -> Option<String> {
        match typed.parse() {
            Ok(HostTarget::Url(url)) => Some(url),
            Ok(HostTarget::Socket(_)) | Err(_) => None,
        }
    }

    #[test]
    fn an_address_is_accepted_with_and_without_its_scheme() {
        for typed in [
            "10.0.0.7:8190",
            "http://10.0.0.7:8190",
            "http://10.0.0.7:8190/",
        ] {
            assert_eq!(url(typed).as_deref(), Some("http://10.0.0.7:8190"));
        }
        assert_eq!(url("[::1]:8190").as_deref(), Some("http://[::1]:8190"));
        assert_eq!(url("https://a:1").as_deref(), Some("https://a:1"));
        let socket = "unix:/run/api.sock".parse();
        assert_eq!(socket, Ok(HostTarget::Socket("/run/api.sock".into())));
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for typed in ["ftp://host:8190", "http://host:8190/v1", ""] {
            assert!(typed.parse::<HostTarget>().is_err(), "{typed}");
        }
    }

    #[test]
    fn a_token_is_in_no_debug_form_and_in_no_error() {
        let typed: TokenText = "hunter2\n2".parse().unwrap();
        let args = HostArgs {
            host: None,
            token: Some(typed),
            token_file: None,
            ca: None,
            client_certificate: None,
            client_key: None,
        };
        let error = args.authorization().unwrap_err();
        assert!(!format!("{args:?} {error:?} {error}").contains("hunter2"));
    }
}
