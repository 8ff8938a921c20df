//! `storages snmp`: from where storages send SNMP traps.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{path_of, secret};
use crate::cli::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};

const LIST: &str = "/v1/snmp-configs";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").multiple(false))]
pub struct SnmpArgs {
    /// Id of the storage, as `storages list` shows it; without one, all storages are shown
    #[arg(required_if_eq("remove", "true"))]
    pub id: Option<String>,

    /// Address or name from which the storage sends traps; sets the SNMP configuration
    #[arg(long, value_name = "HOST", group = "change", requires = "id")]
    pub address: Option<String>,

    /// Remove the SNMP configuration: traps of the storage are no longer accepted
    #[arg(long, group = "change")]
    pub remove: bool,

    /// Version of SNMP: 2c with a community, 3 with a user name by default
    #[arg(long = "snmp-version", value_name = "VERSION", requires = "address")]
    pub version: Option<VersionArg>,

    /// File with the community, or `-` for standard input; a line end after it is ignored
    #[arg(
        long,
        value_name = "FILE",
        requires = "address",
        conflicts_with = "username"
    )]
    pub community_file: Option<PathBuf>,

    /// User name of SNMP version 3
    #[arg(long, value_name = "NAME", requires = "address")]
    pub username: Option<String>,

    /// Protocol that authenticates traps
    #[arg(long, value_name = "PROTOCOL", requires_all = ["username", "auth_key_file"])]
    pub auth_protocol: Option<AuthArg>,

    /// File with the authentication key, which is a password, or `-` for standard input
    #[arg(long, value_name = "FILE", requires = "auth_protocol")]
    pub auth_key_file: Option<PathBuf>,

    /// Protocol that encrypts traps
    #[arg(long, value_name = "PROTOCOL", requires_all = ["auth_protocol", "privacy_key_file"])]
    pub privacy_protocol: Option<PrivacyArg>,

    /// File with the privacy key, which is a password, or `-` for standard input
    #[arg(long, value_name = "FILE", requires = "privacy_protocol")]
    pub privacy_key_file: Option<PathBuf>,

    /// Engine of the sender in hexadecimal digits; by default any engine with the right keys
    #[arg(long, value_name = "HEX", requires = "username")]
    pub engine_id: Option<String>,

    /// Port at which the storage answers SNMP requests
    #[arg(long, requires = "address")]
    pub port: Option<u16>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VersionArg {
    #[value(name = "1")]
    V1,
    #[value(name = "2c")]
    V2c,
    #[value(name = "3")]
    V3,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AuthArg {
    Md5,
    Sha,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrivacyArg {
    Des,
    #[value(name = "3des")]
    TripleDes,
    Aes,
    Aes192,
    Aes256,
}

#[derive(Deserialize)]
struct SnmpConfigList {
    snmp_configs: Vec<SnmpConfigRow>,
}

#[derive(Deserialize)]
struct SnmpConfigRow {
    storage_id: String,
    host: String,
    version: String,
    username: Option<String>,
    security_level: Option<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &SnmpArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let Some(id) = &args.id else {
        let response = client.get(LIST)?;
        if output.is_json() {
            return output.line(&response);
        }
        let SnmpConfigList { snmp_configs } = client.parse(LIST, &response)?;
        let summary = match snmp_configs.len() {
            0 => {
                "no SNMP configurations (set one with `storages snmp ID --address HOST`)".to_owned()
            }
            many => counted(many as u64, "SNMP configuration"),
        };
        return output.list(&table(&snmp_configs), &summary);
    };
    let path = format!("{}/snmp-config", path_of(id)?);
    if args.remove {
        client.delete(&path)?;
        return match output.is_json() {
            true => output.json(&json!({ "id": id })),
            false => output.line(&format!("{id}: SNMP configuration is removed")),
        };
    }
    let response = match &args.address {
        Some(address) => {
            let body = Zeroizing::new(body(args, address)?.to_string());
            client.put_json(&path, &body)?
        }
        None => client.get(&path)?,
    };
    if output.is_json() {
        return output.line(&response);
    }
    let row: SnmpConfigRow = client.parse(&path, &response)?;
    match &args.address {
        Some(address) => output.line(&format!("{id}: traps from {address} are accepted")),
        None => output.list(&table(&[row]), &counted(1, "SNMP configuration")),
    }
}

fn body(args: &SnmpArgs, address: &str) -> Result<Value, Error> {
    let default = match args.username {
        Some(_) => VersionArg::V3,
        None => VersionArg::V2c,
    };
    let version = args.version.unwrap_or(default);
    let mut body = json!({ "host": address, "version": version.name() });
    let mut set = |name: &str, value: Value| body[name] = value;
    if let Some(path) = &args.community_file {
        set("community_string", text(path, "community")?);
    }
    if let Some(username) = &args.username {
        let level = match (args.auth_protocol, args.privacy_protocol) {
            (None, _) => "noAuthnoPriv",
            (Some(_), None) => "authNoPriv",
            (Some(_), Some(_)) => "authPriv",
        };
        set("username", username.as_str().into());
        set("security_level", level.into());
    }
    if let (Some(protocol), Some(path)) = (args.auth_protocol, &args.auth_key_file) {
        set("auth_protocol", protocol.name().into());
        set("auth_key", text(path, "authentication key")?);
    }
    if let (Some(protocol), Some(path)) = (args.privacy_protocol, &args.privacy_key_file) {
        set("privacy_protocol", protocol.name().into());
        set("privacy_key", text(path, "privacy key")?);
    }
    if let Some(engine_id) = &args.engine_id {
        set("engine_id", engine_id.as_str().into());
    }
    if let Some(port) = args.port {
        set("port", port.into());
    }
    Ok(body)
}

fn text(path: &Path, what: &str) -> Result<Value, Error> {
    Ok(secret(path, what)?.as_str().into())
}

impl VersionArg {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "SNMPv1",
            Self::V2c => "SNMPv2c",
            Self::V3 => "SNMPv3",
        }
    }
}

