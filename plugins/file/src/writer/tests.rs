use std::{
    io::{ErrorKind, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::LazyLock,
    time::{Duration, Instant},
};

use delfin_plugin_api::Failure;
use tempfile::TempDir;

use super::*;

fn noon() -> Now {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Now {
        wall: humantime::parse_rfc3339("2026-04-12T10:15:00Z").unwrap(),
        monotonic: *START,
    }
}

/// The same time on both clocks.
fn after_noon(seconds: u64) -> Now {
    let passed = Duration::from_secs(seconds);
    Now {
        wall: noon().wall + passed,
        monotonic: noon().monotonic + passed,
    }
}

const FIRST_ROTATED: &str = "out.jsonl.20260412T101500.000Z";

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("out.jsonl")
    }

    fn config(&self) -> Config {
        Config {
            path: self.path(),
            rotate_bytes: None,
            rotate_age: None,
            keep: None,
        }
    }

    fn open(&self) -> FileWriter {
        FileWriter::new(self.config()).unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn put(file: &mut FileWriter, now: Now, text: &str) {
    file.append(now, |mut to| to.write_all(text.as_bytes()))
        .unwrap();
}

fn append_half(file: &mut FileWriter, error: io::Error) -> WriteError {
    let appended = file.append(noon(), |mut to| {
        to.write_all(b"{\"whole\":1}\n{\"hal")?;
        Err::<(), _>(error)
    });
    appended.unwrap_err()
}

fn refusal(config: Config) -> Failure {
    match FileWriter::new(config) {
        Ok(_) => panic!("not refused"),
        Err(error) => Failure::from(error),
    }
}

fn misconfigured(config: Config) -> String {
    match refusal(config) {
        Failure::Misconfigured { message } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_are_appended_to_what_is_there() {
    let folder = Folder::new();
    folder.write("out.jsonl", "{\"old\":1}\n");
    let mut file = folder.open();
    put(&mut file, noon(), "{\"new\":1}\n");
    put(&mut file, noon(), "{\"new\":2}\n");
    assert_eq!(
        folder.read("out.jsonl"),
        "{\"old\":1}\n{\"new\":1}\n{\"new\":2}\n"
    );
}

#[test]
fn a_new_file_is_readable_by_owner_and_group_only_and_its_folders_are_created() {
    let folder = Folder::new();
    let config = Config {
        path: folder.0.path().join("a/b/out.jsonl"),
        ..folder.config()
    };
    let mut file = FileWriter::new(config.clone()).unwrap();
    assert!(folder.names().is_empty());
    put(&mut file, noon(), "{}\n");
    let mode = fs::metadata(config.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut file = folder.open();
    put(&mut file, noon(), "{\"kept\":1}\n");
    let error = append_half(&mut file, ErrorKind::StorageFull.into());
    assert_eq!(folder.read("out.jsonl"), "{\"kept\":1}\n");
    let reason = format!(
        "cannot append to `{}`: no storage space",
        folder.path().display()
    );
    assert_eq!(Failure::from(error), Failure::retry(reason));
    put(&mut file, noon(), "{\"again\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "{\"kept\":1}\n{\"again\":1}\n");
}

#[test]
fn a_panic_while_a_batch_is_written_leaves_nothing_behind() {
    let folder = Folder::new();
    let mut file = folder.open();
    put(&mut file, noon(), "{\"kept\":1}\n");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _ = file.append(noon(), |mut to| -> io::Result<()> {
            to.write_all(b"{\"hal")?;
            panic!("in the middle")
        });
    }));
    assert!(panicked.is_err());
    drop(file);
    assert_eq!(folder.read("out.jsonl"), "{\"kept\":1}\n");
}

#[test]
fn errors_that_can_pass_are_retried_and_others_pause_the_exporter() {
    let folder = Folder::new();
    let mut file = folder.open();
    // ENOSPC, EDQUOT, EIO, EROFS, ESTALE
    for transient in [28, 122, 5, 30, 116] {
        let error = append_half(&mut file, io::Error::from_raw_os_error(transient));
        let failure = Failure::from(error);
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    }
    // EACCES, EPERM, ENOENT, ENOTDIR
    for permanent in [13, 1, 2, 20] {
        let error = append_half(&mut file, io::Error::from_raw_os_error(permanent));
        let failure = Failure::from(error);
        assert!(
            matches!(failure, Failure::Misconfigured { .. }),
            "{failure:?}"
        );
    }
}

#[test]
fn an_incomplete_last_line_is_removed_with_the_first_tick_and_not_before() {
    let long = format!("{{\"torn\":\"{}", "x".repeat(200_000));
    for torn in ["", "{", "{\"torn\":1}", "\0\0\0\0", &long] {
        for whole in ["", "{\"a\":1}\n", "{\"a\":1}\n{\"b\":2}\n"] {
            let folder = Folder::new();
            let left = format!("{whole}{torn}");
            folder.write("out.jsonl", &left);
            let mut writer = folder.open();
            // A check opens the file too, and changes nothing.
            assert_eq!(folder.read("out.jsonl"), left);
            writer.tick(noon()).unwrap();
            assert_eq!(folder.read("out.jsonl"), whole);
        }
    }
}

#[test]
fn a_file_that_another_program_has_made_shorter_does_not_grow_again() {
    let folder = Folder::new();
    folder.write("out.jsonl", "{\"a\":1}\n{\"torn\":");
    let mut writer = folder.open();
    folder.write("out.jsonl", "{}\n");
    writer.tick(noon()).unwrap();
    assert_eq!(folder.read("out.jsonl"), "{}\n");
}

#[test]
fn a_file_of_another_program_is_refused_and_left_unchanged() {
    let folder = Folder::new();
    for foreign in ["root:x:0:0", "{\"a\":1}\n[1, 2"] {
        folder.write("out.jsonl", foreign);
        assert_eq!(
            misconfigured(folder.config()),
            format!(
                "the last line of `{}` is incomplete and was not written by an exporter \
                 (name another path, or end the line)",
                folder.path().display()
            )
        );
        assert_eq!(folder.read("out.jsonl"), foreign);
    }
}

#[test]
fn a_second_exporter_on_the_same_path_is_refused_until_the_first_is_closed() {
    let folder = Folder::new();
    folder.write("out.jsonl", "");
    let mut first = folder.open();
    assert_eq!(
        misconfigured(folder.config()),
        format!(
            "`{}` is written by another exporter (give each a path of its own)",
            folder.path().display()
        )
    );
    first.close();
    let mut second = folder.open();
    put(&mut second, noon(), "{}\n");
    assert!(first.append(noon(), |_| Ok(())).is_err());
    assert_eq!(folder.read("out.jsonl"), "{}\n");
}

#[test]
fn only_a_regular_file_is_written_to() {
    let folder = Folder::new();
    let check = |name: &str, found| {
        let path = folder.0.path().join(name);
        let config = Config {
            path: path.clone(),
            ..folder.config()
        };
        let expected = format!(
            "`{}` is {found}, not a regular file (name another path)",
            path.display()
        );
        assert_eq!(misconfigured(config), expected);
    };
    fs::create_dir(folder.0.path().join("folder")).unwrap();
    check("folder", "a folder");
    let _listener = UnixListener::bind(folder.0.path().join("socket")).unwrap();
    check("socket", "a socket");
    folder.write("target", "");
    let link = folder.0.path().join("link");
    std::os::unix::fs::symlink("target", link).unwrap();
    check("link", "a symbolic link");
    check("/dev/null", "a device");
}

#[test]
fn a_folder_that_cannot_be_created_is_refused_with_its_path_and_the_remedy() {
    let folder = Folder::new();
    folder.write("file", "");
    let path = folder.0.path().join("file/sub/out.jsonl");
    let config = Config {
        path: path.clone(),
        ..folder.config()
    };
    assert_eq!(
        misconfigured(config),
        format!(
            "cannot look up `{}`: Not a directory (os error 20) \
             (let the host's user write there, or name another path)",
            path.display()
        )
    );
}

#[test]
fn a_file_at_the_size_limit_is_rotated_before_the_next_batch() {
    let folder = Folder::new();
    let mut file = FileWriter::new(Config {
        rotate_bytes: Some(5),
        ..folder.config()
    })
    .unwrap();
    // A batch stays in one file, however long it is.
    put(&mut file, noon(), "{}\n{}\n{}\n");
    assert_eq!(folder.names(), ["out.jsonl"]);
    put(&mut file, noon(), "{}\n");
    put(&mut file, noon(), "{}\n");
    assert_eq!(folder.names(), ["out.jsonl", FIRST_ROTATED]);
    assert_eq!(folder.read(FIRST_ROTATED), "{}\n{}\n{}\n");
    assert_eq!(folder.read("out.jsonl"), "{}\n{}\n");
}

#[test]
fn a_file_at_the_age_limit_is_rotated_without_a_batch() {
    let folder = Folder::new();
    let mut file = FileWriter::new(Config {
        rotate_age: Some(Duration::from_mins(1)),
        ..folder.config()
    })
    .unwrap();
    let later = after_noon;
    // An empty file has no age yet.
    file.tick(later(1000)).unwrap();
    put(&mut file, later(1000), "{\"a\":1}\n");
    put(&mut file, later(1059), "{\"b\":1}\n");
    file.tick(later(1059)).unwrap();
    file.tick(later(0)).unwrap();
    assert_eq!(folder.names(), ["out.jsonl"]);
    file.tick(later(1060)).unwrap();
    file.tick(later(1061)).unwrap();
    let rotated = "out.jsonl.20260412T103240.000Z";
    assert_eq!(folder.names(), ["out.jsonl", rotated]);
    assert_eq!(folder.read(rotated), "{\"a\":1}\n{\"b\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "");
}

#[test]
fn the_age_of_a_file_does_not_see_that_the_clock_is_set() {
    let folder = Folder::new();
    let mut file = FileWriter::new(Config {
        rotate_age: Some(Duration::from_mins(1)),
        ..folder.config()
    })
    .unwrap();
    put(&mut file, noon(), "{\"a\":1}\n");
    let years = Duration::from_hours(6 * 365 * 24);
    let mut early = after_noon(59);
    early.wall += years;
    file.tick(early).unwrap();
    assert_eq!(folder.names(), ["out.jsonl"]);
    let mut due = after_noon(60);
    due.wall -= years;
    file.tick(due).unwrap();
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn names_of_rotated_files_sort_by_age_when_the_clock_is_set_back() {
    let folder = Folder::new();
    let mut file = FileWriter::new(Config {
        rotate_bytes: Some(1),
        ..folder.config()
    })
    .unwrap();
    for (text, back) in [("1\n", 0), ("2\n", 0), ("3\n", 3600), ("4\n", 7200)] {
        let mut now = noon();
        now.wall -= Duration::from_secs(back);
        put(&mut file, now, text);
    }
    let names = folder.names();
    assert_eq!(
        names,
        [
            "out.jsonl",
            FIRST_ROTATED,
            "out.jsonl.20260412T101500.001Z",
            "out.jsonl.20260412T101500.002Z",
        ]
    );
    let texts: Vec<_> = names.iter().map(|name| folder.read(name)).collect();
    assert_eq!(texts, ["4\n", "1\n", "2\n", "3\n"]);
}

#[test]
fn only_the_newest_rotated_files_are_kept_and_no_other_file_is_removed() {
    let folder = Folder::new();
    let others = [
        "out.jsonl.20000101T000000.000Z.gz",
        "out.jsonl.20001301T000000.000Z",
        "out.jsonl.20001231T235960.000Z",
        "out.jsonl.2000-01-01T00:00Z",
        "out.jsonl.bak",
        "other.jsonl.20000101T000000.000Z",
        "my-out.jsonl.20000101T000000.000Z",
    ];
    for other in others {
        folder.write(other, "theirs");
    }
    let lookalike = "out.jsonl.20000101T000000.000Z";
    fs::create_dir(folder.0.path().join(lookalike)).unwrap();
    let mut file = FileWriter::new(Config {
        rotate_bytes: Some(1),
        keep: Some(2),
        ..folder.config()
    })
    .unwrap();
    for _ in 0..5 {
        put(&mut file, noon(), "{}\n");
    }
    let mut expected: Vec<_> = others.into_iter().chain([lookalike]).collect();
    expected.extend([
        "out.jsonl",
        "out.jsonl.20260412T101500.002Z",
        "out.jsonl.20260412T101500.003Z",
    ]);
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
}

#[test]
fn a_file_that_is_moved_or_removed_is_created_again() {
    let folder = Folder::new();
    let mut file = folder.open();
    put(&mut file, noon(), "{\"a\":1}\n");
    fs::rename(folder.path(), folder.0.path().join("moved")).unwrap();
    put(&mut file, noon(), "{\"b\":1}\n");
    assert_eq!(folder.read("moved"), "{\"a\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "{\"b\":1}\n");
    fs::remove_file(folder.path()).unwrap();
    put(&mut file, noon(), "{\"c\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "{\"c\":1}\n");
    // Another file at the path is appended to, not rotated.
    folder.write("theirs", "{\"theirs\":1}\n");
    fs::rename(folder.0.path().join("theirs"), folder.path()).unwrap();
    put(&mut file, noon(), "{\"d\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "{\"theirs\":1}\n{\"d\":1}\n");
}

#[test]
fn a_file_that_another_program_truncates_is_appended_to_without_a_gap() {
    let folder = Folder::new();
    let mut file = folder.open();
    put(&mut file, noon(), "{\"a\":1}\n");
    folder.write("out.jsonl", "");
    put(&mut file, noon(), "{\"b\":1}\n");
    assert_eq!(folder.read("out.jsonl"), "{\"b\":1}\n");
}
