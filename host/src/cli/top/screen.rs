//! Draws the first screen.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table, TableState},
};

use super::{
    app::{App, SortOrder},
    data::{TopAlert, TopExporter, TopJournal, TopStorage, severity_rank},
    detail,
    look::{Tone, compact, rate, style, titled, tone, until},
};
use crate::{
    cli::table::{counted, duration, printable},
    clock::rfc3339,
};

const HELP: &str =
    " q quit   \u{2191}\u{2193} select   enter errors   s sort   r reverse   space refresh";
const DETAIL_HELP: &str = " q quit   esc back   \u{2191}\u{2193} scroll   space refresh";

/// Below this height, only the exporters are shown.
const MIN_HEIGHT_OF_ALL: u16 = 16;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, now_ms: i64) {
    let [head, journals, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(app, now_ms, head.width), head);
    frame.render_widget(journal_line(app), journals);
    match &app.detail {
        Some(opened) => detail::draw(app, opened, frame, body, now_ms),
        None => overview(app, frame, body, now_ms),
    }
    let help = if app.detail.is_some() {
        DETAIL_HELP
    } else {
        HELP
    };
    let foot_line = match &app.error {
        Some(error) => Line::styled(format!(" {}", printable(error)), style(app, Tone::Bad)),
        None => Line::styled(help, Style::new().add_modifier(Modifier::DIM)),
    };
    frame.render_widget(foot_line, foot);
}

fn overview(app: &App, frame: &mut Frame<'_>, area: Rect, now_ms: i64) {
    if frame.area().height < MIN_HEIGHT_OF_ALL {
        return exporters(app, frame, area, now_ms);
    }
    // As many lines as there are exporters, but a third is left for the rest.
    let wanted = u16::try_from(app.snapshot.exporters.len() + 2).unwrap_or(u16::MAX);
    let upper = wanted.clamp(4, area.height - area.height / 3);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).areas(area);
    exporters(app, frame, upper, now_ms);
    let [left, right] = Layout::horizontal([Constraint::Fill(1); 2])
        .spacing(2)
        .areas(lower);
    storages(app, frame, left, now_ms);
    alerts(app, frame, right, now_ms);
}

fn headline(app: &App, now_ms: i64, width: u16) -> Line<'static> {
    let exporters = &app.snapshot.exporters;
    let unwell = exporters
        .iter()
        .filter(|row| matches!(tone(&row.state), Tone::Warn | Tone::Bad))
        .count();
    let (state, look) = match unwell {
        0 => ("all well".to_owned(), Tone::Good),
        some => (format!("{some} not well"), Tone::Bad),
    };
    let count = counted(exporters.len() as u64, "exporter");
    let time = rfc3339(now_ms);
    let time = time.get(11..19).unwrap_or_default();
    let left = format!(" delfin-host {}   {count}: ", printable(&app.host));
    let used = left.chars().count() + state.len();
    let gap = usize::from(width)
        .saturating_sub(used + time.len() + 5)
        .max(2);
    Line::from(vec![
        Span::styled(left, Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(state, style(app, look)),
        Span::raw(format!("{:gap$}{time} UTC", "")),
    ])
}

fn journal_line(app: &App) -> Line<'static> {
    let mut spans = vec![Span::raw(" journals ")];
    for journal in &app.snapshot.journals {
        let (text, look) = fill(journal);
        spans.push(Span::styled(format!("  {text}"), style(app, look)));
    }
    Line::from(spans)
}

fn fill(journal: &TopJournal) -> (String, Tone) {
    let kind = &journal.kind;
    if let Some(fault) = &journal.fault {
        return (format!("{kind}: {}", printable(fault)), Tone::Bad);
    }
    let part = match journal.max_bytes {
        0 => 0.0,
        max => journal.needed_bytes as f64 / max as f64,
    };
    let until = journal.full_in_seconds.map_or_else(
        || "not filling".to_owned(),
        |s| format!("full in {}", duration(s)),
    );
    let look = match part {
        part if part >= 0.8 => Tone::Bad,
        part if part >= 0.6 => Tone::Warn,
        _ => Tone::Plain,
    };
    (
        format!("{kind} {:.1} % needed, {until}", part * 100.0),
        look,
    )
}

