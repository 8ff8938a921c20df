//! A shell in a simulated machine: a folder with the paths of the pages, free
//! ports, and the real binary and plugins.
//!
//! The commands of a page run one after the other in one shell, as a reader types
//! them. Before a command runs, its paths and ports are replaced by paths in the
//! folder and free ports. In its output they are replaced back.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::expected;
use delfin_tests::{
    binary, plugin,
    receivers::{self, free_port},
    wait_for,
};

/// The ports in the pages: the host, the scrape page, Prometheus, Alertmanager.
const PORTS: [&str; 4] = ["8190", "8195", "9090", "9093"];
/// The folders in the pages.
const FOLDERS: [&str; 5] = [
    "/etc/delfin",
    "/var/lib/delfin-host",
    "/usr/local",
    "/opt/delfin",
    "/tmp/package",
];
const PLUGINS: [&str; 3] = ["example", "file", "prometheus"];
/// A plugin that only one page needs.
const PLUGIN_OF_PAGE: [(&str, &str); 1] = [("docs/src/operator/scrape.md", "scrape")];
const LAST_LINES: usize = 20;
/// Long enough to build the crate of a plugin.
const PATIENCE: Duration = Duration::from_mins(10);

/// A shell, its folder and its background commands.
pub(crate) struct Session {
    root: tempfile::TempDir,
    ports: [u16; PORTS.len()],
    shell: Child,
    stdin: ChildStdin,
    codes: Receiver<String>,
    background: Vec<Background>,
    /// The ids in the page, with the real ones.
    ids: Vec<(String, String)>,
    /// The number of background commands so far, including stopped ones.
    started: usize,
}

/// A command that runs in the background until it is stopped.
struct Background {
    command: String,
    pid: Pid,
    log: PathBuf,
}

/// The result of commands.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) output: String,
}

