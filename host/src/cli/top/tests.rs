use std::{env, fmt::Write, fs, path::Path};

use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    style::{Color, Modifier},
};

use super::{
    app::{App, KeyAction},
    data::{Snapshot, TopAlert, TopDeadLetter, TopExporter, TopJournal, TopStorage},
    look, screen,
};

const NOW_MS: i64 = 1_767_268_800_000;

fn exporter(name: &str, state: &str) -> TopExporter {
    TopExporter {
        name: name.to_owned(),
        plugin: Some("PerformanceExporterKafka".to_owned()),
        kind: Some("performance".to_owned()),
        state: state.to_owned(),
        pending: 0,
        delivered: 48_210,
        dead_lettered: 0,
        dropped: 0,
        filtered: 0,
        accepted_per_second: Some(812.4),
        delivered_per_second: Some(812.4),
        lag_seconds: 0.0,
        last_error: None,
        last_error_ms: None,
        next_attempt_ms: None,
        last_success: Some("2026-01-01T11:59:58.120Z".to_owned()),
    }
}

fn storage(name: &str, status: &str, age: f64) -> TopStorage {
    let is_offline = status == "offline";
    TopStorage {
        name: name.to_owned(),
        status: status.to_owned(),
        last_success_ms: Some(NOW_MS - (age * 1000.0) as i64),
        window_age_seconds: Some(age),
        last_error: is_offline.then(|| "connection refused".to_owned()),
    }
}

fn alert(name: &str, severity: Option<&str>, minutes: i64) -> TopAlert {
    TopAlert {
        storage_name: Some("array-7".to_owned()),
        alert_name: Some(name.to_owned()),
        severity: severity.map(str::to_owned),
        first_seen: NOW_MS - minutes * 60_000,
    }
}

fn journal(kind: &str, needed_bytes: u64, full_in_seconds: Option<f64>) -> TopJournal {
    TopJournal {
        kind: kind.to_owned(),
        needed_bytes,
        max_bytes: 1 << 30,
        full_in_seconds,
        fault: None,
    }
}

fn snapshot() -> Snapshot {
    let waiting = TopExporter {
        pending: 3_120_007,
        delivered_per_second: Some(0.0),
        lag_seconds: 7_805.4,
        last_error: Some("connection refused".to_owned()),
        last_error_ms: Some(NOW_MS - 2_000),
        next_attempt_ms: Some(NOW_MS + 8_000),
        ..exporter("splunk-dr", "retrying")
    };
    let failed = TopExporter {
        pending: 4,
        dead_lettered: 12,
        accepted_per_second: None,
        delivered_per_second: None,
        lag_seconds: 30.0,
        last_error: Some("refused its config: `index`\u{1b}[2J is empty".to_owned()),
        last_error_ms: Some(NOW_MS - 3_600_000),
        ..exporter("es-archive", "failed")
    };
    let mut snapshot = Snapshot {
        exporters: vec![exporter("kafka-central", "running"), waiting, failed],
        storages: vec![
            storage("array-3", "normal", 42.0),
            storage("array-7", "offline", 4_000.0),
            storage("array-1", "normal", 1_300.0),
        ],
        alerts: vec![
            alert("Battery low", Some("Minor"), 12),
            alert("Disk failed", Some("Critical"), 90),
            alert("Link down", None, 1),
        ],
        journals: vec![
            journal("performance", 700 << 20, Some(7_200.0)),
            journal("alert", 1 << 20, None),
        ],
    };
    snapshot.put_worst_first();
    snapshot
}

fn app() -> App {
    let mut app = App::new("unix:/run/delfin-host/api.sock".to_owned(), true);
    app.update(Ok(snapshot()));
    app
}

fn press(app: &mut App, code: KeyCode) -> KeyAction {
    app.on_key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn drawn(app: &App, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| screen::draw(app, frame, NOW_MS))
        .unwrap();
    terminal
}

fn names(app: &App) -> Vec<&str> {
    let exporters = app.snapshot.exporters.iter();
    exporters.map(|row| row.name.as_str()).collect()
}

#[test]
fn the_first_screen_shows_the_worst_first() {
    insta::assert_snapshot!(drawn(&app(), 120, 20).backend());
}

#[test]
fn a_small_terminal_shows_the_exporters() {
    insta::assert_snapshot!(drawn(&app(), 80, 8).backend());
    // Nothing panics in a window that is hardly there.
    for (width, height) in [(1, 1), (2, 3), (10, 16), (300, 90)] {
        drawn(&app(), width, height);
    }
}

#[test]
fn an_open_exporter_shows_its_error_and_its_dead_letters() {
    let mut app = app();
    assert_eq!(press(&mut app, KeyCode::Enter), KeyAction::Ask);
    assert_eq!(app.opened(), Some("es-archive"));
    let refused = TopDeadLetter {
        id: "alert-12".to_owned(),
        items: 3,
        storage_id: None,
        outcome: "rejected".to_owned(),
        reason: "field `severity` is too long".to_owned(),
        attempts: 1,
        last_tried_at: "2026-01-01T11:00:00.000Z".to_owned(),
    };
    app.set_dead_letters("another", Ok(Vec::new()));
    app.set_dead_letters("es-archive", Ok(vec![refused]));
    insta::assert_snapshot!(drawn(&app, 100, 20).backend());
    press(&mut app, KeyCode::PageDown);
    assert!(!screen_text(&drawn(&app, 100, 20)).contains("plugin"));
    assert_eq!(press(&mut app, KeyCode::Esc), KeyAction::Ask);
    assert_eq!(app.opened(), None);
}

