//! rsyslog, which writes what it receives into a file, and can forward it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Server, binary, free_port, is_open, must, unpacked};
use crate::{json_lines, wait_for};

/// A running rsyslog, until it is dropped.
pub struct Rsyslog {
    server: Server,
    folder: PathBuf,
    ports: RsyslogPorts,
}

/// The ports that rsyslog listens on.
#[derive(Debug, Clone, Copy)]
pub struct RsyslogPorts {
    /// TCP without TLS.
    pub tcp: u16,
    /// UDP.
    pub udp: u16,
    /// TLS, if it has certificates.
    pub tls: u16,
}

/// The PEM files of a server with TLS, which requires a certificate of its authority from its clients.
pub struct RsyslogTls<'a> {
    /// The authority.
    pub authority: &'a Path,
    /// The certificate of the server.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

/// The properties of a message in the file.
const PROPERTIES: [&str; 7] = [
    "pri",
    "timereported",
    "hostname",
    "app-name",
    "msgid",
    "structured-data",
    "msg",
];

impl Rsyslog {
    /// Starts rsyslog on free ports with its files in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, tls: Option<&RsyslogTls<'_>>) -> Option<Self> {
        Self::start_with(folder, tls, "")
    }

    /// Starts rsyslog with more actions in its configuration. Their TLS has the files of the server.
    #[must_use]
    pub fn start_with(folder: &Path, tls: Option<&RsyslogTls<'_>>, actions: &str) -> Option<Self> {
        let ports = RsyslogPorts {
            tcp: free_port(),
            udp: free_port(),
            tls: free_port(),
        };
        binary("rsyslogd")?;
        let config = config(folder, ports, tls) + actions;
        must(
            fs::write(folder.join("rsyslog.conf"), config),
            "write a configuration",
        );
        let started = Self {
            server: run(folder),
            folder: folder.to_owned(),
            ports,
        };
        started.wait();
        Some(started)
    }

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> RsyslogPorts {
        self.ports
    }

    /// Stops rsyslog, which writes what it has received.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts rsyslog again, after it was stopped.
    pub fn restart(&mut self) {
        self.server.restart();
        self.wait();
    }

    /// The messages of an application in the file, by the names of their properties.
    #[must_use]
    pub fn messages(&self, application: &str) -> Vec<Value> {
        let messages = json_lines(&self.folder.join("messages")).into_iter();
        messages
            .filter(|message| message["app-name"] == application)
            .collect()
    }

    fn wait(&self) {
        wait_for("rsyslog", || is_open(self.ports.tcp).then_some(()));
    }
}

fn config(folder: &Path, ports: RsyslogPorts, tls: Option<&RsyslogTls<'_>>) -> String {
    let properties = PROPERTIES.map(|name| {
        let date = if name == "timereported" {
            " dateformat=\"rfc3339\""
        } else {
            ""
        };
        format!("property(outname=\"{name}\" name=\"{name}\" format=\"jsonf\"{date})\n")
    });
    let files = tls.map(
        |RsyslogTls {
             authority,
             certificate,
             key,
         }| {
            format!(
                "defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
             defaultNetstreamDriverKeyFile=\"{}\"",
                authority.display(),
                certificate.display(),
                key.display()
            )
        },
    );
    let input = tls.map(|_| {
        format!(
            "input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{}\" streamDriver.name=\"ossl\" \
             streamDriver.mode=\"1\" streamDriver.authMode=\"x509/certvalid\")\n",
            ports.tls
        )
    });
    format!(
        "global(workDirectory=\"{folder}\" maxMessageSize=\"64k\" {files})\n\
         module(load=\"imtcp\")\nmodule(load=\"imudp\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tcp}\")\n\
         input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\")\n{input}\
         template(name=\"line\" type=\"list\" option.jsonf=\"on\") {{\n{properties}}}\n\
         action(type=\"omfile\" file=\"{folder}/messages\" template=\"line\")\n",
        folder = folder.display(),
        files = files.unwrap_or_default(),
        tcp = ports.tcp,
        udp = ports.udp,
        input = input.unwrap_or_default(),
        properties = properties.concat(),
    )
}

fn run(folder: &Path) -> Server {
    let libraries = format!("usr/lib/{}-linux-gnu/rsyslog", std::env::consts::ARCH);
    let modules = [unpacked(), PathBuf::from("/")].map(|root| root.join(&libraries));
    let modules = modules.iter().find(|folder| folder.is_dir());
    let arguments = [
        "-n".to_owned(),
        format!("-f{}", folder.join("rsyslog.conf").display()),
        format!("-i{}", folder.join("rsyslog.pid").display()),
        format!(
            "-M{}",
            modules
                .unwrap_or_else(|| panic!("rsyslog has no modules"))
                .display()
        ),
    ];
    let binary = binary("rsyslogd").unwrap_or_else(|| panic!("rsyslog has gone"));
    Server::start(&binary, &arguments, &folder.join("rsyslog.log"))
}
