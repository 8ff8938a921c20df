//! The receiver of SNMP notifications of Net-SNMP.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Server, binary, free_port, must};
use crate::wait_for;

/// A running snmptrapd, until it is dropped.
pub struct Snmptrapd {
    server: Server,
    folder: PathBuf,
    port: u16,
    starts: usize,
}

restartable!(Snmptrapd);

/// A notification in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpNotification {
    /// `snmpTrapOID.0`
    pub oid: String,
    /// The objects below the example enterprise, by their number.
    objects: BTreeMap<u32, Vec<u8>>,
}

impl Snmptrapd {
    /// Starts snmptrapd on a free port with its data in a folder, and these lines in its
    /// configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, settings: &str) -> Option<Self> {
        binary("snmptrapd")?;
        let config = format!("format2 BEGIN\\t%v\\tEND\\n\n{settings}");
        must(
            fs::write(folder.join("snmptrapd.conf"), config),
            "write a configuration",
        );
        let port = free_port();
        let mut started = Self {
            server: run(folder, port),
            folder: folder.to_owned(),
            port,
            starts: 0,
        };
        started.wait();
        Some(started)
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has received so far.
    #[must_use]
    pub fn notifications(&self) -> Vec<SnmpNotification> {
        let log = self.log();
        let whole = log.split("BEGIN\t").skip(1);
        let whole = whole.filter_map(|text| Some(text.split_once("\tEND")?.0));
        whole.map(notification).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("notifications")).unwrap_or_default()
    }

    /// A line of the log tells that the socket is open.
    fn wait(&mut self) {
        self.starts += 1;
        wait_for("snmptrapd", || {
            let starts = self.log().matches("NET-SNMP version").count();
            (starts >= self.starts).then_some(())
        });
    }
}

impl SnmpNotification {
    /// The bytes of an object.
    #[must_use]
    pub fn bytes(&self, number: u32) -> &[u8] {
        let object = self.objects.get(&number);
        object.unwrap_or_else(|| panic!("no object {number} in {self:?}"))
    }

    /// An object as a text; numbers are written in digits.
    #[must_use]
    pub fn text(&self, number: u32) -> String {
        String::from_utf8_lossy(self.bytes(number)).into_owned()
    }
}

/// Reads `OID = TYPE: VALUE`, with tabs between the objects and texts as hexadecimal digits.
fn notification(text: &str) -> SnmpNotification {
    let mut oid = String::new();
    let mut objects = BTreeMap::new();
    for object in text.split('\t') {
        let Some((name, value)) = object.split_once(" = ") else {
            continue;
        };
        let (kind, value) = value.split_once(": ").unwrap_or((value, ""));
        if kind == "OID" {
            value.clone_into(&mut oid);
        }
        let number = name.strip_prefix(".1.3.6.1.4.1.32473.1.1.");
        let number = number.and_then(|rest| rest.strip_suffix(".0")?.parse().ok());
        if let Some(number) = number {
            objects.insert(number, bytes(kind, value));
        }
    }
    SnmpNotification { oid, objects }
}

fn bytes(kind: &str, value: &str) -> Vec<u8> {
    match kind {
        "Hex-STRING" => value
            .split_ascii_whitespace()
            .map(|digits| u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{value}")))
            .collect(),
        "INTEGER" => value.into(),
        // An empty text.
        "\"\"" => Vec::new(),
        _ => panic!("{kind}: {value}"),
    }
}

fn run(folder: &Path, port: u16) -> Server {
    let binary = binary("snmptrapd").unwrap_or_else(|| panic!("snmptrapd has gone"));
    let path = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        format!("SNMP_PERSISTENT_DIR={}", path("state")),
        binary.display().to_string(),
        // In the foreground, without other configurations, and with a log that goes on.
        "-f".to_owned(),
        "-C".to_owned(),
        "-c".to_owned(),
        path("snmptrapd.conf"),
        "-A".to_owned(),
        "-Lf".to_owned(),
        path("notifications"),
        // Numbers in place of names, and all texts in hexadecimal digits.
        "-m".to_owned(),
        String::new(),
        "-Onx".to_owned(),
        "-n".to_owned(),
        format!("udp:127.0.0.1:{port}"),
    ];
    Server::start(Path::new("env"), &arguments, &folder.join("snmptrapd.log"))
}
