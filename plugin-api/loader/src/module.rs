//! An open library, by whichever interface it exports.

use abi_stable::std_types::{RResult, RStr};
use delfin_plugin_abi::{ExporterBox, ExtensionBox, HostBox, Outcome, PluginRef};

use crate::c_plugin::CModule;

/// The functions of an open library.
#[derive(Clone, Copy)]
pub struct PluginModule(Interface);

#[derive(Clone, Copy)]
enum Interface {
    Rust(PluginRef),
    C(CModule),
}

impl PluginModule {
    pub(crate) fn rust(module: PluginRef) -> Self {
        Self(Interface::Rust(module))
    }

    pub(crate) fn c(module: CModule) -> Self {
        Self(Interface::C(module))
    }

    /// Makes an instance of an exporter. `config` is the settings as JSON text.
    ///
    /// # Errors
    ///
    /// The outcome with which the plugin refuses.
    pub fn create_exporter(
        &self,
        name: &str,
        config: &str,
        host: HostBox,
    ) -> Result<ExporterBox, Outcome> {
        let module = match self.0 {
            Interface::Rust(module) => module,
            Interface::C(module) => return module.create_exporter(name, config, host),
        };
        match module.create_exporter()(RStr::from_str(name), RStr::from_str(config), host) {
            RResult::ROk(exporter) => Ok(exporter),
            RResult::RErr(outcome) => Err(outcome),
        }
    }

    /// An extension, if the plugin has it.
    #[must_use]
    pub fn get_extension(&self, id: &str) -> Option<ExtensionBox> {
        match self.0 {
            Interface::Rust(module) => module.get_extension()(RStr::from_str(id)).into_option(),
            Interface::C(module) => module.get_extension(id),
        }
    }

    /// The root module; `None` if the library exports the C interface only.
    #[must_use]
    pub fn root_module(&self) -> Option<PluginRef> {
        match self.0 {
            Interface::Rust(module) => Some(module),
            Interface::C(_) => None,
        }
    }
}
