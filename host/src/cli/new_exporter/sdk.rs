//! The author's kit: packed by the build script.

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