impl Session {
    /// A machine with an installed host that does not run.
    pub(crate) fn new(name: &str) -> Self {
        let root = folder(name);
        let ports = PORTS.map(|_| free_port());
        let of_page = PLUGIN_OF_PAGE.iter().filter(|(page, _)| *page == name);
        let plugins: Vec<&str> = PLUGINS
            .into_iter()
            .chain(of_page.map(|(_, plugin)| *plugin))
            .collect();
        install(root.path(), &plugins);
        let home = root.path().join("home/you");
        let mut shell = Command::new("bash");
        shell
            .env("PATH", path(root.path()))
            .env("HOME", &home)
            .env("CARGO_HOME", cargo_home())
            .env("RUSTUP_HOME", rustup_home())
            .env("CARGO_NET_OFFLINE", "true")
            .env("DELFIN_CONF", root.path().join("etc/delfin/delfin.conf"))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("CARGO_TARGET_DIR")
            .current_dir(home);
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run bash");
        let (send, codes) = channel();
        let stdout = BufReader::new(shell.stdout.take().expect("the output of the shell"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The receiver is gone after the end of the page.
                let _ = send.send(line);
            }
        });
        let mut session = Self {
            root,
            ports,
            stdin: shell.stdin.take().expect("the input of the shell"),
            shell,
            codes,
            background: Vec::new(),
            ids: Vec::new(),
            started: 0,
        };
        session.send("exec 9>&1\n");
        let conf = session.root.path().join("etc/delfin/delfin.conf");
        let text = fs::read_to_string(&conf).expect("the configuration");
        fs::write(&conf, session.real(&text)).expect("write the configuration");
        session
    }

    /// Runs commands until one fails. A failure ends the shell.
    pub(crate) fn run(&mut self, commands: &str) -> Outcome {
        let all = "set -eu; set -o pipefail; trap 'echo $? >&9' EXIT\n{\n@\n} >OUT 2>&1 </dev/null\n\
                   set +eu; trap - EXIT; echo 0 >&9\n";
        self.outcome(commands, all)
    }

    /// Runs one command, which may fail.
    pub(crate) fn ask(&mut self, command: &str) -> Outcome {
        let one = "if {\n@\n} >OUT 2>&1 </dev/null; then echo 0 >&9; else echo $? >&9; fi\n";
        self.outcome(command, one)
    }

    fn outcome(&mut self, commands: &str, script: &str) -> Outcome {
        let commands = self.real(commands.trim_end());
        let out = self.root.path().join("out");
        let script = script.replace("OUT", &out.display().to_string());
        self.send(&script.replace('@', &commands));
        let code = self.codes.recv_timeout(PATIENCE);
        let code = code.unwrap_or_else(|error| panic!("`{commands}` does not end: {error}"));
        let output = fs::read(out).unwrap_or_default();
        Outcome {
            code: code.parse().unwrap_or(-1),
            output: self.shown(&String::from_utf8_lossy(&output)),
        }
    }

    /// Starts a command in the background. Starting the same command again stops the
    /// first one.
    pub(crate) fn start(&mut self, command: &str) {
        let key = command.trim().to_owned();
        let known = self.background.iter().position(|one| one.command == key);
        if let Some(number) = known {
            let one = self.background.remove(number);
            // The signal of Ctrl-C. The host delivers pending batches before it ends.
            kill_process(one.pid, Signal::INT).expect("stop the command");
            self.send(&format!("wait {}; echo $? >&9\n", one.pid.as_raw_nonzero()));
            let ended = self.codes.recv_timeout(PATIENCE).unwrap_or_default();
            assert_eq!(ended, "0", "`{key}`:\n{}", self.log_of(&one));
        }
        let log = self.root.path().join(format!("log-{}", self.started));
        self.started += 1;
        let real = self.real(&key);
        // Without job control, background commands of a shell ignore SIGINT.
        self.send(&format!(
            "set -m\n{real} >{} 2>&1 </dev/null &\nset +m; echo $! >&9\n",
            log.display()
        ));
        let pid = self.codes.recv_timeout(PATIENCE).expect("a process");
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        self.background.push(Background {
            command: key.clone(),
            pid: pid.expect("a process id"),
            log,
        });
        let named = (0..PORTS.len()).filter(|at| key.contains(PORTS[*at]));
        for port in named.map(|at| self.ports[at]) {
            wait_for(&format!("`{key}` to listen"), || {
                receivers::is_open(port).then_some(())
            });
        }
        if key.contains("delfin-host run") {
            // The port is open before the state folder.
            let health = format!("http://127.0.0.1:{}/healthz", self.ports[0]);
            wait_for(&format!("`{key}` to answer"), || {
                receivers::get_text(&health)
            });
        }
    }

    /// The last lines of the background commands.
    pub(crate) fn last_log(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    /// The whole output of the background commands.
    pub(crate) fn log(&self) -> String {
        self.background.iter().map(|one| self.log_of(one)).collect()
    }

    /// Replaces the ids of the page by the real ones in later commands.
    pub(crate) fn learn_ids(&mut self, shown: &str, output: &str) {
        let (shown, real) = (expected::ids(shown), expected::ids(output));
        if shown.len() == real.len() {
            self.ids.extend(shown.into_iter().zip(real));
        }
    }

    /// The text of a page with real ids, ports and paths.
    fn real(&self, text: &str) -> String {
        let mut real = text.to_owned();
        for (shown, here) in &self.ids {
            real = real.replace(shown, here);
        }
        for (port, here) in PORTS.iter().zip(self.ports) {
            real = replace_words(&real, port, &here.to_string(), |c| c.is_ascii_digit());
        }
        let is_path = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
        for folder in FOLDERS {
            let here = format!("{}{folder}", self.root.path().display());
            real = replace_starts(&real, folder, &here, is_path);
        }
        real
    }

    /// An output with the ports and paths of the page.
    fn shown(&self, text: &str) -> String {
        let mut shown = text.replace(&self.root.path().display().to_string(), "");
        for (port, here) in PORTS.iter().zip(self.ports) {
            shown = replace_words(&shown, &here.to_string(), port, |c| c.is_ascii_digit());
        }
        shown
    }

    fn log_of(&self, one: &Background) -> String {
        let bytes = fs::read(&one.log).unwrap_or_default();
        self.shown(&String::from_utf8_lossy(&bytes))
    }

    fn send(&mut self, line: &str) {
        self.stdin
            .write_all(line.as_bytes())
            .expect("write to the shell");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for one in &self.background {
            // The command can have ended already.
            let _ = kill_process(one.pid, Signal::KILL);
        }
        // A failed command has ended the shell.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// The folder of a page. Its path is always the same, so that cargo reuses the
/// dependencies of its crates.
fn folder(name: &str) -> tempfile::TempDir {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&all).expect("make a folder");
    let name = name.replace('/', "-");
    let left_over = fs::remove_dir_all(all.join(&name));
    assert!(
        left_over.is_ok() || !all.join(&name).exists(),
        "`{name}` cannot be removed"
    );
    let mut folder = tempfile::Builder::new();
    folder.prefix(&name).rand_bytes(0);
    folder.tempdir_in(all).expect("a folder")
}

/// Copies files to the folders of `make install`.
fn install(root: &Path, plugin_names: &[&str]) {
    let plugins = root.join("usr/local/lib/delfin-host/plugins");
    for folder in [
        &plugins,
        &root.join("etc/delfin"),
        &root.join("bin"),
        &root.join("home/you"),
    ] {
        fs::create_dir_all(folder).expect("make a folder");
    }
    let mode = |path: &Path| {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("set a mode");
    };
    mode(&plugins);
    for name in plugin_names {
        let file = plugin(name);
        let copy = plugins.join(file.file_name().expect("a name"));
        fs::copy(&file, &copy).expect("copy a plugin");
        mode(&copy);
    }
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let conf = fs::read_to_string(tree.join("etc/delfin/delfin.conf")).expect("the configuration");
    let conf = conf
        .replace(
            "\"target/plugins\"",
            "\"/usr/local/lib/delfin-host/plugins\"",
        )
        .replace("\"target/state", "\"/var/lib/delfin-host")
        .replace(
            "#listen = \"127.0.0.1:8190\"",
            "listen = \"127.0.0.1:8190\"",
        )
        .replace("min_free_bytes = \"256MiB\"", "min_free_bytes = 0");
    fs::write(root.join("etc/delfin/delfin.conf"), conf).expect("write the configuration");
    // An error status fails the command. The progress meter is off.
    fs::write(
        root.join("home/you/.curlrc"),
        "fail-with-body\nsilent\nshow-error\n",
    )
    .expect("write a file");
    symlink(binary(), root.join("bin/delfin-host")).expect("make a link");
    if let Some(alertmanager) = receivers::binary("prometheus-alertmanager") {
        symlink(alertmanager, root.join("bin/alertmanager")).expect("make a link");
    }
    script(root, "sudo", "exec \"$@\"");
    working_copy(root, &tree);
    // The crates of all pages share a target folder.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    fs::create_dir_all(&target).expect("make a folder");
    let cargo = format!(
        "[ -e target ] || ln -s '{}' target\nexec '{}' \"$@\"",
        target.display(),
        env!("CARGO")
    );
    script(root, "cargo", &cargo);
}

/// Turns the folder of the reader into a source tree after `make build`.
fn working_copy(root: &Path, tree: &Path) {
    let home = root.join("home/you");
    let plugins = root.join("usr/local/lib/delfin-host/plugins");
    for name in ["Makefile", "scripts", "etc"] {
        let file = tree
            .join(name)
            .canonicalize()
            .expect("a file of the source tree");
        symlink(file, home.join(name)).expect("make a link");
    }
    for folder in ["target/release", "target/dist"] {
        fs::create_dir_all(home.join(folder)).expect("make a folder");
        symlink(binary(), home.join(folder).join("delfin-host")).expect("make a link");
    }
    for link in ["target/plugins", "target/dist/plugins"] {
        symlink(&plugins, home.join(link)).expect("make a link");
    }
    // `make install` installs the files that were built for the tests.
    let make = "make=$(PATH=${PATH#*:} command -v make)\nexec \"$make\" -o build -o build-dist -o wheel \"$@\"";
    script(root, "make", make);
}

fn script(root: &Path, name: &str, text: &str) {
    let file = root.join("bin").join(name);
    fs::write(&file, format!("#!/bin/sh\nset -eu\n{text}\n")).expect("write a script");
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("set a mode");
}

fn path(root: &Path) -> std::ffi::OsString {
    let receivers = receivers::binary("promtool");
    let receivers = receivers
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [root.join("bin")].into_iter().chain(receivers);
    std::env::join_paths(folders.chain(std::env::split_paths(&path))).expect("a path")
}

fn cargo_home() -> PathBuf {
    below_home("CARGO_HOME", ".cargo")
}

fn rustup_home() -> PathBuf {
    below_home("RUSTUP_HOME", ".rustup")
}

fn below_home(name: &str, folder: &str) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(folder);
    std::env::var_os(name).map_or_else(home, PathBuf::from)
}

/// Replaces a word, unless a neighbour character belongs to it.
fn replace_words(text: &str, word: &str, by: &str, belongs: fn(char) -> bool) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let alone = !before.ends_with(belongs) && !after.starts_with(belongs);
        replaced.push_str(before);
        replaced.push_str(if alone { by } else { word });
        rest = after;
    }
    replaced + rest
}

/// Replaces the start of paths.
fn replace_starts(text: &str, start: &str, by: &str, is_path: fn(char) -> bool) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let before = &rest[..at];
        replaced.push_str(before);
        let begins = !before.ends_with(is_path);
        replaced.push_str(if begins { by } else { start });
        rest = &rest[at + start.len()..];
    }
    replaced + rest
}
