//! `traps`: shows what becomes of SNMP traps, without a running host.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::Serialize;

use super::{
    error::Error,
    mapping_report::{MappingReport, read_input},
    options::GlobalOptions,
    output::Output,
};
use crate::{
    clock::now_ms,
    config,
    notification::DatagramSocket,
    traps::{PlainMessage, TrapMappings, open_plain, text_of, trap_alert, trap_name},
};

/// The receive buffer of `traps listen`.
const BUFFER_BYTES: u64 = 1 << 20;

#[derive(Debug, clap::Subcommand)]
pub enum TrapsCommand {
    /// Show which alert becomes of a trap, and why
    Test(TestTrapArgs),

    /// Print the traps that arrive, from any sender
    Listen(ListenArgs),
}

#[derive(Debug, clap::Args)]
pub struct TestTrapArgs {
    /// File with the datagram of a trap, or the datagram in hexadecimal digits, or `-` for
    /// standard input
    pub trap: String,

    /// Folder with mapping files [default: `traps.mapping_dir` of the configuration]
    #[arg(long, value_name = "FOLDER")]
    pub mapping_dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct ListenArgs {
    /// Address on which to listen [default: `traps.listen` of the configuration, or
    /// 127.0.0.1:1162]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// End after so many datagrams
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,

    /// Folder with mapping files [default: `traps.mapping_dir` of the configuration]
    #[arg(long, value_name = "FOLDER")]
    pub mapping_dir: Option<PathBuf>,
}

/// A datagram, and what becomes of it.
#[derive(Debug, Serialize)]
struct TrapReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    version: &'static str,
    /// Why it cannot be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<NotificationReport>,
}

#[derive(Debug, Serialize)]
struct NotificationReport {
    #[serde(rename = "type")]
    kind: &'static str,
    trap: String,
    name: String,
    variables: Vec<VariableReport>,
    #[serde(flatten)]
    result: MappingReport,
}

#[derive(Debug, Serialize)]
struct VariableReport {
    oid: String,
    name: Option<String>,
    value: String,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &TrapsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        TrapsCommand::Test(args) => test(options, args, output),
        TrapsCommand::Listen(args) => listen(options, args, output),
    }
}

fn test(
    options: &GlobalOptions,
    args: &TestTrapArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mappings = mappings(options, args.mapping_dir.as_deref(), output)?;
    let datagram = datagram(&args.trap)?;
    let report = TrapReport::new(datagram, None, &mappings);
    print(&report, output)?;
    match report.unreadable {
        Some(reason) => Err(Error::failed(reason)),
        None => Ok(()),
    }
}

fn listen(
    options: &GlobalOptions,
    args: &ListenArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mappings = mappings(options, args.mapping_dir.as_deref(), output)?;
    let address = match args.listen {
        Some(address) => address,
        None => {
            let traps = config::load_traps(options.config.as_deref());
            let listen = traps.map_err(Error::configuration)?.listen;
            listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 1162)))
        }
    };
    let socket = DatagramSocket::bind(address, BUFFER_BYTES).map_err(|error| {
        Error::failed(format!(
            "cannot listen on `{address}`: {error} (a running host receives traps itself: stop it, \
             or set `--listen`)"
        ))
    })?;
    output.note(&format!("listening on {}", socket.address()));
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let received = socket.receive(&mut buffer).map_err(Error::failed)?;
        if let Some((length, sender)) = received {
            left -= 1;
            let datagram = Bytes::copy_from_slice(&buffer[..length]);
            print(&TrapReport::new(datagram, Some(sender), &mappings), output)?;
        }
    }
    Ok(())
}

fn mappings(
    options: &GlobalOptions,
    folder: Option<&Path>,
    output: &Output<'_>,
) -> Result<TrapMappings, Error> {
    let config = config::load_traps(options.config.as_deref()).map_err(Error::configuration)?;
    let folder = folder.unwrap_or(&config.mapping_dir);
    let loaded = TrapMappings::load(folder, &config.mib_dirs).map_err(Error::configuration)?;
    for warning in loaded.warnings() {
        output.warn(warning);
    }
    Ok(loaded)
}

/// The datagram of an argument: a file, hexadecimal digits, or standard input.
fn datagram(argument: &str) -> Result<Bytes, Error> {
    if argument != "-" && !Path::new(argument).exists() {
        return octets(argument).ok_or_else(|| {
            Error::failed(format!(
                "`{argument}` is neither a file nor a datagram in hexadecimal digits"
            ))
        });
    }
    let content = read_input(argument)?;
    // A file may have either form.
    let text = std::str::from_utf8(&content).ok();
    let decoded = text.and_then(octets);
    Ok(decoded.unwrap_or_else(|| content.into()))
}

/// Hexadecimal digits, with white space and colons between them.
fn octets(text: &str) -> Option<Bytes> {
    let digits: Vec<u8> = text
        .trim()
        .trim_start_matches("0x")
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

impl TrapReport {
    fn new(datagram: Bytes, sender: Option<SocketAddr>, mappings: &TrapMappings) -> Self {
        let PlainMessage {
            version,
            notification,
        } = open_plain(datagram);
        let (notification, unreadable) = match notification {
            Ok(notification) => {
                let rules = mappings.rules(&notification);
                let skipped =
                    rules.map_while(|rule| Some((&*rule.origin, rule.mismatch(&notification)?)));
                let alert = trap_alert(&notification, mappings, now_ms());
                let report = NotificationReport {
                    kind: if notification.is_inform {
                        "inform"
                    } else {
                        "trap"
                    },
                    trap: notification.trap.to_string(),
                    name: trap_name(&notification, mappings),
                    result: MappingReport::new(&alert, skipped),
                    variables: notification
                        .variables
                        .iter()
                        .map(|variable| VariableReport {
                            oid: variable.oid.to_string(),
                            name: mappings.names().name(&variable.oid),
                            value: text_of(&variable.value),
                        })
                        .collect(),
                };
                (Some(report), None)
            }
            Err(reason) => (None, Some(reason)),
        };
        Self {
            sender: sender.map(|sender| sender.to_string()),
            version,
            unreadable,
            notification,
        }
    }
}

fn print(report: &TrapReport, output: &mut Output<'_>) -> Result<(), Error> {
    if output.is_json() {
        return output.json(report);
    }
    let from = report.sender.as_ref();
    let from = from.map_or_else(String::new, |sender| format!(" from {sender}"));
    let Some(notification) = &report.notification else {
        let reason = report.unreadable.as_deref().unwrap_or_default();
        return output.line(&format!("SNMP{}{from}: {reason}", report.version));
    };
    output.line(&format!(
        "SNMP{} {}{from}: {} ({})",
        report.version, notification.kind, notification.name, notification.trap
    ))?;
    for variable in &notification.variables {
        let name = variable.name.as_ref();
        let name = name.map_or_else(String::new, |name| format!(" ({name})"));
        output.line(&format!("  {}{name} = {}", variable.oid, variable.value))?;
    }
    notification.result.print("trap", output)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_datagram_is_given_in_digits_or_in_a_file() {
        assert_eq!(
            octets("30 0a:FF"),
            Some(Bytes::from_static(&[0x30, 0x0A, 0xFF]))
        );
        assert_eq!(octets("300"), None);
        assert_eq!(octets("hello"), None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trap").display().to_string();
        for content in [&b"\x30\x00"[..], b"3000\n"] {
            fs::write(&path, content).unwrap();
            assert_eq!(datagram(&path).unwrap(), Bytes::from_static(&[0x30, 0]));
        }
        assert!(datagram("no-such-file").is_err());
    }
}