impl AuthArg {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "HMACMD5",
            Self::Sha => "HMACSHA",
            Self::Sha224 => "HMCSHA2224",
            Self::Sha256 => "HMCSHA2256",
            Self::Sha384 => "HMCSHA2384",
            Self::Sha512 => "HMCSHA2512",
        }
    }
}

impl PrivacyArg {
    fn name(self) -> &'static str {
        match self {
            Self::Des => "DES",
            Self::TripleDes => "3DES",
            Self::Aes => "AES",
            Self::Aes192 => "AES192",
            Self::Aes256 => "AES256",
        }
    }
}

fn table(rows: &[SnmpConfigRow]) -> TextTable {
    let mut table = TextTable::new(&["storage", "address", "version", "user", "security level"]);
    for row in rows {
        table.row([
            Cell::text(&row.storage_id),
            Cell::text(&row.host),
            Cell::text(&row.version),
            Cell::optional(row.username.as_deref()),
            Cell::optional(row.security_level.as_deref()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, CliCommand, client::tests::printed, storages::StoragesCommand};

    const ONE: &str = r#"{"storage_id":"7b1f","host":"10.0.0.1","version":"SNMPv2c"}"#;

    fn args(typed: &[&str]) -> Result<SnmpArgs, clap::Error> {
        let typed = [&["delfin-host", "storages", "snmp"], typed].concat();
        match Cli::try_parse_from(typed)?.command {
            CliCommand::Storages(StoragesCommand::Snmp(args)) => Ok(args),
            other => panic!("not snmp: {other:?}"),
        }
    }

    #[test]
    fn the_options_become_a_configuration_with_the_keys_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (auth, privacy) = (file("a", "hunter2-a\n"), file("p", "hunter2-p"));
        let typed = [
            "7b1f",
            "--address",
            "10.0.0.1",
            "--username",
            "u",
            "--auth-protocol",
            "sha256",
            "--auth-key-file",
            &auth,
            "--privacy-protocol",
            "aes",
            "--privacy-key-file",
            &privacy,
        ];
        assert_eq!(
            body(&args(&typed).unwrap(), "10.0.0.1").unwrap(),
            json!({
                "host": "10.0.0.1", "version": "SNMPv3", "username": "u",
                "security_level": "authPriv", "auth_protocol": "HMCSHA2256",
                "auth_key": "hunter2-a", "privacy_protocol": "AES", "privacy_key": "hunter2-p"
            })
        );
        let typed = ["7b1f", "--address", "10.0.0.1", "--community-file", &auth];
        assert_eq!(
            body(&args(&typed).unwrap(), "10.0.0.1").unwrap(),
            json!({"host": "10.0.0.1", "version": "SNMPv2c", "community_string": "hunter2-a"})
        );
    }

    #[test]
    fn options_that_do_nothing_are_refused() {
        for typed in [
            &["--remove"][..],
            &["--address", "a"],
            &["7b1f", "--username", "u"],
            &["7b1f", "--address", "a", "--remove"],
            &[
                "7b1f",
                "--address",
                "a",
                "--auth-protocol",
                "sha",
                "--auth-key-file",
                "f",
            ],
            &[
                "7b1f",
                "--address",
                "a",
                "--username",
                "u",
                "--auth-protocol",
                "sha",
            ],
        ] {
            assert!(args(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn a_configuration_is_shown_and_removed() {
        let text = printed("200 OK", ONE, &["storages", "snmp", "7b1f"]);
        assert!(
            text.contains("10.0.0.1") && text.contains("SNMPv2c"),
            "{text}"
        );
        let text = printed("200 OK", "", &["storages", "snmp", "7b1f", "--remove"]);
        assert_eq!(text, "7b1f: SNMP configuration is removed\n");
        let none = r#"{"snmp_configs":[]}"#;
        let text = printed("200 OK", none, &["storages", "snmp"]);
        assert!(text.starts_with("no SNMP configurations"), "{text}");
    }
}
