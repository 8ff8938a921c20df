//! Asks an open plugin whether it accepts settings, without an instance.

use abi_stable::std_types::{RResult, RSlice};
use delfin_plugin_abi::ExtensionBox;
use delfin_plugin_api::{__glue::CHECK_EXTENSION, Failure, Outcome};
use delfin_plugin_loader::PluginModule;
use serde_json::json;

use super::call::InstanceSettings;

/// The plugin's own check of settings.
pub(super) struct SettingsCheck(ExtensionBox);

impl SettingsCheck {
    /// `None` if the plugin was built before plugins could check settings.
    pub(super) fn of(plugin: PluginModule) -> Option<Self> {
        plugin.get_extension(CHECK_EXTENSION).map(Self)
    }

    /// Blocks until the plugin answers.
    ///
    /// # Errors
    ///
    /// [`Failure::Misconfigured`] says why the plugin refuses the settings.
    pub(super) fn run(&self, settings: &InstanceSettings) -> Outcome {
        let request = json!({ "exporter": settings.exporter, "config": settings.config });
        let request = request.to_string();
        match self.0.call(RSlice::from_slice(request.as_bytes())) {
            RResult::ROk(_) => Ok(()),
            RResult::RErr(reason) => Err(Failure::misconfigured(reason)),
        }
    }
}
