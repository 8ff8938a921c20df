//! The binary's exit codes, and what goes to which of its outputs.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
};

fn host(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_delfin-host"));
    command.args(args).output().unwrap()
}

#[test]
fn without_a_running_host_the_exit_code_is_4_and_one_line_says_why() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    for command in [vec!["exporters"], vec!["push", "alerts", "/dev/null"]] {
        let output = host(&[&command[..], &["--host", &url]].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert_eq!(output.stdout, b"");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(&url), "{stderr}");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in [&["export"][..], &["push", "metrics", "-"], &[]] {
        let output = host(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn help_is_data_and_lists_the_exit_codes() {
    let output = host(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(
        help.contains("\n  4  the running host cannot be reached\n"),
        "{help}"
    );
}

#[test]
fn a_file_that_is_no_plugin_is_exit_code_1_and_one_line() {
    let output = host(&["plugins", "inspect", "Cargo.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("error: plugin `Cargo.toml` is not a shared library"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
}

#[test]
fn a_new_exporter_is_not_written_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("acme")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_delfin-host"));
    let command = command.current_dir(folder.path());
    let output = command.args(["new", "exporter", "acme"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: `acme` already exists (choose another name, or remove it)\n"
    );
}

#[test]
fn plugins_list_needs_no_secret_and_run_names_the_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("delfin.conf");
    let text = "performance_exporters = [\"A\"]\nplugin_dirs = [\"/tmp\"]\n[exporter.A.config]\ntoken = \"${env:DELFIN_NOT_SET}\"\n";
    fs::write(&conf, text).unwrap();
    let conf = conf.to_str().unwrap();
    let output = host(&["plugins", "list", "--json", "--config", conf]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = host(&["run", "--config", conf]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("${env:DELFIN_NOT_SET}"), "{stderr}");
}

#[test]
fn a_file_of_delfin_is_answered_with_toml_to_copy() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("delfin.conf");
    fs::write(&conf, "[DEFAULT]\nalert_exporters = A\nstate_path = /x\n").unwrap();
    let output = host(&["check", "--config", conf.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (message, toml) = stderr.split_once("\n\n").unwrap();
    assert!(message.starts_with("error: "), "{stderr}");
    fs::write(&conf, format!("{toml}\n[api]\nlisten = \"127.0.0.1:1\"\n")).unwrap();
    let output = host(&["exporters", "--config", conf.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{toml}\n{stderr}");
}
