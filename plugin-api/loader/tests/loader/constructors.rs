//! When code of a plugin runs: its constructors.

use std::{fs, path::Path};

use delfin_plugin_loader::{Catalog, Reason, check, find, inspect};

use crate::lab::{Lab, good_manifest};

/// C code that runs when the library is opened, and adds a line to `trace`.
fn constructor(trace: &Path, then: &str) -> String {
    format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void start(void) {{\n\
             FILE *trace = fopen(\"{}\", \"a\");\n\
             fputs(\"ran\\n\", trace);\n\
             fclose(trace);\n\
             {then}\n\
         }}",
        trace.display()
    )
}

fn runs(trace: &Path) -> usize {
    fs::read_to_string(trace).map_or(0, |text| text.lines().count())
}

#[test]
fn finding_inspecting_checking_and_cataloguing_run_no_code_of_a_plugin() {
    let lab = Lab::new();
    let trace = lab.outside("trace");
    let path = lab.tiny("tiny.so", &good_manifest(), &constructor(&trace, ""));
    let (found, _) = find(&[lab.plugins()]);
    let plugin = inspect(&found[0]).unwrap();
    check(&plugin).unwrap();
    let catalog = Catalog::new(vec![plugin]);
    catalog.entry("Tiny", None).unwrap();
    assert_eq!(runs(&trace), 0);
    // The constructor does run once the library is opened.
    assert_eq!(lab.refused(&path), Reason::NoRootModule);
    assert_eq!(runs(&trace), 1);
}
