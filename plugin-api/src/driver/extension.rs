//! The extension by which a host runs the drivers of a library.

use std::time::Duration;

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RString, RVec},
};
use delfin_plugin_abi as abi;
use delfin_plugin_protocol::{DriverExtensionRequest, socket_from_number};

use super::server::{FindDriver, serve};

/// The extension of a library whose drivers `find` finds. `module` is one of the library.
pub fn extension(find: FindDriver, module: &'static str) -> abi::ExtensionBox {
    abi::Extension_TO::from_value(DriverExtension { find, module }, TD_Opaque)
}

/// A time in seconds, for the manifest.
#[must_use]
pub const fn manifest_seconds(time: Duration) -> u64 {
    assert!(
        time.as_secs() > 0 && time.subsec_nanos() == 0,
        "`TIMEOUT` and `INTERVAL` must be a whole number of seconds, at least 1"
    );
    time.as_secs()
}

struct DriverExtension {
    find: FindDriver,
    module: &'static str,
}

impl abi::Extension for DriverExtension {
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString> {
        let served = serde_json::from_slice(&request)
            .map_err(|error| error.to_string())
            .and_then(|DriverExtensionRequest { descriptor }| {
                // SAFETY: the host hands over the descriptor with the request, as the extension says.
                let socket = unsafe { socket_from_number(descriptor) }?;
                serve(socket, self.find, self.module).map_err(|error| error.to_string())
            });
        match served {
            Ok(()) => RResult::ROk(RVec::new()),
            Err(reason) => RResult::RErr(reason.into()),
        }
    }
}
