//! Zabbix: its server, its frontend, and their database in PostgreSQL.

use std::{
    cell::Cell,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Postgres, Server, command, free_port, is_open, missing, must, postgres::binaries, unpacked,
};
use crate::{CommandOutput, wait_for};

/// The tables of the initial data that are more than templates of Zabbix.
const TABLES: [&str; 10] = [
    "role",
    "role_rule",
    "users",
    "usrgrp",
    "users_groups",
    "hstgrp",
    "config",
    "ids",
    "regexps",
    "expressions",
];

/// What PHP needs for the frontend.
const EXTENSIONS: [&str; 15] = [
    "ctype",
    "dom",
    "fileinfo",
    "gettext",
    "iconv",
    "posix",
    "simplexml",
    "sockets",
    "tokenizer",
    "xml",
    "xmlreader",
    "xmlwriter",
    "mbstring",
    "bcmath",
    "pgsql",
];

/// Debian's Zabbix, with GnuTLS, takes RSA certificates only unless this is set.
const CIPHERS: &str = "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-GCM:+AEAD:+SHA256:+CURVE-ALL:\
                       +COMP-NULL:+SIGN-ALL:+CTYPE-X.509";

const DATABASE: [&str; 5] = ["--host=127.0.0.1", "--username=postgres", "-q", "-t", "-A"];

/// A running Zabbix, until it is dropped.
pub struct Zabbix {
    server: Server,
    _frontend: Server,
    postgres: Postgres,
    port: u16,
    api: String,
    token: String,
    requests: Cell<u64>,
}

/// The PEM files of a server with TLS, which requires a certificate of its authority from its clients.
pub struct ZabbixTls<'a> {
    /// The authority.
    pub authority: &'a Path,
    /// The certificate of the server.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

impl Zabbix {
    /// Starts Zabbix on free ports with its files in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, tls: &ZabbixTls<'_>) -> Option<Self> {
        let root = unpacked();
        if !root.join("usr/sbin/zabbix_server").is_file() {
            return missing("zabbix_server");
        }
        let Some(psql) = binaries("psql") else {
            return missing("psql");
        };
        let postgres = Postgres::start(folder, None)?;
        fill_database(&psql.join("psql"), postgres.port(), &root);
        let (port, web) = (low_port(), free_port());
        let config = server_config(folder, [port, postgres.port()], tls);
        must(
            fs::write(folder.join("server.conf"), config),
            "write a file",
        );
        let config = format!(
            "<?php\n$DB['TYPE'] = 'POSTGRESQL';\n$DB['SERVER'] = '127.0.0.1';\n$DB['PORT'] = '{}';\n\
             $DB['DATABASE'] = 'zabbix';\n$DB['USER'] = 'postgres';\n$DB['PASSWORD'] = '';\n\
             $DB['SCHEMA'] = '';\n$DB['ENCRYPTION'] = false;\n$DB['DOUBLE_IEEE754'] = true;\n",
            postgres.port()
        );
        must(
            fs::write(folder.join("frontend.php"), config),
            "write a file",
        );
        let mut started = Self {
            server: run_server(folder, &root),
            _frontend: run_frontend(folder, &root, web),
            postgres,
            port,
            api: format!("http://127.0.0.1:{web}/api_jsonrpc.php"),
            token: String::new(),
            requests: Cell::new(0),
        };
        wait_for("the frontend of Zabbix", || is_open(web).then_some(()));
        let login = json!({ "user": "Admin", "password": "zabbix" });
        started.token = started.call("user.login", &login).as_str()?.to_owned();
        started.wait();
        Some(started)
    }

    /// The port of the server for values.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Imports a template, as a person does in the frontend.
    pub fn import(&self, template: &str) {
        let rules = ["groups", "templates", "items", "discoveryRules", "triggers"];
        let rules = rules.map(|rule| (rule.to_owned(), json!({ "createMissing": true })));
        let rules: Value = Value::Object(rules.into_iter().collect());
        let import = json!({ "format": "yaml", "source": template, "rules": rules });
        assert_eq!(self.call("configuration.import", &import), json!(true));
    }

    /// Creates a host with a template, and returns its id. Values for it must come over TLS if
    /// `only_tls`.
    pub fn create_host(&self, name: &str, template: &str, only_tls: bool) -> String {
        let template = json!({ "filter": { "host": [template] } });
        let template = self.call("template.get", &template)[0]["templateid"].take();
        let host = json!({
            "host": name,
            "groups": [{ "groupid": "2" }],
            "templates": [{ "templateid": template }],
            "tls_accept": if only_tls { 4 } else { 1 },
        });
        let id = self.call("host.create", &host)["hostids"][0].take();
        id.as_str().unwrap_or_default().to_owned()
    }

    /// Calls a method of the API.
    pub fn call(&self, method: &str, params: &Value) -> Value {
        self.requests.set(self.requests.get() + 1);
        let mut request = json!({
            "jsonrpc": "2.0",
            "method": method,
            "params": params,
            "id": self.requests.get(),
        });
        if !self.token.is_empty() {
            request["auth"] = json!(self.token);
        }
        let agent = ureq::Agent::config_builder().proxy(None).build();
        let response = agent
            .new_agent()
            .post(&self.api)
            .header("content-type", "application/json-rpc")
            .send(request.to_string());
        let text = response.and_then(|mut response| response.body_mut().read_to_string());
        let text = text.unwrap_or_else(|error| panic!("{method}: {error}"));
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_default();
        assert!(answer.get("result").is_some(), "{method}: {text}");
        answer["result"].take()
    }

    /// The values in a table of the database, such as `history`, in the order of their times: host,
    /// key, time in milliseconds, and value.
    #[must_use]
    pub fn values(&self, table: &str) -> Vec<(String, String, i64, Value)> {
        let query = format!(
            "select json_build_array(hosts.host, key_, clock::bigint * 1000 + ns / 1000000, value) \
             from {table} join items using (itemid) join hosts using (hostid) order by clock, ns"
        );
        let output = self.query(&query);
        let rows = output.lines().map(serde_json::from_str);
        rows.map(|row| row.unwrap_or_else(|error| panic!("{error}: {output}")))
            .collect()
    }

    /// Stops the server, which writes the values that it has accepted. Killed, it would leave its other
    /// processes behind.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts the server again, after it was stopped.
    pub fn restart(&mut self) {
        self.server.restart();
        self.wait();
    }

    fn query(&self, query: &str) -> String {
        let psql = binaries("psql").unwrap_or_else(|| panic!("psql has gone"));
        let mut psql = command(&psql.join("psql"));
        psql.args(DATABASE)
            .args([&format!("--port={}", self.postgres.port()), "zabbix", "-c"])
            .arg(query);
        let output = CommandOutput::run(&mut psql).expect_exit(0);
        output.stdout
    }

    fn wait(&self) {
        wait_for("Zabbix", || is_open(self.port).then_some(()));
    }
}

