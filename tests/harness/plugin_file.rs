//! Invalid plugin files: C code with a manifest, and libraries with replaced bytes.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::CommandOutput;

const MAGIC: &[u8] = b"DELFINPL";

/// Compiles C code into a library.
pub fn compile(library: &Path, code: &str) {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-x", "c", "-", "-o"])
        .arg(library)
        .stdin(Stdio::piped());
    let _ = CommandOutput::run_with_input(&mut cc, code.as_bytes()).expect_exit(0);
}

/// C code with the manifest of a plugin that offers one exporter. The library has no entry points of
/// a plugin: only its constructors run.
#[must_use]
pub fn with_manifest(exporter: &str, code: &str) -> String {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let manifest = format!(
        r#"{{"abi":"1.0.0","target":"{arch}-unknown-{os}-gnu","panic":"unwind","plugin":"tiny",
        "version":"0.1.0","exporters":[{{"name":"{exporter}","kind":"performance"}}]}}"#
    );
    let mut record = MAGIC.to_vec();
    record.extend(1_u32.to_le_bytes());
    record.extend((manifest.len() as u32).to_le_bytes());
    record.extend(manifest.as_bytes());
    let bytes: Vec<_> = record.iter().map(u8::to_string).collect();
    format!(
        "__attribute__((section(\".delfin_plugin\"), used))\n\
         static const unsigned char manifest[] = {{ {} }};\n{code}\n",
        bytes.join(",")
    )
}

/// C code that runs when the library is opened.
#[must_use]
pub fn constructor(code: &str) -> String {
    format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void start(void) {{ {code} }}"
    )
}

/// Replaces the first occurrence of `from` in a file.
pub fn patch(file: &Path, from: &[u8], to: &[u8]) {
    assert_eq!(
        from.len(),
        to.len(),
        "a patch keeps every other byte in place"
    );
    let read = fs::read(file);
    let mut bytes = read.unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
    let at = bytes.windows(from.len()).position(|bytes| bytes == from);
    let at = at.unwrap_or_else(|| panic!("{from:?} is not in `{}`", file.display()));
    bytes[at..at + to.len()].copy_from_slice(to);
    let written = fs::write(file, bytes);
    written.unwrap_or_else(|error| panic!("`{}`: {error}", file.display()));
}
