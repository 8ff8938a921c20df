//! The library of the process: opened once, by the descriptor that the host has passed.

use delfin_plugin_api::Failure;
use delfin_plugin_loader::PluginModule;

use crate::platform::InheritedLibrary;

pub(super) struct RunnerLibrary {
    file: InheritedLibrary,
    /// The interface version in its manifest.
    interface: String,
    open: Option<PluginModule>,
}

impl RunnerLibrary {
    pub(super) fn new(file: InheritedLibrary, interface: String) -> Self {
        Self {
            file,
            interface,
            open: None,
        }
    }

    pub(super) fn open(&mut self) -> Result<PluginModule, Failure> {
        if let Some(plugin) = self.open {
            return Ok(plugin);
        }
        let plugin = delfin_plugin_loader::load(&self.file.path(), &self.interface)
            .map_err(|reason| Failure::fatal(format!("the plugin {reason}")))?;
        self.open = Some(plugin);
        Ok(plugin)
    }
}