/// A port that is not in use. Zabbix takes none above 32767.
fn low_port() -> u16 {
    let first = 10_000 + (std::process::id() % 10_000) as u16;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (first..32_768).find(is_free);
    port.unwrap_or_else(|| panic!("no free port"))
}

/// Creates the tables, with the initial data but for the templates of Zabbix, which take half a
/// minute.
fn fill_database(psql: &Path, port: u16, root: &Path) {
    let scripts = root.join("usr/share/zabbix-server-pgsql");
    let tables = TABLES.join("|");
    let port = format!("--port={port}");
    let run = |database: &str, sql: &[u8]| {
        let mut psql = command(psql);
        psql.args(DATABASE).args([&port, "-1", database]);
        let _ = CommandOutput::run_with_input(&mut psql, sql).expect_exit(0);
    };
    // PostgreSQL listens before it takes queries.
    wait_for("a database for Zabbix", || {
        let mut create = command(psql);
        create
            .args(DATABASE)
            .args([&port, "-c", "create database zabbix"]);
        (CommandOutput::run(&mut create).code == Some(0)).then_some(())
    });
    let unpack = format!(
        "zcat {folder}/schema.sql.gz && zcat {folder}/data.sql.gz | grep -E '^INSERT INTO ({tables}) '",
        folder = scripts.display()
    );
    let mut unpack_scripts = command(Path::new("sh"));
    unpack_scripts.args(["-c", &unpack]);
    let sql = CommandOutput::run(&mut unpack_scripts).expect_exit(0);
    run("zabbix", sql.stdout.as_bytes());
}

/// Only the processes that values, discovery and problems need.
fn server_config(folder: &Path, [port, database]: [u16; 2], tls: &ZabbixTls<'_>) -> String {
    let folder = folder.display();
    let (authority, certificate) = (tls.authority.display(), tls.certificate.display());
    let none = [
        "Pollers",
        "IPMIPollers",
        "PollersUnreachable",
        "HTTPPollers",
        "Pingers",
    ];
    let none = none
        .into_iter()
        .chain(["Discoverers", "HistoryPollers", "ODBCPollers"]);
    let none: String = none.map(|name| format!("Start{name}=0\n")).collect();
    format!(
        "ListenPort={port}\nListenIP=127.0.0.1\nLogType=console\nAllowRoot=1\n\
         DBHost=127.0.0.1\nDBPort={database}\nDBName=zabbix\nDBUser=postgres\n\
         SocketDir={folder}\nPidFile={folder}/zabbix.pid\nCacheUpdateFrequency=1\n\
         StartTrappers=2\nStartPreprocessors=1\nStartLLDProcessors=1\nStartDBSyncers=1\n{none}\
         TLSCipherAll={CIPHERS}\nTLSCAFile={authority}\nTLSCertFile={certificate}\nTLSKeyFile={key}\n",
        key = tls.key.display()
    )
}

fn run_server(folder: &Path, root: &Path) -> Server {
    let config = folder.join("server.conf").display().to_string();
    let arguments = ["-f".to_owned(), "-c".to_owned(), config];
    let binary = root.join("usr/sbin/zabbix_server");
    Server::start(&binary, &arguments, &folder.join("zabbix.log"))
}

fn run_frontend(folder: &Path, root: &Path, port: u16) -> Server {
    let config = folder.join("frontend.php").display().to_string();
    let extensions = fs::read_dir(root.join("usr/lib/php")).into_iter().flatten();
    let mut extensions = extensions.flatten().map(|entry| entry.path());
    let extensions = extensions.find(|folder| folder.join("pgsql.so").is_file());
    let extensions: PathBuf = extensions.unwrap_or_else(|| panic!("PHP has no extensions"));
    let mut arguments = vec![format!("ZABBIX_CONFIG={config}")];
    arguments.push(root.join("usr/bin/php8.2").display().to_string());
    arguments.extend(["-n".to_owned(), "-d".to_owned()]);
    arguments.push(format!("extension_dir={}", extensions.display()));
    for extension in EXTENSIONS {
        arguments.extend(["-d".to_owned(), format!("extension={extension}")]);
    }
    arguments.extend([
        "-S".to_owned(),
        format!("127.0.0.1:{port}"),
        "-t".to_owned(),
    ]);
    arguments.push(root.join("usr/share/zabbix").display().to_string());
    Server::start(Path::new("env"), &arguments, &folder.join("frontend.log"))
}
