//! The sources of `delfin-plugin-api` and of the Python kit, packed by the build script.

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
