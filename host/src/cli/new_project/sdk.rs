//! The sources of `delfin-plugin-api` and of the other kits, packed by the build script.

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
