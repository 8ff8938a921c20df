//! InfluxDB 1.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Server, binary, free_port, get_json, get_text, must};
use crate::wait_for;

/// A running InfluxDB with the database `delfin`, until it is dropped.
pub struct InfluxDb {
    server: Server,
    port: u16,
}

restartable!(InfluxDb);

impl InfluxDb {
    /// Starts InfluxDB on a free port with its data in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = binary("influxd")?;
        let [port, rpc] = [free_port(), free_port()];
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n\
             [meta]\ndir = \"{folder}/meta\"\n\
             [data]\ndir = \"{folder}/data\"\nwal-dir = \"{folder}/wal\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\n",
            folder = folder.display(),
        );
        let file = folder.join("influxdb.conf");
        must(fs::write(&file, config), "write a configuration");
        let config = file.display().to_string();
        let started = Self {
            server: Server::start(
                &binary,
                &["run".to_owned(), "-config".to_owned(), config],
                &folder.join("influxdb.log"),
            ),
            port,
        };
        started.wait();
        wait_for("a database", || started.query("CREATE DATABASE delfin"));
        Some(started)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The series that a query finds.
    #[must_use]
    pub fn query(&self, query: &str) -> Option<Vec<Value>> {
        let query = delfin_plugin_api::http::query_value(query);
        // A query that changes something is accepted in this way too, with a warning.
        let url = format!("{}/query?db=delfin&epoch=ns&q={query}", self.url());
        let mut answer = get_json(&url)?;
        match answer["results"][0]["series"].take() {
            Value::Array(series) => Some(series),
            _ => Some(Vec::new()),
        }
    }

    fn wait(&self) {
        wait_for("InfluxDB", || {
            get_text(&format!("{}/ping?verbose=true", self.url()))
        });
    }
}
