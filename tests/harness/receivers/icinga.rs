//! Icinga 2 with its API.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Server, free_port, is_open, missing, must, unpacked};
use crate::{Authority, wait_for};

/// The part of the configuration that is not about this machine.
const CONFIG: &str = r#"
const NodeName = "localhost"
const ZoneName = "localhost"
include <itl>
object Endpoint NodeName {}
object Zone ZoneName { endpoints = [ NodeName ] }
library "checker"
object CheckerComponent "checker" {}
object ApiUser "delfin" { password = "secret"; permissions = [ "*" ] }
object ApiUser "limited" { password = "secret"; permissions = [ "objects/query/*" ] }
object ApiUser "certified" { client_cn = "client"; permissions = [ "*" ] }
"#;

/// A running Icinga without hosts, until it is dropped.
pub struct Icinga {
    server: Server,
    port: u16,
}

impl Icinga {
    /// Starts Icinga on a free port with its files in a folder; `None` where it is missing.
    ///
    /// The user `delfin` has the password `secret`, as has the user `limited`, which may only look. A
    /// client with a certificate of the authority for the name `client` is a user too.
    #[must_use]
    pub fn start(folder: &Path, authority: &Authority) -> Option<Self> {
        let binary = binary()?;
        let port = free_port();
        for name in ["data/certs", "log", "cache", "spool", "run/icinga2/cmd"] {
            must(fs::create_dir_all(folder.join(name)), "make a folder");
        }
        let own = authority.issue("localhost");
        for (file, name) in [
            (&authority.certificate, "ca.crt"),
            (&own.certificate, "localhost.crt"),
            (&own.key, "localhost.key"),
        ] {
            let copied = fs::copy(file, folder.join("data/certs").join(name));
            must(copied, "copy a certificate");
        }
        let config = format!(
            "{CONFIG}object ApiListener \"api\" {{ bind_host = \"127.0.0.1\"; bind_port = {port} }}\n"
        );
        let file = folder.join("icinga2.conf");
        must(fs::write(&file, config), "write a configuration");
        let arguments = arguments(folder, &file);
        let started = Self {
            server: Server::start(&binary, &arguments, &folder.join("icinga2.log")),
            port,
        };
        started.wait();
        Some(started)
    }

    /// The URL of the API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Stops Icinga. Killed, it would leave another process behind, which goes on.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts Icinga again, after it was stopped.
    pub fn restart(&mut self) {
        self.server.restart();
        self.wait();
    }

    fn wait(&self) {
        wait_for("Icinga", || is_open(self.port).then_some(()));
    }
}

/// The program itself: `/usr/sbin/icinga2` is a script.
fn binary() -> Option<PathBuf> {
    let name = format!(
        "usr/lib/{}-linux-gnu/icinga2/sbin/icinga2",
        std::env::consts::ARCH
    );
    let file = unpacked().join(name);
    if !file.is_file() {
        return missing("icinga2");
    }
    Some(file)
}

fn arguments(folder: &Path, config: &Path) -> Vec<String> {
    let share = unpacked().join("usr/share/icinga2");
    let mut arguments = vec!["daemon".to_owned(), "-c".to_owned()];
    arguments.push(config.display().to_string());
    let folders = [
        ("DataDir", folder.join("data")),
        ("LogDir", folder.join("log")),
        ("CacheDir", folder.join("cache")),
        ("SpoolDir", folder.join("spool")),
        ("InitRunDir", folder.join("run")),
        ("ConfigDir", folder.to_owned()),
        ("IncludeConfDir", share.join("include")),
        ("PkgDataDir", share),
    ];
    let folders = folders.map(|(name, folder)| format!("{name}={}", folder.display()));
    // It stays the user that it is.
    let user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
    let user = ["RunAsUser", "RunAsGroup"].map(|name| format!("{name}={user}"));
    for define in folders.into_iter().chain(user) {
        arguments.extend(["-D".to_owned(), define]);
    }
    arguments
}
