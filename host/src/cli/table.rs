//! Tables of text: a header, words aligned left, numbers aligned right.
//!
//! A cell never breaks its line and never sends control characters to the terminal:
//! error texts come from plugins and receivers.

use clap::builder::styling::{AnsiColor, Style};

const GAP: &str = "   ";

/// A header and rows.
pub(super) struct TextTable {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

pub(super) struct Cell {
    text: String,
    right: bool,
    style: Style,
}

impl TextTable {
    pub(super) fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with one cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn render(&self, colored: bool) -> String {
        let columns: Vec<Column> = (0..self.header.len()).map(|i| self.column(i)).collect();
        let header = self.header.iter().zip(&columns).map(|(name, column)| {
            let cell = Cell::text(*name).aligned(column.right);
            cell.styled(Style::new().bold())
        });
        let mut text = line(&header.collect::<Vec<_>>(), &columns, colored);
        for row in &self.rows {
            text += &line(row, &columns, colored);
        }
        text
    }

    fn column(&self, index: usize) -> Column {
        let cells = || self.rows.iter().filter_map(move |row| row.get(index));
        let widest = cells().map(Cell::width).max().unwrap_or(0);
        Column {
            width: widest.max(self.header[index].len()),
            right: cells().any(|cell| cell.right),
        }
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self {
            text: printable(&text),
            right: false,
            style: Style::new(),
        }
    }

    pub(super) fn number(number: u64) -> Self {
        Self::text(grouped(number)).aligned(true)
    }

    /// A number with its unit, aligned like a number.
    pub(super) fn amount(text: impl Into<String>) -> Self {
        Self::text(text).aligned(true)
    }

    /// A text, or the sign for an absent value.
    pub(super) fn optional(text: Option<&str>) -> Self {
        text.map_or_else(Self::none, Self::text)
    }

    /// The sign for an absent value.
    pub(super) fn none() -> Self {
        Self::text("-")
    }

    pub(super) fn colored(self, color: AnsiColor) -> Self {
        self.styled(Style::new().fg_color(Some(color.into())))
    }

    fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn aligned(self, right: bool) -> Self {
        Self { right, ..self }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// A number with its digits in groups of three: `48 210`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 item`, `2 items`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// The two largest units: `850 ms`, `12 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    if seconds < 1.0 {
        return format!("{:.0} ms", seconds.max(0.0) * 1000.0);
    }
    let mut rest = seconds as u64;
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        if rest >= size || !parts.is_empty() {
            parts.push((rest / size, unit));
            rest %= size;
        }
    }
    parts.truncate(2);
    parts.retain(|(number, _)| *number > 0);
    let words: Vec<String> = parts
        .iter()
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    words.join(" ")
}

/// The text with control characters replaced by spaces.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

struct Column {
    width: usize,
    right: bool,
}

fn line(cells: &[Cell], columns: &[Column], colored: bool) -> String {
    let mut text = String::new();
    for (index, (cell, column)) in cells.iter().zip(columns).enumerate() {
        if index > 0 {
            text += GAP;
        }
        let padding = " ".repeat(column.width.saturating_sub(cell.width()));
        // The codes of a color have no width, so the padding does not count them.
        let word = if colored {
            format!("{0}{1}{0:#}", cell.style, cell.text)
        } else {
            cell.text.clone()
        };
        text += &match column.right {
            true => padding + &word,
            false => word + &padding,
        };
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        let texts = [0, 999, 1000, 48_210, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "48 210", "1 234 567"]);
    }

    #[test]
    fn a_duration_is_shown_in_its_two_largest_units() {
        let texts = [0.0, 0.85, 12.3, 303.0, 7_800.0, 7_200.0, 273_600.0].map(duration);
        assert_eq!(
            texts,
            [
                "0 ms",
                "850 ms",
                "12 s",
                "5 min 3 s",
                "2 h 10 min",
                "2 h",
                "3 d 4 h"
            ]
        );
    }

    #[test]
    fn a_cell_cannot_break_its_line_or_control_the_terminal() {
        let mut table = TextTable::new(&["last error"]);
        table.row([Cell::text("first\nsecond \u{1b}[2J")]);
        assert_eq!(table.render(false), "last error\nfirst second  [2J\n");
    }

    #[test]
    fn color_does_not_change_the_width() {
        let mut table = TextTable::new(&["state", "count"]);
        table.row([
            Cell::text("running").colored(AnsiColor::Green),
            Cell::number(1000),
        ]);
        table.row([Cell::text("failed"), Cell::none()]);
        let plain = table.render(false);
        assert_eq!(plain, "state     count\nrunning   1 000\nfailed        -\n");
        let colored = table.render(true);
        assert!(colored.contains("\u{1b}[32mrunning\u{1b}[0m   1 000\n"));
    }
}
