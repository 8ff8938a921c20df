//! How a command reaches the running host: its address, and the token that it shows.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    str::FromStr,
};

use ureq::http::HeaderValue;
use zeroize::Zeroizing;

use super::{client::HostClient, error::Error, options::GlobalOptions};
use crate::config;

/// The environment variable with the token.
const TOKEN_VARIABLE: &str = "DELFIN_TOKEN";

/// The options of the commands that talk to the running host.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// Address of the running host [default: `[api] listen` of the configuration]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub host: Option<String>,

    /// Token for the host, which other users of this machine can see in the list of processes
    /// [default: $DELFIN_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<TokenText>,

    /// File with the token for the host
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
}

/// A token that was typed; never shown.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl GlobalOptions {
    /// A client of the running host. Sends nothing yet.
    pub(super) fn host_client(&self, args: &HostArgs) -> Result<HostClient, Error> {
        let url = match &args.host {
            Some(url) => url.clone(),
            None => self.configured_url()?,
        };
        Ok(HostClient::new(&url, args.authorization()?))
    }

    fn configured_url(&self) -> Result<String, Error> {
        let api = config::load_api(self.config.as_deref()).map_err(Error::configuration)?;
        let mut address = api.listen;
        // An unspecified address accepts connections, but is not one to connect to.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        Ok(format!("http://{address}"))
    }
}

impl HostArgs {
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

fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let rest = match url.split_once("://") {
        None => url,
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(format!("`{scheme}` is not supported (use http)")),
    };
    let authority: ureq::http::uri::Authority = rest
        .parse()
        .map_err(|_| "not an address (write http://HOST:PORT)".to_owned())?;
    Ok(format!("http://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_accepted_with_and_without_its_scheme() {
        for typed in [
            "10.0.0.7:8190",
            "http://10.0.0.7:8190",
            "http://10.0.0.7:8190/",
        ] {
            assert_eq!(parse_url(typed).unwrap(), "http://10.0.0.7:8190");
        }
        assert_eq!(parse_url("[::1]:8190").unwrap(), "http://[::1]:8190");
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        assert!(parse_url("https://host:8190").is_err());
        assert!(parse_url("http://host:8190/v1").is_err());
        assert!(parse_url("").is_err());
    }

    #[test]
    fn a_token_is_in_no_debug_form_and_in_no_error() {
        let typed: TokenText = "hunter2\n2".parse().unwrap();
        let args = HostArgs {
            host: None,
            token: Some(typed),
            token_file: None,
        };
        let error = args.authorization().unwrap_err();
        assert!(!format!("{args:?} {error:?} {error}").contains("hunter2"));
    }
}
