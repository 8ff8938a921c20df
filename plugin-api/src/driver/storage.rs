//! The storage that a driver asks, as it was registered.

use std::time::Duration;

use serde_json::{Map, Value};

/// The storage that a driver asks, as it was registered. It has secrets: do not log it.
#[derive(Clone)]
pub struct RegisteredStorage {
    /// The id of the storage in the host.
    pub id: String,
    /// The vendor in the manifest.
    pub vendor: String,
    /// The model in the manifest.
    pub model: String,
    /// Everything that the storage was registered with, secrets in clear.
    pub options: Map<String, Value>,
    /// The time between two measurements; `None` if there is no interval.
    pub interval: Option<Duration>,
}

/// How to reach a storage over one protocol. It has secrets: do not log it.
#[derive(Clone)]
pub struct StorageAccess {
    /// Name or address.
    pub host: String,
    /// 0 if none was registered.
    pub port: u16,
    /// Empty if none was registered.
    pub username: String,
    /// Empty if none was registered.
    pub password: String,
    /// All values as they were registered.
    pub table: Map<String, Value>,
}

impl StorageAccess {
    /// Host and port as a URL has them; without a port if none was registered.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.host.trim();
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        match self.port {
            0 => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl RegisteredStorage {
    /// How to reach the storage over `rest`, `ssh`, `cli` or `smis`; `None` if not registered.
    #[must_use]
    pub fn access(&self, kind: &str) -> Option<StorageAccess> {
        let table = self.options.get(kind)?.as_object()?;
        let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
        let port = table.get("port").and_then(Value::as_u64);
        Some(StorageAccess {
            host: text("host").to_owned(),
            port: port
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or_default(),
            username: text("username").to_owned(),
            password: text("password").to_owned(),
            table: table.clone(),
        })
    }

    /// A value of the `extra_attributes` of the registration.
    #[must_use]
    pub fn extra(&self, key: &str) -> Option<&Value> {
        self.options.get("extra_attributes")?.get(key)
    }
}

impl std::fmt::Debug for RegisteredStorage {
    /// Without the options, which have secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredStorage")
            .field("id", &self.id)
            .field("vendor", &self.vendor)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for StorageAccess {
    /// Without the password and the table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageAccess")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
