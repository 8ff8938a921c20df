//! The options that several commands share, and what they mean.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use clap::ColorChoice;
use rustix::fs::Mode;

use super::error::Error;
use crate::config::{self, Loaded};

/// The options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Configuration file [default: $DELFIN_CONF, ./etc/delfin/delfin.conf,
    /// /etc/delfin/delfin.conf, or the built-in configuration]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    /// When to print in color
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// The option of the commands that talk to the running host.
#[derive(Debug, clap::Args)]
pub struct HostArgs {
    /// Address of the running host [default: `[api] listen` of the configuration]
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    pub host: Option<String>,
}

impl GlobalOptions {
    pub(super) fn load_config(&self) -> Result<Loaded, Error> {
        config::load(self.config.as_deref()).map_err(Error::configuration)
    }

    /// The address of the running host, without a slash at its end.
    pub(super) fn host_url(&self, args: &HostArgs) -> Result<String, Error> {
        if let Some(host) = &args.host {
            return Ok(host.clone());
        }
        let mut address =
            config::load_api_address(self.config.as_deref()).map_err(Error::configuration)?;
        // An unspecified address accepts connections, but is not one to connect to.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        Ok(format!("http://{address}"))
    }
}

/// Makes files that the host and its plugins create unreadable for other users.
pub(super) fn keep_files_private() {
    rustix::process::umask(Mode::from_raw_mode(0o027));
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
}
