//! The sources of `delfin-plugin-api`, packed by the build script.

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
