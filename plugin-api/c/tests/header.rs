//! The header and the Rust types describe the same structs.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{fs, mem::offset_of, path::Path, process::Command};

use delfin_plugin_c::{CCall, CField, CHost, CLogRecord, CPart, CPlugin, VERSION};

/// Each member of the header, with its offset, and each struct with its size.
macro_rules! members {
    ($($c:literal $rust:ty { $($member:ident)* })*) => {
        vec![$(
            (format!("sizeof({})", $c), size_of::<$rust>()),
            $((
                format!("offsetof({}, {})", $c, stringify!($member)),
                offset_of!($rust, $member),
            ),)*
        )*]
    };
}

fn structs() -> Vec<(String, usize)> {
    members! {
        "delfin_field" CField { key value }
        "delfin_log_record" CLogRecord {
            struct_size level target message fields field_count instance_unknown reserved
        }
        "delfin_host" CHost {
            struct_size instance exporter state_dir max_level reserved context log count
            has_extension call_extension
        }
        "delfin_part" CPart {
            batch_id first_row rows accepted_ms storage_id complete reserved
        }
        "delfin_call" CCall {
            struct_size attempt origin part_size parts part_count context remaining_ns cancelled
            set_message set_retry_after add_rows add_extra has_extension call_extension
        }
        "delfin_plugin" CPlugin {
            struct_size version create export_batch flush health tick close destroy check
            has_extension call_extension
        }
    }
}

/// Compiles a program, and returns its output.
fn run(compiler: &str, arguments: &[&str], name: &str, source: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source_file = folder.path().join(name);
    let program = folder.path().join("program");
    fs::write(&source_file, source).unwrap();
    let mut command = Command::new(compiler);
    command
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(arguments);
    command.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")));
    let compiled = command
        .arg(source_file)
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{compiler}: {errors}");
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn printing(print: &str) -> String {
    format!(
        "#include \"delfin_batch.h\"\n#include \"delfin_settings.h\"\n\
         DELFIN_PLUGIN_MANIFEST(\"a\", \"0.1.0\", \"\", \"\",\n\
         DELFIN_EXPORTER(\"A\", \"alert\", \"\"), \"key = \\\"value\\\"\\n\");\n\
         int main(void) {{ {print} return 0; }}\n"
    )
}

#[test]
fn every_member_has_the_offset_of_the_header() {
    let structs = structs();
    let prints = structs
        .iter()
        .map(|(what, _)| format!("printf(\"%zu\\n\", (size_t){what});"));
    let source = printing(&prints.collect::<String>());
    let printed = run("cc", &["-std=c99"], "layout.c", &source);
    for (line, (what, expected)) in printed.lines().zip(&structs) {
        assert_eq!(line, expected.to_string(), "{what}");
    }
    assert_eq!(printed.lines().count(), structs.len());
}

#[test]
fn the_headers_compile_as_cpp_and_say_the_version() {
    let source = printing("printf(\"%u\", (unsigned)DELFIN_VERSION);");
    let printed = run("c++", &["-std=c++11"], "layout.cc", &source);
    assert_eq!(printed, VERSION.to_string());
}

/// Settings as the host writes them, and what the header reads.
#[test]
fn settings_are_read_with_their_escapes_types_and_nested_values() {
    const TAKE: &str = r#"
        static const char *take(void *data, const delfin_setting *setting) {
            (void)data;
            printf("%s %d %.*s %g\n", setting->key, setting->type, (int)setting->text.len,
                   setting->text.data, setting->number);
            return strcmp(setting->key, "bad") == 0 ? "is refused" : NULL;
        }
        static void set_message(delfin_call *call, delfin_text message) {
            (void)call;
            printf("%.*s\n", (int)message.len, message.data);
        }
        static delfin_text config = DELFIN_TEXT(
            "{\"a\":\"q\\\"\\\\\\n\\u00fc\\ud83e\\udd80\",\"n\":-1.5e3,\"t\":true, \"f\" : false ,"
            "\"l\":[1,{\"x\":\"]}\"}],\"o\":{},\"e\":\"\",\"bad\":null,\"after\":1}");
    "#;
    let source = printing(
        "delfin_call call; memset(&call, 0, sizeof call); call.set_message = set_message;\
         printf(\"%u\\n\", delfin_read_settings(config, take, NULL, &call) >> 16);",
    );
    let source = source.replace("int main", &format!("{TAKE}int main"));
    let printed = run(
        "cc",
        &["-std=c99", "-fsanitize=address,undefined"],
        "settings.c",
        &source,
    );
    assert_eq!(
        printed,
        "a 0 q\"\\\nü🦀 0\nn 1 -1.5e3 -1500\nt 2 true 1\nf 2 false 0\n\
         l 3 [1,{\"x\":\"]}\"}] 0\no 3 {} 0\ne 0  0\nbad 3 null 0\n`bad` is refused\n6\n"
    );
}
