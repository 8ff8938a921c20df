//! Asks an open plugin whether it accepts settings, without an instance.

use abi_stable::std_types::{ROption, RResult, RSlice, RStr};
use delfin_plugin_abi::{ExtensionBox, PluginRef};
use delfin_plugin_api::{__glue::CHECK_EXTENSION, Failure, Outcome};
use serde_json::json;

use super::call::InstanceSettings;

/// The plugin's own check of settings.
pub(super) struct SettingsCheck(ExtensionBox);

impl SettingsCheck {
    /// `None` if the plugin was built before plugins could check settings.
    pub(super) fn of(plugin: PluginRef) -> Option<Self> {
        match plugin.get_extension()(RStr::from(CHECK_EXTENSION)) {
            ROption::RSome(extension) => Some(Self(extension)),
            ROption::RNone => None,
        }
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