#[test]
fn keys_sort_and_the_selection_follows_its_exporter() {
    let mut app = app();
    assert_eq!(names(&app), ["es-archive", "splunk-dr", "kafka-central"]);
    press(&mut app, KeyCode::Down);
    assert_eq!(app.selected(), Some(1));
    press(&mut app, KeyCode::Char('s'));
    assert_eq!(names(&app), ["es-archive", "kafka-central", "splunk-dr"]);
    assert_eq!(app.selected(), Some(2));
    press(&mut app, KeyCode::Char('r'));
    assert_eq!(names(&app), ["splunk-dr", "kafka-central", "es-archive"]);
    press(&mut app, KeyCode::Char('s'));
    assert_eq!(names(&app)[0], "splunk-dr", "most pending");
    press(&mut app, KeyCode::PageDown);
    assert_eq!(app.selected(), Some(2));
    // An exporter that is gone gives its selection to the first.
    app.update(Ok(Snapshot {
        exporters: vec![exporter("a", "running"), exporter("b", "running")],
        ..Snapshot::default()
    }));
    assert_eq!(app.selected(), Some(0));
    app.update(Ok(Snapshot::default()));
    assert_eq!(app.selected(), None);
    assert_eq!(press(&mut app, KeyCode::Enter), KeyAction::Nothing);
    assert_eq!(press(&mut app, KeyCode::Char('q')), KeyAction::Quit);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.on_key(interrupt), KeyAction::Quit);
}

#[test]
fn a_host_that_is_gone_leaves_the_last_state_and_its_error() {
    let mut app = app();
    app.update(Err("cannot reach the host".to_owned()));
    let text = screen_text(&drawn(&app, 100, 20));
    assert!(text.contains("cannot reach the host") && text.contains("splunk-dr"));
    app.update(Ok(snapshot()));
    assert!(!screen_text(&drawn(&app, 100, 20)).contains("cannot reach the host"));
}

#[test]
fn numbers_have_at_most_six_characters() {
    let numbers = [
        0.0,
        0.44,
        950.0,
        999.96,
        12_345.0,
        999_999.0,
        3_120_007.0,
        4.2e15,
    ];
    let texts = numbers.map(look::compact);
    assert_eq!(
        texts,
        ["0", "0.4", "950", "1.0k", "12.3k", "1.0M", "3.1M", "4200T"]
    );
}

#[test]
fn without_color_no_cell_has_one() {
    let mut app = app();
    app.is_colored = false;
    let terminal = drawn(&app, 120, 20);
    let cells = terminal.backend().buffer().content();
    assert!(cells.iter().all(|cell| cell.fg == Color::Reset));
}

/// The picture of the operator guide is this screen.
#[test]
fn the_picture_in_the_guide_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/operator/images/top.svg");
    let picture = svg(drawn(&app(), 120, 16).backend().buffer());
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(&file, &picture).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == picture,
        "`top.svg` is not what `top` shows (set `UPDATE_PAGES=1`, run this test again, look at it)"
    );
}

fn screen_text(terminal: &Terminal<TestBackend>) -> String {
    terminal.backend().to_string()
}

/// A picture of the screen: one text for each run of cells that look alike.
fn svg(buffer: &Buffer) -> String {
    const CELL: (u16, u16) = (8, 18);
    let (width, height) = (
        buffer.area.width * CELL.0 + 16,
        buffer.area.height * CELL.1 + 16,
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, monospace\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#0d1117\"/>\n"
    );
    for y in 0..buffer.area.height {
        let row: Vec<&Cell> = (0..buffer.area.width).map(|x| &buffer[(x, y)]).collect();
        let mut column = 0;
        for cells in row.chunk_by(|a, b| a.style() == b.style()) {
            let (x, length) = (column * CELL.0 + 8, cells.len() as u16 * CELL.0);
            column += cells.len() as u16;
            let (top, base) = (y * CELL.1 + 8, y * CELL.1 + 21);
            let (mut ink, mut paper) = (ink(cells[0].fg), None);
            if cells[0].modifier.contains(Modifier::REVERSED) {
                (ink, paper) = ("#0d1117", Some(ink));
            }
            if let Some(paper) = paper {
                let _ = writeln!(
                    text,
                    "<rect x=\"{x}\" y=\"{top}\" width=\"{length}\" height=\"{}\" fill=\"{paper}\"/>",
                    CELL.1
                );
            }
            let words: String = cells.iter().map(|cell| cell.symbol()).collect();
            if words.trim().is_empty() {
                continue;
            }
            let weight = match cells[0].modifier.contains(Modifier::BOLD) {
                true => " font-weight=\"bold\"",
                false => "",
            };
            // Browsers keep spaces of this kind only.
            let words = words.replace(' ', "\u{a0}");
            let words = words.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                text,
                "<text x=\"{x}\" y=\"{base}\" textLength=\"{length}\" fill=\"{ink}\"{weight}>{words}</text>"
            );
        }
    }
    text + "</svg>\n"
}

fn ink(color: Color) -> &'static str {
    match color {
        Color::Green => "#3fb950",
        Color::Yellow => "#d29922",
        Color::Red => "#f85149",
        _ => "#e6edf3",
    }
}
