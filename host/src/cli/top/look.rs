//! How `top` shows states and numbers.

use ratatui::{
    style::{Color, Style},
    widgets::{Block, Borders},
};

use super::app::App;
use crate::cli::table::duration;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Plain,
}

pub(super) fn titled(title: String) -> Block<'static> {
    Block::new()
        .borders(Borders::TOP)
        .title(format!(" {title} "))
}

pub(super) fn tone(state: &str) -> Tone {
    match state {
        "running" | "normal" => Tone::Good,
        "retrying" | "paused" => Tone::Warn,
        "failed" | "stuck" | "quarantined" | "offline" => Tone::Bad,
        _ => Tone::Plain,
    }
}

pub(super) fn style(app: &App, tone: Tone) -> Style {
    let style = Style::new();
    match tone {
        _ if !app.is_colored => style,
        Tone::Good => style.fg(Color::Green),
        Tone::Warn => style.fg(Color::Yellow),
        Tone::Bad => style.fg(Color::Red),
        Tone::Plain => style,
    }
}

/// The time from one moment to another: the larger first.
pub(super) fn until(later_ms: i64, earlier_ms: i64) -> String {
    duration((later_ms - earlier_ms).max(0) as f64 / 1000.0)
}

pub(super) fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), compact)
}

/// A number in at most six characters: `0.4`, `950`, `12.3k`, `3.1M`.
pub(super) fn compact(number: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let rounded = |number: f64| {
        if number.fract() == 0.0 || number >= 100.0 {
            format!("{number:.0}")
        } else {
            format!("{number:.1}")
        }
    };
    for (size, unit) in UNITS {
        // From here on, the smaller unit would be rounded to 1000.
        if number >= size * 0.9995 {
            return rounded(number / size) + unit;
        }
    }
    rounded(number)
}
