//! What commands other than `run` take from the configuration.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use rustix::fs::Mode;

use super::{Error, Global};
use crate::config::{self, Loaded};

/// Which running host to talk to.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// Where the host runs [default: `[api] listen` of the configuration]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub host: Option<String>,
}

/// The configuration.
pub(super) fn load(global: &Global) -> Result<Loaded, Error> {
    let loaded = config::load(global.config.as_deref());
    loaded.map_err(|error| Error::Configuration(error.into()))
}

/// The running host's address, without a slash at its end.
pub(super) fn api_url(global: &Global, args: &HostArgs) -> Result<String, Error> {
    if let Some(host) = &args.host {
        return Ok(host.clone());
    }
    let mut address = load(global)?.config.api.listen;
    // A host that listens everywhere listens on this machine too.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(format!("http://{address}"))
}

/// Where plugins are looked for.
pub(super) fn plugin_dirs(global: &Global) -> Result<Vec<PathBuf>, Error> {
    Ok(load(global)?.config.plugin_dirs)
}

/// What the host and its plugins write from now on is nobody else's to read.
pub(super) fn keep_files_private() {
    rustix::process::umask(Mode::from_raw_mode(0o027));
}

fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let rest = match url.split_once("://") {
        None => url,
        Some(("http", rest)) => rest,
        Some((scheme, _)) => return Err(format!("`{scheme}` is not spoken here (use http)")),
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
    fn an_address_may_be_typed_with_and_without_its_scheme() {
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
    fn what_is_no_address_is_refused_where_it_is_typed() {
        assert!(parse_url("https://host:8190").is_err());
        assert!(parse_url("http://host:8190/v1").is_err());
        assert!(parse_url("").is_err());
    }
}
