//! The settings of a cluster: hosts that share a state, where one is active.

use std::time::Duration;

use delfin_plugin_api::{
    Failure,
    postgres::{
        PostgresConnector,
        tokio_postgres::{self, config::SslMode},
    },
    quantity::parse_duration,
    setting::{ConfigError, Mistakes, Secret},
    tls::Tls,
};
use serde_json::{Map, Value};

use super::{
    kafka::{KafkaConfig, read_kafka},
    names::name_error,
    setting::Setting,
};
use crate::{
    journal::KafkaJournals,
    platform::{machine_name, tcp_name},
    postgres::ClusterDatabase,
};

const POSTGRES: &str = "write `postgres://USER@HOST:5432/DATABASE`";
const ADDRESS: &str =
    "write the URL by which clients reach this host, such as `http://host-a:8190`";
const LEASE: &str = "write a duration from `1s` to `1h`, such as `10s`";
const PRIORITY: &str = "write a number from 0 to 100";
const NAME: &str = "write 1 to 64 characters of `A-Z a-z 0-9 . _ -`";

const DEFAULT_NAME: &str = "delfin";
const DEFAULT_LEASE: Duration = Duration::from_secs(10);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_hours(1);
const HIGHEST_PRIORITY: u64 = 100;

/// `[cluster]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Where the database is, and who connects.
    postgres: tokio_postgres::Config,
    /// `None`: connections without TLS.
    tls: Option<Tls>,
    /// The name of the lease. Hosts with one state have the same.
    pub name: String,
    /// The name of this host among those with the same lease.
    pub member: String,
    /// The URL by which clients reach this host; `None`: where it listens.
    pub address: Option<String>,
    /// How long the active host may write after it was last able to prove that it is active.
    pub lease: Duration,
    /// The active host hands its lease over to a standby with a higher one. At most 100.
    pub priority: u8,
    /// Where the journals are. The rest of the state is in the database then. `None`: everything is in the state folder.
    pub kafka: Option<KafkaConfig>,
}

const KEYS: [&str; 11] = [
    "postgres",
    "password",
    "tls",
    "ca_certificate",
    "client_certificate",
    "client_key",
    "name",
    "member",
    "address",
    "lease",
    "priority",
];

impl ClusterConfig {
    /// Reads the settings of these keys.
    fn read(mut written: Map<String, Value>) -> Result<Self, ConfigError> {
        let mut take = |key| written.remove(key);
        let mut mistakes = Mistakes::default();
        let url = take("postgres");
        if url.is_none() {
            mistakes.missing("postgres", POSTGRES);
        }
        // Not shown: it may have a password.
        let postgres = mistakes.read_secret("postgres", url, read_url, POSTGRES);
        let mut postgres = postgres.unwrap_or_default();
        if postgres.get_ssl_mode() != SslMode::Prefer {
            mistakes.add(
                "`postgres` has `sslmode` (remove it, and set `tls`, which is true by default)"
                    .to_owned(),
            );
        }
        if let Some(password) = mistakes.secret("password", take("password")) {
            postgres.password(Secret::reveal(&password));
        }
        let certificates = ["ca_certificate", "client_certificate", "client_key"].map(&mut take);
        let tls = Tls::read_optional(take("tls"), certificates, &mut mistakes);
        let name = mistakes.read("name", take("name"), read_name, NAME);
        let member = mistakes.read("member", take("member"), read_name, NAME);
        let address = mistakes.read("address", take("address"), read_address, ADDRESS);
        let lease = mistakes.read("lease", take("lease"), read_lease, LEASE);
        let priority = mistakes.read("priority", take("priority"), read_priority, PRIORITY);
        mistakes.into_result(Self {
            postgres,
            tls,
            name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            member: member.unwrap_or_else(machine_name),
            address,
            lease: lease.unwrap_or(DEFAULT_LEASE),
            priority: priority.unwrap_or_default(),
            kafka: None,
        })
    }

    /// The database.
    ///
    /// # Errors
    ///
    /// A file of a certificate cannot be used.
    pub fn database(&self) -> Result<ClusterDatabase, Failure> {
        let connector = PostgresConnector::new(self.postgres.clone(), self.tls.as_ref())?;
        Ok(ClusterDatabase::new(connector, &self.database_name()))
    }

    /// Whether the hosts have their state in the database, and no shared folder.
    #[must_use]
    pub fn has_state_in_database(&self) -> bool {
        self.kafka.is_some()
    }

    /// The journals on Kafka of the member with the lease of an epoch; `None`: they are in the state folder.
    ///
    /// # Errors
    ///
    /// A file of a certificate cannot be used.
    pub fn journals(&self, epoch: i64) -> Result<Option<KafkaJournals>, Failure> {
        let Some(kafka) = &self.kafka else {
            return Ok(None);
        };
        Ok(Some(KafkaJournals {
            topics: kafka.topics(&self.name)?,
            database: self.database()?,
            epoch,
        }))
    }

