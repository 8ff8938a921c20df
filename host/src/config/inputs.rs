//! The settings of further inputs: `[inputs.NAME]`.

use std::path::PathBuf;

use super::read::Section;

/// `[inputs]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputsConfig {
    pub webhook: WebhookConfig,
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
            mapping_dir: "/etc/delfin/webhooks.d".into(),
        }
    }
}

pub(super) fn read_inputs(mut section: Section<'_>) -> InputsConfig {
    let webhook = read_webhook(section.take_section("webhook"));
    section.finish();
    InputsConfig { webhook }
}

fn read_webhook(mut section: Section<'_>) -> WebhookConfig {
    let default = WebhookConfig::default();
    let mapping_dir = section.take_text("mapping_dir");
    let webhook = WebhookConfig {
        enabled: section.take_flag("enabled", default.enabled),
        mapping_dir: mapping_dir.map_or(default.mapping_dir, |text| text.value.into()),
    };
    section.finish();
    webhook
}