fn exporters(app: &App, frame: &mut Frame<'_>, area: Rect, now_ms: i64) {
    let title = |order: SortOrder| {
        let mark = match (order == app.order, app.is_reversed) {
            (false, _) => "",
            (true, false) => "\u{25be}",
            (true, true) => "\u{25b4}",
        };
        format!("{}{mark}", order.title())
    };
    let header = [
        title(SortOrder::Name),
        title(SortOrder::State),
        title(SortOrder::Pending),
        title(SortOrder::Oldest),
        title(SortOrder::In),
        title(SortOrder::Out),
        title(SortOrder::DeadLettered),
        "retry in".to_owned(),
        "last error".to_owned(),
    ];
    let longest = app.snapshot.exporters.iter().map(|row| row.name.len());
    let name = longest.max().unwrap_or(0).clamp(10, 28);
    let widths = [
        Constraint::Length(u16::try_from(name).unwrap_or(28)),
        Constraint::Length(11),
        Constraint::Length(8),
        Constraint::Length(10),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Fill(1),
    ];
    let rows = app.snapshot.exporters.iter();
    let rows = rows.map(|row| exporter_row(app, row, now_ms));
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(titled("Exporters".to_owned()));
    let mut state = TableState::default().with_selected(app.selected());
    frame.render_stateful_widget(table, area, &mut state);
}

fn exporter_row<'a>(app: &App, row: &TopExporter, now_ms: i64) -> Row<'a> {
    let oldest = match row.pending {
        0 => "-".to_owned(),
        _ => duration(row.lag_seconds),
    };
    let next = row.next_attempt_ms.map(|at| until(at, now_ms));
    let error = row.last_error.as_deref().map(|error| {
        let age = row
            .last_error_ms
            .map(|at| format!("{} ago: ", until(now_ms, at)));
        printable(&format!("{}{error}", age.unwrap_or_default()))
    });
    Row::new([
        Cell::from(printable(&row.name)),
        Cell::from(Span::styled(
            row.state.clone(),
            style(app, tone(&row.state)),
        )),
        Cell::from(compact(row.pending as f64)),
        Cell::from(oldest),
        Cell::from(rate(row.accepted_per_second)),
        Cell::from(rate(row.delivered_per_second)),
        Cell::from(compact(row.dead_lettered as f64)),
        Cell::from(next.unwrap_or_else(|| "-".to_owned())),
        Cell::from(error.unwrap_or_else(|| "-".to_owned())),
    ])
}

fn storages(app: &App, frame: &mut Frame<'_>, area: Rect, now_ms: i64) {
    let storages = &app.snapshot.storages;
    let offline = storages
        .iter()
        .filter(|row| row.status == "offline")
        .count();
    let block = titled(format!("Storages: {}, {offline} offline", storages.len()));
    let line = |row: &TopStorage| {
        let success = match row.last_success_ms {
            Some(at) => format!("success {} ago", until(now_ms, at)),
            None => "no success yet".to_owned(),
        };
        let age = row
            .window_age_seconds
            .map(|age| format!(", window {} old", duration(age)));
        let error = row.last_error.as_deref();
        Line::from(vec![
            Span::styled(format!("{:<8}", row.status), style(app, tone(&row.status))),
            Span::raw(printable(&format!(
                "{}  {success}{}{}",
                row.name,
                age.unwrap_or_default(),
                error.map(|error| format!(": {error}")).unwrap_or_default()
            ))),
        ])
    };
    let lines = storages.iter().map(line);
    frame.render_widget(panel(lines, area, block), area);
}

fn alerts(app: &App, frame: &mut Frame<'_>, area: Rect, now_ms: i64) {
    let alerts = &app.snapshot.alerts;
    let block = titled(format!("Active alerts: {}", app.snapshot.alert_count()));
    let line = |row: &TopAlert| {
        let severity = row.severity.as_deref();
        let look = match severity_rank(severity) {
            0..=2 => Tone::Bad,
            3 | 4 => Tone::Warn,
            _ => Tone::Plain,
        };
        let severity = format!("{:<14}", printable(severity.unwrap_or("unknown")));
        Line::from(vec![
            Span::styled(severity, style(app, look)),
            Span::raw(printable(&format!(
                "{}  {}  since {}",
                row.alert_name.as_deref().unwrap_or("-"),
                row.storage_name.as_deref().unwrap_or("-"),
                until(now_ms, row.first_seen)
            ))),
        ])
    };
    let lines = alerts.iter().map(line);
    frame.render_widget(panel(lines, area, block), area);
}

/// As many lines as fit, and how many more there are.
fn panel<'a>(
    lines: impl ExactSizeIterator<Item = Line<'a>>,
    area: Rect,
    block: Block<'a>,
) -> Paragraph<'a> {
    let room = usize::from(area.height.saturating_sub(1));
    let total = lines.len();
    let shown = if total > room {
        room.saturating_sub(1)
    } else {
        total
    };
    let mut shown_lines: Vec<Line<'a>> = lines.take(shown).collect();
    if shown < total {
        shown_lines.push(Line::raw(format!("and {} more", total - shown)));
    }
    Paragraph::new(shown_lines).block(block)
}
