//! What `top` reads of the host.

use serde::{Deserialize, de::DeserializeOwned};

use crate::cli::client::{ClientError, HostClient, encode};

const MAX_ALERTS: usize = 1_000;

/// Everything on the first screen, at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) exporters: Vec<TopExporter>,
    pub(super) storages: Vec<TopStorage>,
    pub(super) alerts: Vec<TopAlert>,
    pub(super) journals: Vec<TopJournal>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TopExporter {
    pub(super) name: String,
    pub(super) plugin: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) state: String,
    pub(super) pending: u64,
    pub(super) delivered: u64,
    pub(super) dead_lettered: u64,
    pub(super) dropped: u64,
    pub(super) filtered: u64,
    pub(super) accepted_per_second: Option<f64>,
    pub(super) delivered_per_second: Option<f64>,
    pub(super) lag_seconds: f64,
    pub(super) last_error: Option<String>,
    pub(super) last_error_ms: Option<i64>,
    pub(super) next_attempt_ms: Option<i64>,
    pub(super) last_success: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TopStorage {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) last_success_ms: Option<i64>,
    pub(super) window_age_seconds: Option<f64>,
    pub(super) last_error: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TopAlert {
    pub(super) storage_name: Option<String>,
    pub(super) alert_name: Option<String>,
    pub(super) severity: Option<String>,
    pub(super) first_seen: i64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TopJournal {
    pub(super) kind: String,
    pub(super) needed_bytes: u64,
    pub(super) max_bytes: u64,
    pub(super) full_in_seconds: Option<f64>,
    pub(super) fault: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct TopDeadLetter {
    pub(super) id: String,
    pub(super) items: u64,
    pub(super) storage_id: Option<String>,
    pub(super) outcome: String,
    pub(super) reason: String,
    pub(super) attempts: u64,
    pub(super) last_tried_at: String,
}

impl Snapshot {
    pub(super) fn fetch(client: &HostClient) -> Result<Self, ClientError> {
        #[derive(Deserialize)]
        struct ListedExporters {
            exporters: Vec<TopExporter>,
        }
        #[derive(Deserialize)]
        struct ListedCollection {
            storages: Vec<TopStorage>,
        }
        #[derive(Deserialize)]
        struct ListedAlerts {
            alerts: Vec<TopAlert>,
        }
        #[derive(Deserialize)]
        struct ListedJournals {
            journals: Vec<TopJournal>,
        }

        let ListedExporters { exporters } = get(client, "/v1/exporters")?;
        let ListedCollection { storages } = get(client, "/v1/collection")?;
        let ListedAlerts { alerts } =
            get(client, &format!("/v1/alerts/active?limit={MAX_ALERTS}"))?;
        let ListedJournals { journals } = get(client, "/v1/journals")?;
        let mut snapshot = Self {
            exporters,
            storages,
            alerts,
            journals,
        };
        snapshot.put_worst_first();
        Ok(snapshot)
    }

    /// Orders storages and alerts so that the first lines are those that need a look.
    pub(super) fn put_worst_first(&mut self) {
        self.storages.sort_by(|a, b| {
            let rank = |row: &TopStorage| (row.status != "offline", row.last_error.is_none());
            let age = |row: &TopStorage| row.window_age_seconds.unwrap_or_default();
            rank(a)
                .cmp(&rank(b))
                .then(age(b).total_cmp(&age(a)))
                .then_with(|| a.name.cmp(&b.name))
        });
        self.alerts
            .sort_by_key(|row| (severity_rank(row.severity.as_deref()), -row.first_seen));
    }

    /// `1000+` if there may be more alerts than the host was asked for.
    pub(super) fn alert_count(&self) -> String {
        let more = if self.alerts.len() >= MAX_ALERTS {
            "+"
        } else {
            ""
        };
        format!("{}{more}", self.alerts.len())
    }
}

impl TopDeadLetter {
    /// The oldest dead letters of an exporter, as many as the host lists at once.
    pub(super) fn fetch(client: &HostClient, exporter: &str) -> Result<Vec<Self>, ClientError> {
        #[derive(Deserialize)]
        struct ListedDeadLetters {
            dead_letters: Vec<TopDeadLetter>,
        }

        let path = format!("/v1/dead-letters?exporter={}", encode(exporter));
        let ListedDeadLetters { dead_letters } = get(client, &path)?;
        Ok(dead_letters)
    }
}

const SEVERITIES: [&str; 6] = [
    "fatal",
    "critical",
    "major",
    "minor",
    "warning",
    "informational",
];

/// 0 is the worst.
pub(super) fn severity_rank(severity: Option<&str>) -> usize {
    let severity = severity.unwrap_or_default();
    let found = SEVERITIES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(severity));
    found.unwrap_or(SEVERITIES.len())
}

fn get<T: DeserializeOwned>(client: &HostClient, path: &str) -> Result<T, ClientError> {
    client.parse(path, &client.get(path)?)
}
