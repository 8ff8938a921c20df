//! The settings of further inputs: `[inputs.NAME]`.

use std::path::PathBuf;

use super::read::Section;
use crate::platform::configuration_folder;

/// `[inputs]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputsConfig {
    pub webhook: WebhookConfig,
    pub alertmanager: AlertmanagerConfig,
    pub remote_write: SeriesInputConfig,
    pub otlp: SeriesInputConfig,
    pub influxdb: SeriesInputConfig,
}

/// `[inputs.alertmanager]`. Its mapping files are those of webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertmanagerConfig {
    /// Whether the API takes alerts of Alertmanager.
    pub enabled: bool,
}

/// `[inputs.remote_write]` and the tables of other protocols that bring series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesInputConfig {
    /// Whether the API takes series by this protocol.
    pub enabled: bool,
    /// The folder with mapping files, which need not exist.
    pub mapping_dir: PathBuf,
}

impl SeriesInputConfig {
    fn off(mapping_dir: &str) -> Self {
        Self {
            enabled: false,
            mapping_dir: configuration_folder().join(mapping_dir),
        }
    }
}

impl Default for InputsConfig {
    fn default() -> Self {
        Self {
            webhook: WebhookConfig::default(),
            alertmanager: AlertmanagerConfig::default(),
            remote_write: SeriesInputConfig::off("remote_write.d"),
            otlp: SeriesInputConfig::off("otlp.d"),
            influxdb: SeriesInputConfig::off("influxdb.d"),
        }
    }
}

/// `[inputs.webhook]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Whether the API takes webhooks.
    pub enabled: bool,
    /// The folder with mapping files, which need not exist.
    pub mapping_dir: PathBuf,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            mapping_dir: configuration_folder().join("webhooks.d"),
        }
    }
}

pub(super) fn read_inputs(mut section: Section<'_>) -> InputsConfig {
    let default = InputsConfig::default();
    let inputs = InputsConfig {
        webhook: read_webhook(section.take_section("webhook")),
        alertmanager: read_alertmanager(section.take_section("alertmanager")),
        remote_write: read_series_input(section.take_section("remote_write"), default.remote_write),
        otlp: read_series_input(section.take_section("otlp"), default.otlp),
        influxdb: read_series_input(section.take_section("influxdb"), default.influxdb),
    };
    section.finish();
    inputs
}

fn read_webhook(mut section: Section<'_>) -> WebhookConfig {
    let default = WebhookConfig::default();
    let webhook = WebhookConfig {
        enabled: section.take_flag("enabled", default.enabled),
        mapping_dir: read_mapping_dir(&mut section, default.mapping_dir),
    };
    section.finish();
    webhook
}

fn read_alertmanager(mut section: Section<'_>) -> AlertmanagerConfig {
    let default = AlertmanagerConfig::default();
    let enabled = section.take_flag("enabled", default.enabled);
    section.finish();
    AlertmanagerConfig { enabled }
}

fn read_series_input(mut section: Section<'_>, default: SeriesInputConfig) -> SeriesInputConfig {
    let input = SeriesInputConfig {
        enabled: section.take_flag("enabled", default.enabled),
        mapping_dir: read_mapping_dir(&mut section, default.mapping_dir),
    };
    section.finish();
    input
}

fn read_mapping_dir(section: &mut Section<'_>, default: PathBuf) -> PathBuf {
    let text = section.take_text("mapping_dir");
    text.map_or(default, |text| text.value.into())
}
