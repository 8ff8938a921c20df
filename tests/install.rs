//! `scripts/install` for both kinds of prefix: the unit, the user and the configuration fit together.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{CommandOutput, PATIENCE, Setup, binary, plugin};
use rustix::process::Signal;

const PLUGIN: &str = "prometheus";

/// Installs below `dest`, in place of the root of the file system.
fn install(dest: &Path, prefix: &str) {
    let built = tempfile::tempdir().expect("a folder");
    let from = built.path().join("dist");
    let plugins = from.join("plugins");
    fs::create_dir_all(&plugins).expect("make a folder");
    let wheels = built.path().join("wheel");
    fs::create_dir(&wheels).expect("make a folder");
    fs::write(wheels.join("kit.whl"), "").expect("write a wheel");
    let file = plugin(PLUGIN);
    let name = file.file_name().expect("a name");
    fs::copy(&file, plugins.join(name)).expect("copy a plugin");
    fs::copy(binary(), from.join("delfin-host")).expect("copy the binary");
    run(&[
        from.to_str().expect("UTF-8"),
        dest.to_str().expect("UTF-8"),
        prefix,
    ]);
}

fn run(args: &[&str]) -> CommandOutput {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut script = Command::new("scripts/install");
    CommandOutput::run(script.args(args).current_dir(root)).expect_exit(0)
}

/// The value of a key in the unit.
fn value<'u>(unit: &'u str, key: &str) -> &'u str {
    let line = unit.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.strip_prefix('='))
        .unwrap_or_else(|| panic!("the unit has no `{key}`:\n{unit}"))
}

/// Lets systemd check a unit, with the programs that are installed below `dest`.
fn verify(setup: &Setup, dest: &Path, name: &str, unit: &str) {
    let program = |key: &str| format!("{key}={}/", dest.display());
    let unit = unit
        .replace("ExecStart=/", &program("ExecStart"))
        .replace("ExecReload=/", &program("ExecReload"));
    setup.write(name, &unit);
    let mut verify = Command::new("systemd-analyze");
    let unit = setup.path(name);
    let verified = verify.arg("verify").arg(unit).output();
    let verified = verified.expect("systemd-analyze runs (make setup)");
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("delfin"))
        .collect();
    assert!(about_it.is_empty() && verified.status.success(), "{said}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The files of dashboards and rules, by their folder in `etc/`.
fn shipped_for_monitoring() -> [(&'static str, Vec<String>); 2] {
    ["grafana", "prometheus"].map(|folder| {
        let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc");
        let names = files(&etc.join(folder)).into_iter().map(|file| {
            let name = file.file_name().expect("a name");
            name.to_string_lossy().into_owned()
        });
        let names: Vec<_> = names.collect();
        assert!(names.len() > 3, "{names:?}");
        (folder, names)
    })
}

#[test]
fn the_unit_starts_the_installed_host_with_the_installed_configuration() {
    // systemd finds units and users only in these folders.
    for (prefix, units, users) in [
        (
            "/usr/local",
            "/usr/local/lib/systemd/system",
            "/usr/local/lib/sysusers.d",
        ),
        ("/opt/delfin", "/etc/systemd/system", "/etc/sysusers.d"),
    ] {
        let setup = Setup::new(&[], "");
        let dest = setup.path("root");
        install(&dest, prefix);
        let read = |path: &str| {
            let path = dest.join(path.trim_start_matches('/'));
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let unit = read(&format!("{units}/delfin-host.service"));
        read(&format!("{prefix}/share/delfin-host/python/kit.whl"));
        for (folder, files) in shipped_for_monitoring() {
            for file in files {
                read(&format!("{prefix}/share/delfin-host/{folder}/{file}"));
            }
        }
        let mut start = value(&unit, "ExecStart").split(' ');
        let program = start.next().expect("a program");
        let conf = start.next_back().expect("a configuration");
        assert!(
            dest.join(program.trim_start_matches('/')).exists(),
            "{unit}"
        );
        let state = value(&unit, "ReadWritePaths");
        assert!(value(&unit, "ExecStartPre").ends_with(&format!("-o delfin -g delfin {state}")));
        assert!(read(&format!("{users}/delfin-host.conf")).ends_with(&format!("{state}\n")));

        verify(&setup, &dest, "delfin-host.service", &unit);

        // A host of one of several clusters has its own configuration and state.
        let named = read(&format!("{units}/delfin-host@.service"));
        let root = conf.trim_end_matches("/etc/delfin/delfin.conf");
        assert!(value(&named, "ExecStart").ends_with(&format!("{root}/etc/delfin/%i/delfin.conf")));
        assert_eq!(
            value(&named, "ReadWritePaths"),
            format!("{root}/var/lib/delfin/%i")
        );
        verify(&setup, &dest, "delfin-host@north.service", &named);

        // The host starts on it, with the installed plugin and a free port.
        let text = read(conf);
        assert!(text.contains(&format!("state_dir = \"{state}\"")), "{text}");
        let here = |path: &str| format!("\"{}{path}", dest.display());
        let text = text
            .replace(&format!("\"{prefix}"), &here(prefix))
            .replace(&format!("\"{state}"), &here(state))
            .replace("metric_server_port = 8195", "metric_server_port = 0");
        let setup = setup.with_whole_config(&format!("{text}\n[api]\nlisten = \"127.0.0.1:0\"\n"));
        let host = setup.start();
        host.wait_for_exporter("PerformanceExporterPrometheus", "runs", |exporter| {
            exporter["state"] == "running"
        });
        drop(host);

        run(&["--remove", dest.to_str().expect("UTF-8"), prefix]);
        let left: Vec<PathBuf> = files(&dest);
        let kept = |path: &PathBuf| {
            path.ends_with("delfin.conf") || path.to_string_lossy().contains(state)
        };
        assert!(left.iter().all(kept), "{left:?}");
    }
}

#[test]
fn an_existing_configuration_is_kept() {
    let setup = Setup::new(&[], "");
    let dest = setup.path("root");
    let conf = dest.join("opt/delfin/etc/delfin/delfin.conf");
    fs::create_dir_all(conf.parent().expect("a folder")).expect("make a folder");
    fs::write(&conf, "mine").expect("write a file");
    install(&dest, "/opt/delfin");
    assert_eq!(fs::read_to_string(&conf).expect("a file"), "mine");
    assert!(conf.with_extension("conf.new").exists());
}

#[test]
fn the_service_manager_learns_what_the_host_does() {
    let setup = Setup::new(&[], "[shutdown]\ndrain_timeout = \"70s\"\n");
    let path = setup.path("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let next = |skipped: &str| loop {
        let mut message = [0; 256];
        let length = manager.recv(&mut message).expect("a message of the host");
        let message = String::from_utf8_lossy(&message[..length]).into_owned();
        if message != skipped {
            return message;
        }
    };
    let setup = setup
        .with_env("NOTIFY_SOCKET", path.to_str().expect("UTF-8"))
        .with_env("WATCHDOG_USEC", "300000");
    let host = setup.start();
    assert_eq!(next(""), "READY=1");
    for _ in 0..3 {
        assert_eq!(next(""), "WATCHDOG=1");
    }
    host.send_hangup();
    let reload = next("WATCHDOG=1");
    assert!(
        reload.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reload}"
    );
    assert_eq!(next("WATCHDOG=1"), "READY=1");
    host.signal(Signal::TERM);
    assert_eq!(
        next("WATCHDOG=1"),
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=100000000"
    );
    drop(host.stop());
}
