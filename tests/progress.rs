//! The progress of commands: a bar on a terminal, lines otherwise, and nothing with `--json`.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use delfin_tests::{CommandLines, Sample, Setup, TerminalCommand, wait_for};
use serde_json::json;

/// Dead letters of the host.
const LETTERS: u64 = 1_000_000;

/// The bytes by which `push` recognises the format of its input.
const HEAD_BYTES: usize = 64 << 10;

/// How long to wait for a line before more is done for it.
const POLL: Duration = Duration::from_millis(20);

/// A host that changes one dead letter with each request, until it is told to change all others.
struct SlowHost {
    address: String,
    may_finish: Arc<AtomicBool>,
}

impl SlowHost {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let may_finish = Arc::new(AtomicBool::new(false));
        let is_last = Arc::clone(&may_finish);
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.expect("a connection"), &is_last);
            }
        });
        Self {
            address,
            may_finish,
        }
    }

    fn finish(&self) {
        self.may_finish.store(true, Ordering::Relaxed);
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, is_last: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
    let mut length = 0;
    for line in reader.by_ref().lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let request: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let letters = match request["dry_run"] == true || is_last.load(Ordering::Relaxed) {
        true => LETTERS,
        false => 1,
    };
    let body = json!({"letters": letters, "items": letters}).to_string();
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    // The command may have been killed.
    let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}");
}

#[test]
fn a_long_change_of_dead_letters_shows_how_far_it_is() {
    let setup = Setup::new(&[], "");
    for action in ["purge", "replay"] {
        let part = format!("{action} of dead letters");
        let args = |host: &SlowHost| {
            let address = host.address.clone();
            ["dead-letters", action, "--all", "--host", &address].map(str::to_owned)
        };
        let command = |host: &SlowHost, options: &[&str]| {
            let args = args(host);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            setup.command(&[&args[..], options].concat())
        };
        // A bar, which is gone at the end.
        let host = SlowHost::start();
        let shown = TerminalCommand::start(command(&host, &[]));
        shown.wait_for(&[&format!("{part} [>"), "/1,000,000"]);
        host.finish();
        shown.wait_for(&["dead letters with"]);
        let screen = shown.expect_end(0);
        assert!(!screen.contains(&part), "{screen}");
        // Lines, one each few seconds.
        let host = SlowHost::start();
        let lines = CommandLines::of_messages(command(&host, &[]));
        let line = lines.next();
        assert!(
            line.starts_with(&format!("{part}: ")) && line.ends_with(" of 1 000 000"),
            "{line}"
        );
        host.finish();
        // Nothing, also on a terminal.
        let host = SlowHost::start();
        host.finish();
        let mut quiet = TerminalCommand::start(command(&host, &["--json"]));
        assert_eq!(quiet.wait(), Some(0));
        quiet.wait_for(&["\"letters\": 1000000"]);
        assert!(!quiet.written().contains(&part), "{}", quiet.written());
    }
}

#[test]
fn a_long_push_shows_how_far_it_is() {
    let setup = Setup::new(&[], "");
    let host = setup.start();
    let args = ["push", "performance", "-", "--host", host.url()];
    let mut command = setup.command(&args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut push = command.stderr(Stdio::piped()).spawn().expect("a command");
    let mut input = push.stdin.take().expect("standard input");
    let stderr = push.stderr.take().expect("standard error");
    let messages = CommandLines::reading(push, stderr);
    let series = json!({"name": "iops", "labels": {}, "values": {"1": 1}});
    let series = format!("{series}\n");
    // The command looks at so much before it begins to send.
    let head = series.repeat(HEAD_BYTES / series.len() + 1);
    input.write_all(head.as_bytes()).expect("the first lines");
    let line = wait_for("a line of progress", || {
        input.write_all(series.as_bytes()).expect("another line");
        messages.next_within(POLL)
    });
    assert!(line.starts_with("sending: "), "{line}");
    drop(input);
    wait_for("accepted items", || {
        let metrics = host.metrics();
        let mut samples = metrics.samples().iter();
        let accepted = |sample: &Sample| sample.name == "delfin_host_ingest_items_total";
        samples
            .any(|sample| accepted(sample) && sample.value > 0.0)
            .then_some(())
    });
    // A bar.
    let file = json!([{"name": "iops", "labels": {}, "values": {"1": 1}}]);
    setup.write("batch.json", &file.to_string());
    let args = ["push", "performance", "batch.json", "--host", host.url()];
    let mut shown = TerminalCommand::start(setup.command(&args));
    assert_eq!(shown.wait(), Some(0), "{}", shown.written());
    wait_for("a bar", || {
        shown.written().contains("sending [").then_some(())
    });
    let args = [&args[..], &["--json"]].concat();
    let mut quiet = TerminalCommand::start(setup.command(&args));
    assert_eq!(quiet.wait(), Some(0), "{}", quiet.written());
    quiet.wait_for(&["batch_id"]);
    assert!(!quiet.written().contains("sending"), "{}", quiet.written());
}
