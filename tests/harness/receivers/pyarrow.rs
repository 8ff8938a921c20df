//! pyarrow, which reads the Parquet files of others.

use std::path::Path;

use serde_json::Value;

use super::{binary, command, missing, must, unpacked};

/// The rows of all Parquet files in a folder, which are one dataset with the partitions of Hive;
/// `None` where pyarrow is missing.
///
/// Times are milliseconds since the Unix epoch, and floating-point numbers are texts.
#[must_use]
pub fn read_parquet(folder: &Path) -> Option<Vec<Value>> {
    let library = unpacked().join("pyarrow");
    if !library.join("pyarrow").is_dir() {
        return missing("pyarrow");
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/pyarrow/read.py");
    let mut python = command(&binary("python3")?);
    let read = python.arg("-B").args([&program, &library]).arg(folder);
    let output = must(read.output(), "run Python");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pyarrow cannot read: {errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows = text.lines().map(serde_json::from_str);
    Some(must(
        rows.collect::<Result<_, _>>().map_err(Into::into),
        "read the rows",
    ))
}
