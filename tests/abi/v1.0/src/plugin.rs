//! The root module that a plugin's library exports.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, ROption, RResult, RSlice, RStr, RString, RVec},
};

use crate::{context::HostBox, exporter::ExporterBox, outcome::Outcome};

/// An [`Extension`], owned by its caller.
pub type ExtensionBox = Extension_TO<'static, RBox<()>>;

/// The functions that a plugin's library exports. New fields are added at the end only.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
#[sabi(missing_field(option))]
pub struct Plugin {
    /// Makes an instance of an exporter. `config` is the settings as JSON text.
    ///
    /// A failure is an [`Outcome`] of class `retry` if it may succeed later, and `pause` if
    /// the settings are wrong.
    pub create_exporter: extern "C" fn(
        name: RStr<'_>,
        config: RStr<'_>,
        host: HostBox,
    ) -> RResult<ExporterBox, Outcome>,
    /// An extension that not every plugin has.
    #[sabi(last_prefix_field)]
    pub get_extension: extern "C" fn(id: RStr<'_>) -> ROption<ExtensionBox>,
}

impl RootModule for PluginRef {
    abi_stable::declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "delfin_plugin";
    const NAME: &'static str = "delfin_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// A service with an id. It takes and returns bytes, so that it can cross to another
/// process like any other call. The id defines the meaning of the bytes.
#[sabi_trait]
pub trait Extension: Send + Sync {
    #[sabi(last_prefix_field)]
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString>;
}
