//! `scripts/deb`, `scripts/rpm` and `scripts/dist`: the packages on a Debian of its own, which
//! `scripts/receivers fetch debian` makes, and the archive below a folder.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use delfin_tests::{CommandLines, CommandOutput, binary, missing, plugin, root};

const VERSIONS: [&str; 2] = ["0.1.0~old", "0.1.0"];

fn run(command: &mut Command) -> CommandOutput {
    CommandOutput::run(command.current_dir(root())).expect_exit(0)
}

/// Copies without what debuggers need, which is most of a file of a debug build.
fn strip(from: &Path, to: &Path) {
    run(Command::new("strip").arg("-o").arg(to).arg(from));
}

/// What `make build-dist` would build, with one plugin.
fn built(folder: &Path) -> PathBuf {
    let from = folder.join("dist");
    fs::create_dir_all(from.join("plugins")).expect("make a folder");
    strip(&binary(), &from.join("delfin-host"));
    let library = plugin("prometheus");
    let name = library.file_name().expect("a name");
    strip(&library, &from.join("plugins").join(name));
    from
}

/// Builds a package of each version in a folder by a script, and returns their names.
fn build(script: &str, folder: &Path) -> [String; 2] {
    let from = built(folder);
    VERSIONS.map(|version| {
        let mut script = Command::new(script);
        // Compression takes longer than all the rest.
        script.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
        let said = run(script.arg(&from).arg(folder).arg(version)).stdout;
        let name = said.split('/').next_back();
        let name = name.and_then(|name| name.split(['\'', '\n']).next());
        name.expect("the name of a package").to_owned()
    })
}

/// A Debian in a folder, with a folder for packages; `None` if it cannot be had here.
fn debian(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let debian = root().join("target/receivers/debian.tar");
    if !debian.exists() || !rustix::process::geteuid().is_root() {
        missing(
            "a Debian to install in",
            "run `make setup` and this test as root",
        );
        return None;
    }
    let system = folder.join("debian");
    let packages = system.join("packages");
    fs::create_dir_all(&packages).expect("make a folder");
    run(Command::new("tar")
        .arg("-xf")
        .arg(&debian)
        .arg("-C")
        .arg(&system));
    Some((system, packages))
}

#[test]
fn the_rpm_package_is_installed_upgraded_and_removed_and_keeps_the_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((system, packages)) = debian(folder.path()) else {
        return;
    };
    let [old, new] = build("scripts/rpm", &packages);
    let rpm = |action: &str, package: &str| {
        // The Debian has the libraries, but no packages of RPM that say so.
        let mut rpm = Command::new("rpm");
        run(rpm
            .arg("--root")
            .arg(&system)
            .args(["--nodeps", action, package]));
    };
    let package = |name: &str| packages.join(name).display().to_string();
    let inside = |command: &[&str]| run(Command::new("chroot").arg(&system).args(command)).stdout;
    let conf = system.join("etc/delfin/delfin.conf");

    rpm("--install", &package(&old));
    assert!(inside(&["delfin-host", "--version"]).starts_with("delfin-host "));
    let owner = inside(&["stat", "-c", "%U %a", "/var/lib/delfin-host"]);
    assert_eq!(owner, "delfin 700\n");
    let shipped = fs::read_to_string(&conf).expect("read the configuration");
    let changed = format!("{shipped}# of the operator\n");
    fs::write(&conf, &changed).expect("change the configuration");
    let state = system.join("var/lib/delfin-host/inventory.db");
    fs::write(&state, "").expect("write a file of the state");

    rpm("--upgrade", &package(&new));
    let kept = fs::read_to_string(&conf).expect("read the configuration");
    assert_eq!(kept, changed);

    rpm("--erase", "delfin-host");
    assert!(!system.join("usr/bin/delfin-host").exists());
    assert!(!system.join("usr/lib/delfin-host").exists());
    assert!(conf.with_extension("conf.rpmsave").exists() && state.exists());
}

#[test]
fn the_archive_installs_and_removes_and_says_which_system_it_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let mut script = Command::new("scripts/dist");
    let said = run(script.arg(built(folder)).arg(folder).arg("1.2.3")).stdout;
    let needed = said
        .split_once("glibc ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let needed = needed.expect("the version of glibc");
    let name = format!("delfin-host-1.2.3-linux-{}", std::env::consts::ARCH);
    let mut tar = Command::new("tar");
    run(tar
        .arg("-xzf")
        .arg(folder.join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(folder));
    let script = folder.join(name).join("install");
    let installed = folder.join("root");
    let install = |args: &[&str]| {
        let mut install = Command::new(&script);
        CommandOutput::run(install.args(args).env("DESTDIR", &installed))
    };
    let _ = install(&["/opt/x"]).expect_exit(0);
    let plugins = installed.join("opt/x/lib/delfin-host/plugins");
    fs::write(plugins.join("other.so"), "").expect("add a plugin");
    let mut host = Command::new(installed.join("opt/x/bin/delfin-host"));
    assert!(
        run(host.arg("--version"))
            .stdout
            .starts_with("delfin-host ")
    );

    let _ = install(&["--remove", "/opt/x"]).expect_exit(0);
    assert!(!installed.join("opt/x/bin/delfin-host").exists());
    assert!(installed.join("opt/x/etc/delfin/delfin.conf").exists());
    let left = fs::read_dir(&plugins).expect("read the folder").count();
    assert_eq!(left, 1, "the plugin that was added");

    let text = fs::read_to_string(&script).expect("read the script");
    fs::write(&script, text.replace(needed, "99.9")).expect("change the script");
    let refused = install(&["/opt/y"]).expect_exit(1);
    assert!(
        refused
            .stderr
            .starts_with("this archive needs glibc 99.9 or newer, this system has ")
    );
    assert!(!installed.join("opt/y").exists());
}

#[test]
fn the_package_is_installed_upgraded_and_removed_and_keeps_the_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((system, packages)) = debian(folder.path()) else {
        return;
    };
    let [old, new] = build("scripts/deb", &packages);
    let mut lifecycle = Command::new("unshare");
    let script = root().join("tests/package/lifecycle");
    let lifecycle = lifecycle.args(["--mount", "--net"]).arg(script);
    let said = run(lifecycle.arg(&system).args([old, new]));
    assert!(said.stdout.ends_with("purge\n"), "{}", said.stdout);
}