    /// The hosts of the database and their ports, for messages.
    #[must_use]
    pub fn database_name(&self) -> String {
        let ports = self.postgres.get_ports();
        let hosts = self.postgres.get_hosts().iter().enumerate();
        let hosts = hosts.filter_map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).copied();
            let host = tcp_name(host)?;
            Some(format!("{host}:{}", port.unwrap_or(5432)))
        });
        hosts.collect::<Vec<_>>().join(",")
    }
}

/// Reads `[cluster]`.
pub(super) fn read_cluster(setting: &Setting<'_>) -> Option<ClusterConfig> {
    let mut section = setting.section()?;
    let cluster = section.read_values(KEYS, ClusterConfig::read);
    let kafka = section.take("kafka").and_then(|kafka| read_kafka(&kafka));
    section.finish();
    Some(ClusterConfig { kafka, ..cluster? })
}

fn read_url(value: &Value) -> Option<tokio_postgres::Config> {
    let url = value.as_str()?;
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return None;
    }
    let options: tokio_postgres::Config = url.parse().ok()?;
    let hosts = options.get_hosts();
    let is_complete = !hosts.is_empty() && hosts.iter().all(|host| tcp_name(host).is_some());
    (is_complete && options.get_user().is_some()).then_some(options)
}

fn read_name(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    name_error(name).is_none().then(|| name.to_owned())
}

fn read_lease(value: &Value) -> Option<Duration> {
    let lease = parse_duration(value.as_str()?)?;
    (SHORTEST_LEASE..=LONGEST_LEASE)
        .contains(&lease)
        .then_some(lease)
}

fn read_priority(value: &Value) -> Option<u8> {
    let priority = value.as_u64().filter(|value| *value <= HIGHEST_PRIORITY)?;
    u8::try_from(priority).ok()
}

fn read_address(value: &Value) -> Option<String> {
    let address = value.as_str()?;
    let (scheme, rest) = address.split_once("://")?;
    let is_plain = !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '@');
    (matches!(scheme, "http" | "https") && is_plain).then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(written: Value) -> Result<ClusterConfig, String> {
        let written = written.as_object().unwrap().clone();
        ClusterConfig::read(written).map_err(|error| error.to_string())
    }

    #[test]
    fn the_database_is_enough() {
        let cluster = read(json!({ "postgres": "postgres://delfin@db.example.com" })).unwrap();
        assert_eq!(cluster.name, "delfin");
        assert_eq!(cluster.member, machine_name());
        assert_eq!(cluster.lease, Duration::from_secs(10));
        assert_eq!(cluster.priority, 0);
        assert_eq!(cluster.tls, Some(Tls::default()));
        assert_eq!(cluster.database_name(), "db.example.com:5432");
        let two = "postgresql://delfin@db-a:5433,db-b:5434/delfin?target_session_attrs=read-write";
        let cluster = read(json!({ "postgres": two })).unwrap();
        assert_eq!(cluster.database_name(), "db-a:5433,db-b:5434");
    }

    #[test]
    fn a_password_is_not_shown() {
        let url = "postgres://delfin:hunter2@db";
        let cluster = read(json!({ "postgres": url })).unwrap();
        let text = format!("{cluster:?} {}", cluster.database_name());
        assert!(!text.contains("hunter2"), "{text}");
        let own = read(json!({ "postgres": "postgres://delfin@db", "password": "hunter2" }));
        assert_eq!(own.unwrap().postgres, cluster.postgres);
        let mistake = read(json!({ "postgres": "postgres://delfin:hunter2@db:x" })).unwrap_err();
        assert_eq!(
            mistake,
            format!("`postgres` has a wrong value ({POSTGRES})")
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let mistakes = read(json!({
            "postgres": "postgres://delfin@db?sslmode=disable", "member": "a b", "name": "",
            "address": "host-a:8190", "lease": "0s", "tls": "no",
            "priority": 101,
        }));
        let mistakes = mistakes.unwrap_err();
        for mistake in [
            "`postgres` has `sslmode` (remove it, and set `tls`",
            "`member` cannot be `\"a b\"` (write 1 to 64",
            "`name` cannot be `\"\"`",
            "`address` cannot be `\"host-a:8190\"` (write the URL",
            "`lease` cannot be `\"0s\"` (write a duration from `1s`",
            "`tls` cannot be `\"no\"`",
            "`priority` cannot be `101` (write a number from 0 to 100)",
        ] {
            assert!(mistakes.contains(mistake), "{mistake}: {mistakes}");
        }
        let missing = read(json!({})).unwrap_err();
        assert_eq!(missing, format!("`postgres` is missing ({POSTGRES})"));
        for url in [
            "db",
            "http://db",
            "postgres://db",
            "postgres://delfin@%2Frun",
            "",
        ] {
            let mistake = read(json!({ "postgres": url })).unwrap_err();
            assert!(mistake.contains(POSTGRES), "{url}: {mistake}");
        }
    }
}
