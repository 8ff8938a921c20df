//! The library of the process: opened once, by the descriptor that the host has passed.

use std::os::fd::OwnedFd;

use delfin_plugin_api::Failure;
use delfin_plugin_loader::PluginModule;

use super::descriptors;

pub(super) struct RunnerLibrary {
    file: OwnedFd,
    /// The interface version in its manifest.
    interface: String,
    open: Option<PluginModule>,
}

impl RunnerLibrary {
    pub(super) fn new(file: OwnedFd, interface: String) -> Self {
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
        let path = descriptors::path(&self.file);
        let plugin = delfin_plugin_loader::load(&path, &self.interface)
            .map_err(|reason| Failure::fatal(format!("the plugin {reason}")))?;
        self.open = Some(plugin);
        Ok(plugin)
    }
}
