//! Draws one exporter: its counts, its last error in full, and its dead letters.

use ratatui::{
    Frame,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::{Paragraph, Wrap},
};

use super::{
    app::{App, Detail},
    data::{TopDeadLetter, TopExporter},
    look::{Tone, rate, style, titled, tone, until},
};
use crate::{
    cli::table::{counted, duration, grouped, printable},
    clock::rfc3339,
};

pub(super) fn draw(app: &App, opened: &Detail, frame: &mut Frame<'_>, area: Rect, now_ms: i64) {
    let exporters = &app.snapshot.exporters;
    let found = exporters.iter().find(|row| row.name == opened.exporter);
    let mut lines = match found {
        Some(row) => facts(app, row, now_ms),
        None => vec![Line::styled(
            "the exporter is no longer configured",
            style(app, Tone::Bad),
        )],
    };
    lines.push(Line::raw(""));
    lines.extend(dead_letters(app, opened.dead_letters.as_ref()));
    let title = printable(&opened.exporter);
    let paragraph = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(titled(title));
    frame.render_widget(paragraph.scroll((opened.scroll, 0)), area);
}

fn facts(app: &App, row: &TopExporter, now_ms: i64) -> Vec<Line<'static>> {
    let fact = |title: &str, value: String| Line::from(format!("{title:<14}{}", printable(&value)));
    let state = Line::from(vec![
        Span::raw(format!("{:<14}", "state")),
        Span::styled(row.state.clone(), style(app, tone(&row.state))),
    ]);
    let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        state,
        fact("plugin", optional(&row.plugin)),
        fact("kind", optional(&row.kind)),
        fact(
            "pending",
            format!(
                "{}, the oldest for {}",
                grouped(row.pending),
                duration(row.lag_seconds)
            ),
        ),
        fact("in, out", {
            let (accepted, delivered) = (row.accepted_per_second, row.delivered_per_second);
            format!("{}/s, {}/s", rate(accepted), rate(delivered))
        }),
        fact("delivered", grouped(row.delivered)),
        fact("dead-lettered", grouped(row.dead_lettered)),
        fact("dropped", grouped(row.dropped)),
        fact("filtered", grouped(row.filtered)),
        fact("last success", optional(&row.last_success)),
    ];
    if let Some(next_ms) = row.next_attempt_ms {
        lines.push(fact(
            "next attempt",
            format!("in {}", until(next_ms, now_ms)),
        ));
    }
    lines.push(match (&row.last_error, row.last_error_ms) {
        (None, _) => fact("last error", "none".to_owned()),
        (Some(error), None) => fact("last error", error.clone()),
        (Some(error), Some(at)) => {
            let age = until(now_ms, at);
            fact(
                "last error",
                format!("{error} ({}, {age} ago)", rfc3339(at)),
            )
        }
    });
    lines
}

fn dead_letters(
    app: &App,
    dead_letters: Option<&Result<Vec<TopDeadLetter>, String>>,
) -> Vec<Line<'static>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let dead_letters = match dead_letters {
        None => return vec![Line::raw("dead letters: asking the host")],
        Some(Err(error)) => return vec![Line::styled(printable(error), style(app, Tone::Bad))],
        Some(Ok(dead_letters)) => dead_letters,
    };
    if dead_letters.is_empty() {
        return vec![Line::raw("no dead letters")];
    }
    let title = format!(
        "dead letters, the oldest {} (`dead-letters` has their content)",
        dead_letters.len()
    );
    let line = |row: &TopDeadLetter| {
        Line::raw(printable(&format!(
            "{}  {}  {}  {}  {}: {} ({})",
            row.last_tried_at,
            row.id,
            counted(row.items, "item"),
            row.storage_id.as_deref().unwrap_or("-"),
            row.outcome,
            row.reason,
            counted(row.attempts, "attempt"),
        )))
    };
    let mut lines = vec![Line::styled(title, bold)];
    lines.extend(dead_letters.iter().map(line));
    lines
}
