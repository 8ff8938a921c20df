//! PostgreSQL.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::geteuid;

use super::{Server, free_port, is_open, missing, must, unpacked};
use crate::{CommandOutput, wait_for};

/// The user that the server runs as if the tests run as root, because it refuses to run as root.
const UNPRIVILEGED: u32 = 65_534;

/// A running PostgreSQL, until it is dropped.
///
/// The role `postgres` connects without a password and without TLS. Every other role needs one,
/// and TLS if there is a certificate.
pub struct Postgres {
    server: Server,
    port: u16,
}

restartable!(Postgres);

/// The PEM files of a server.
pub struct PostgresTls<'a> {
    /// The certificate.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

impl Postgres {
    /// Starts PostgreSQL on a free port with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, tls: Option<&PostgresTls<'_>>) -> Option<Self> {
        let Some(binaries) = binaries("initdb") else {
            return missing("postgres");
        };
        let data = folder.join("data");
        must(fs::create_dir(&data), "create a folder");
        must(
            fs::set_permissions(&data, fs::Permissions::from_mode(0o700)),
            "set permissions",
        );
        if geteuid().is_root() {
            must(chown(&data, Some(UNPRIVILEGED), None), "give a folder away");
        }
        let mut initdb = Command::new("env");
        initdb.args(as_user()).arg(binaries.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8"]);
        initdb
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data);
        let _ = CommandOutput::run(&mut initdb).expect_exit(0);
        let remote = if tls.is_some() { "hostssl" } else { "host" };
        let access = format!(
            "host all postgres 127.0.0.1/32 trust\n{remote} all all 127.0.0.1/32 scram-sha-256\n"
        );
        must(
            fs::write(data.join("pg_hba.conf"), access),
            "write a configuration",
        );
        let port = free_port();
        let mut config = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
             fsync = off\njit = off\n"
        );
        if let Some(tls) = tls {
            let (certificate, key) = (tls.certificate.display(), tls.key.display());
            must(
                fs::set_permissions(tls.key, fs::Permissions::from_mode(0o600)),
                "set permissions",
            );
            config +=
                &format!("ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n");
        }
        must(
            fs::write(data.join("postgresql.conf"), config),
            "write a configuration",
        );
        let mut started = Self {
            server: run(&binaries, &data),
            port,
        };
        started.wait();
        Some(started)
    }

    /// A server for all tests of a process. It ends with the process, also if that is killed.
    #[must_use]
    pub fn for_this_process() -> Option<Self> {
        let folder = must(tempfile::tempdir(), "create a folder").keep();
        let started = Self::start(&folder, None)?;
        started.server.end_with_this_process(&folder);
        Some(started)
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.child.id()
    }

    /// Runs a statement as `postgres`. Returns its rows, a line each.
    pub fn execute(&self, statement: &str) -> String {
        let folder = binaries("psql").unwrap_or_default();
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", self.port);
        let mut psql = Command::new(folder.join("psql"));
        psql.args([
            "--quiet",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "--command",
        ]);
        let run = CommandOutput::run(psql.args([statement, &url]));
        run.expect_exit(0).stdout
    }

    fn wait(&mut self) {
        wait_for("PostgreSQL", || {
            // While processes of a server that was killed still end, another one gives up.
            if self.server.has_ended() {
                self.server.restart();
            }
            self.accepts().then_some(())
        });
    }

    /// Whether a client is let in: a server that has its port may still start up.
    fn accepts(&self) -> bool {
        let Some(binaries) = binaries("pg_isready") else {
            return is_open(self.port);
        };
        let mut command = Command::new(binaries.join("pg_isready"));
        command.args([
            "--quiet",
            "--host=127.0.0.1",
            "--port",
            &self.port.to_string(),
        ]);
        command.status().is_ok_and(|status| status.success())
    }
}

/// The folder of PostgreSQL's binaries that has this one.
pub(super) fn binaries(name: &str) -> Option<PathBuf> {
    let versions = [
        "/usr/lib/postgresql".into(),
        unpacked().join("usr/lib/postgresql"),
    ];
    let versions = versions.iter().flat_map(fs::read_dir).flatten().flatten();
    let mut folders = versions.map(|version| version.path().join("bin"));
    folders.find(|folder| folder.join(name).is_file())
}

/// The start of a command that does not run as root. The other user may read every file, because
/// the tests' folders are root's own.
fn as_user() -> Vec<String> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    let user = format!("--reuid={UNPRIVILEGED}");
    let read = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
    ["setpriv", &user, "--clear-groups", read[0], read[1]]
        .map(str::to_owned)
        .into()
}

fn run(binaries: &Path, data: &Path) -> Server {
    let mut arguments = as_user();
    arguments.push(binaries.join("postgres").display().to_string());
    arguments.extend(["-D".to_owned(), data.display().to_string()]);
    let log = data.with_file_name("postgres.log");
    Server::start(Path::new("env"), &arguments, &log)
}

impl Server {
    fn has_ended(&mut self) -> bool {
        let ended: io::Result<_> = self.child.try_wait();
        matches!(ended, Ok(Some(_)))
    }
}