#[test]
fn the_unit_exposes_little_of_the_machine() {
    let mut analyze = Command::new("systemd-analyze");
    let unit = "etc/systemd/delfin-host.service";
    // The exit code says whether the exposure is below the threshold, in tenths.
    run(analyze.args(["security", "--offline=true", "--threshold=30", unit]));
}

/// Images and containers below a folder, without a daemon: `buildah` runs commands in a chroot.
struct ImageStore(PathBuf);

impl ImageStore {
    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.args(["--storage-driver", "vfs", "--root"]);
        buildah.arg(self.0.join("root")).arg("--runroot");
        buildah.arg(self.0.join("runroot")).args(arguments);
        buildah
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = CommandOutput::run(&mut self.buildah(arguments)).expect_exit(0);
        output.stdout.trim_end().to_owned()
    }
}

/// The images that `Containerfile` begins with.
fn base_images() -> Vec<String> {
    let text = fs::read_to_string(root().join("Containerfile")).expect("read the file");
    let bases = text.lines().filter_map(|line| line.strip_prefix("FROM "));
    bases
        .map(|base| base.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_container_image_runs_as_its_user_and_its_health_check_succeeds() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    if Command::new("buildah").arg("--version").output().is_err() {
        return missing("buildah", "run `make setup`");
    }
    let Some((system, _)) = debian(folder) else {
        return;
    };
    // The image for the build has compiled already, and the other one has its packages.
    for name in ["usr/bin/make", "usr/bin/apt-get"] {
        let path = system.join(name);
        if path.exists() {
            fs::remove_file(&path).expect("remove a program");
        }
        std::os::unix::fs::symlink("true", path).expect("make a link");
    }
    let context = folder.join("context");
    let _ = built(&context.join("target"));
    fs::create_dir_all(context.join("etc/container")).expect("make a folder");
    for name in ["Containerfile", "etc/container/delfin.conf"] {
        fs::copy(root().join(name), context.join(name)).expect("copy a file");
    }
    let store = ImageStore(folder.join("images"));
    let base = store.run(&["from", "scratch"]);
    store.run(&["add", "--quiet", &base, &system.display().to_string(), "/"]);
    store.run(&["commit", "--quiet", &base, "base"]);
    store.run(&["rm", &base]);
    for image in base_images() {
        store.run(&["tag", "base", &image]);
    }
    store.run(&[
        "build-using-dockerfile",
        "--pull-never",
        "--isolation=chroot",
        "--network=host",
        "--format=docker",
        "--tag=delfin-host",
        &context.display().to_string(),
    ]);

    let container = store.run(&["from", "--pull-never", "localhost/delfin-host"]);
    let inside = |command: &[&str]| {
        let run = ["run", "--isolation=chroot", &container, "--"];
        store.buildah(&[&run[..], command].concat())
    };
    let user = CommandOutput::run(&mut inside(&["id", "-u"])).expect_exit(0);
    assert_eq!(user.stdout, "10001\n");
    // The network is that of this machine, so the ports are free ones.
    let shipped = fs::read_to_string(root().join("etc/container/delfin.conf"));
    let ports = shipped.expect("read the file").replace("= 8195", "= 0");
    let conf = folder.join("delfin.conf");
    fs::write(&conf, format!("{ports}[api]\nlisten = \"127.0.0.1:0\"\n")).expect("write a file");
    let to = "/etc/delfin/delfin.conf";
    store.run(&[
        "copy",
        "--chmod=0644",
        &container,
        &conf.display().to_string(),
        to,
    ]);
    let host = CommandLines::of_messages(inside(&["delfin-host", "run", "--config", to]));
    while !host.next().contains("the API listens") {}
    let health = CommandOutput::run(&mut inside(&["/usr/local/bin/delfin-host", "exporters"]));
    let health = health.expect_exit(0);
    assert!(
        health.stdout.contains("1 exporter: 1 running"),
        "{health:?}"
    );
    // `buildah` passes the signal on; killed, it would leave the host behind.
    host.stop();
    let image = store.run(&["inspect", "--type=image", "localhost/delfin-host"]);
    assert!(image.contains("\\\"Healthcheck\\\""), "{image}");
}
