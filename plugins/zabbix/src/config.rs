//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key and a remedy; a bad
//! value never falls back to a default.

use std::{marker::PhantomData, time::Duration};

use delfin_plugin_api::{
    setting::{ConfigError, Mistakes},
    stream::Address,
    tls::Tls,
    workers::read_workers,
};
use serde::Deserialize;
use serde_json::Value;

use crate::encode::{ItemNames, ValueBatch};

const COMPRESSION: &str = "write `zlib` or `none`";
const ONLY_POINTS: &str = "remove it: only items for points are discovered";
const PORT: u16 = 10051;
const DEFAULT_WORKERS: usize = 2;
const DEFAULT_DISCOVERY_KEY: &str = "delfin.discovery";

/// Zabbix creates items at once, and accepts values for them after `CacheUpdateFrequency`, which is a
/// minute or less.
const DEFAULT_DISCOVERY_TIMEOUT: Duration = Duration::from_mins(5);

/// Checked settings of an exporter of batches `B`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "RawSettings", bound = "B: ValueBatch")]
pub(crate) struct Config<B> {
    pub(crate) connection: ZabbixConfig,
    pub(crate) items: ItemNames,
    /// `None`: the series of a host are not listed.
    pub(crate) discovery: Option<DiscoveryConfig>,
    /// Requests at the same time.
    pub(crate) workers: usize,
    batches: PhantomData<fn(B)>,
}

#[derive(Debug)]
pub(crate) struct ZabbixConfig {
    pub(crate) address: Address,
    /// `None`: connections without TLS.
    pub(crate) tls: Option<Tls>,
    pub(crate) compress: bool,
}

#[derive(Debug)]
pub(crate) struct DiscoveryConfig {
    /// The key of the rule.
    pub(crate) key: String,
    /// How long Zabbix may take to create an item.
    pub(crate) timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<Value>,
    host: Option<Value>,
    key: Option<Value>,
    discovery: Option<Value>,
    discovery_key: Option<Value>,
    discovery_timeout: Option<Value>,
    workers: Option<Value>,
    compression: Option<Value>,
    tls: Option<Value>,
    ca_certificate: Option<Value>,
    client_certificate: Option<Value>,
    client_key: Option<Value>,
}

impl<B: ValueBatch> TryFrom<RawSettings> for Config<B> {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        let address = Address::read("address", written.address, PORT, &mut mistakes);
        let items = ItemNames::read::<B>(written.host, written.key, &mut mistakes);
        let discovery = [
            written.discovery,
            written.discovery_key,
            written.discovery_timeout,
        ];
        let discovery = read_discovery::<B>(discovery, &mut mistakes);
        let workers = read_workers("workers", written.workers, DEFAULT_WORKERS, &mut mistakes);
        let read_compression = |value: &Value| match value.as_str()? {
            "zlib" => Some(true),
            "none" => Some(false),
            _ => None,
        };
        let compress = mistakes.read(
            "compression",
            written.compression,
            read_compression,
            COMPRESSION,
        );
        let files = [
            written.ca_certificate,
            written.client_certificate,
            written.client_key,
        ];
        let tls = Tls::read_optional(written.tls, files, &mut mistakes);
        let Some(address) = address else {
            return Err(mistakes.into());
        };
        mistakes.into_result(Self {
            connection: ZabbixConfig {
                address,
                tls,
                compress: compress.unwrap_or(true),
            },
            items,
            discovery,
            workers,
            batches: PhantomData,
        })
    }
}

fn read_discovery<B: ValueBatch>(
    [is_on, key, timeout]: [Option<Value>; 3],
    mistakes: &mut Mistakes,
) -> Option<DiscoveryConfig> {
    if !B::HAS_DISCOVERY {
        for (name, value) in [
            ("discovery", is_on),
            ("discovery_key", key),
            ("discovery_timeout", timeout),
        ] {
            if value.is_some() {
                mistakes.add(format!("`{name}` has no effect on alerts ({ONLY_POINTS})"));
            }
        }
        return None;
    }
    let is_on = mistakes.flag_or("discovery", is_on, true);
    let config = DiscoveryConfig {
        key: mistakes
            .text("discovery_key", key)
            .unwrap_or_else(|| DEFAULT_DISCOVERY_KEY.to_owned()),
        timeout: mistakes
            .duration("discovery_timeout", timeout)
            .unwrap_or(DEFAULT_DISCOVERY_TIMEOUT),
    };
    is_on.then_some(config)
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{AlertBatch, PerformanceBatch};
    use serde_json::json;

    use super::*;

    fn read<B: ValueBatch + std::fmt::Debug>(config: Value) -> Result<String, String> {
        let config: Result<Config<B>, _> = serde_json::from_value(config);
        config
            .map(|config| format!("{config:?}"))
            .map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        let mistakes = read::<PerformanceBatch>(json!({
            "host": "a/b",
            "key": "{oops}",
            "compression": true,
            "discovery_timeout": "0s",
            "workers": 0,
        }));
        let mistakes = mistakes.unwrap_err();
        for part in [
            "`address` is missing (write a host and a port, such as `receiver.example.com:10051`)",
            "`host` cannot be `a/b`: a host has `A` to `Z`",
            "`key` cannot be `{oops}`",
            "`compression` cannot be `true` (write `zlib` or `none`)",
            "`discovery_timeout` cannot be `\"0s\"`",
            "`workers` cannot be `0`",
        ] {
            assert!(mistakes.contains(part), "{part}: {mistakes}");
        }
        let alerts = read::<AlertBatch>(json!({ "address": "z", "discovery": true }));
        assert!(alerts.unwrap_err().contains("no effect on alerts"));
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        let of = |exporter: &str| example["exporter"][exporter]["config"].clone();
        let points = of("PerformanceExporterZabbix");
        let required = json!({ "address": points["address"] });
        let alerts = of("AlertExporterZabbix");
        assert_eq!(
            read::<PerformanceBatch>(points),
            read::<PerformanceBatch>(required.clone())
        );
        assert_eq!(read::<AlertBatch>(alerts), read::<AlertBatch>(required));
    }
}
