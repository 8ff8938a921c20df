//! Several clusters on one database and one broker.

use crate::{
    Setup,
    receivers::{KafkaBroker, Postgres},
};

const CLUSTER: &str = r#"
[cluster]
name = "CLUSTER"
member = "MEMBER"
postgres = "postgres://127.0.0.1:PORT/postgres?user=postgres"
tls = false
lease = "LEASE"
"#;

const KAFKA: &str = r#"
[cluster.kafka]
bootstrap_servers = "SERVERS"
replicas = 1
tls = false
[inventory]
key_file = "@/key"
"#;

/// What the clusters have in common.
pub struct Site {
    pub broker: KafkaBroker,
    pub database: Postgres,
    _folder: Setup,
}

impl Site {
    /// `None` where one of the servers is missing.
    #[must_use]
    pub fn start() -> Option<Self> {
        let folder = Setup::new(&[], "");
        Some(Self {
            broker: KafkaBroker::start()?,
            database: Postgres::start(&folder.path(""), None)?,
            _folder: folder,
        })
    }

    /// The table of a member of a cluster, with its lease. Its state is in its folder, as on a shared volume.
    #[must_use]
    pub fn member(&self, cluster: &str, member: &str, lease: &str) -> String {
        CLUSTER
            .replace("CLUSTER", cluster)
            .replace("MEMBER", member)
            .replace("LEASE", lease)
            .replace("PORT", &self.database.port().to_string())
    }

    /// The tables that put the state on Kafka and into the database. [`Setup::write_key`] writes the file `key`.
    #[must_use]
    pub fn kafka(&self) -> String {
        KAFKA.replace("SERVERS", &self.broker.servers())
    }
}
