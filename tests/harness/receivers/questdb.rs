//! QuestDB.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Server, binary, free_port, get_json, missing, must, unpacked};
use crate::wait_for;

/// A running QuestDB, until it is dropped.
pub struct QuestDb {
    server: Server,
    port: u16,
}

restartable!(QuestDb);

impl QuestDb {
    /// Starts QuestDB on a free port with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let libraries = unpacked().join("questdb");
        if !libraries.is_dir() {
            return missing("questdb");
        }
        let java = binary("java")?;
        let port = free_port();
        let settings = format!(
            "http.bind.to=127.0.0.1:{port}\nhttp.min.enabled=false\npg.enabled=false\n\
             line.tcp.enabled=false\ntelemetry.enabled=false\nshared.worker.count=2\n"
        );
        let conf = folder.join("conf");
        must(fs::create_dir_all(&conf), "make a folder");
        must(
            fs::write(conf.join("server.conf"), settings),
            "write a configuration",
        );
        let arguments = [
            "-XX:+UseSerialGC".to_owned(),
            "-Xmx256m".to_owned(),
            "-p".to_owned(),
            libraries.display().to_string(),
            "-m".to_owned(),
            "io.questdb/io.questdb.ServerMain".to_owned(),
            "-d".to_owned(),
            folder.display().to_string(),
        ];
        let started = Self {
            server: Server::start(&java, &arguments, &folder.join("questdb.log")),
            port,
        };
        started.wait();
        Some(started)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The rows that a query finds; `None` if a table is missing.
    #[must_use]
    pub fn query(&self, query: &str) -> Option<Value> {
        let query = delfin_plugin_api::http::query_value(query);
        Some(get_json(&format!("{}/exec?query={query}", self.url()))?["dataset"].take())
    }

    fn wait(&self) {
        wait_for("QuestDB", || self.query("SELECT 1"));
    }
}
