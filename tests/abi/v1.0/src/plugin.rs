//! The root module: what a plugin's library exports.

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, ROption, RResult, RSlice, RStr, RString, RVec},
};

use crate::{context::HostBox, exporter::ExporterBox, outcome::Outcome};

/// An [`Extension`], owned by whoever asked for it.
pub type ExtensionBox = Extension_TO<'static, RBox<()>>;

/// What a plugin's library exports. Fields are only ever added at the end.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
#[sabi(missing_field(option))]
pub struct Plugin {
    /// Makes the exporter of that name, with its settings as JSON text.
    ///
    /// A failure is an [`Outcome`] as well: `retry` where it may work later,
    /// `pause` where the settings are wrong.
    pub create_exporter: extern "C" fn(
        name: RStr<'_>,
        config: RStr<'_>,
        host: HostBox,
    ) -> RResult<ExporterBox, Outcome>,
    /// Something that not every plugin offers, by name.
    #[sabi(last_prefix_field)]
    pub get_extension: extern "C" fn(id: RStr<'_>) -> ROption<ExtensionBox>,
}

impl RootModule for PluginRef {
    abi_stable::declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "delfin_plugin";
    const NAME: &'static str = "delfin_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// A service found by its name: bytes in, bytes out, so that it can be carried
/// to another process like any other call. The name fixes what the bytes mean.
#[sabi_trait]
pub trait Extension: Send + Sync {
    #[sabi(last_prefix_field)]
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString>;
}
