//! Passes the compiler version and the target to the crate, for the manifest.

use std::{env, process::Command};

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!(
        "cargo:rustc-env=DELFIN_RUSTC={}",
        version.unwrap_or_default()
    );
    println!(
        "cargo:rustc-env=DELFIN_TARGET={}",
        env::var("TARGET").unwrap_or_default()
    );
    println!("cargo:rerun-if-changed=build.rs");
}
