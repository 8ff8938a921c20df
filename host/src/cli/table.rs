//! Tables for people: a header, words to the left, numbers to the right.
//!
//! Whatever is in a cell, it stays on its line and sends no control characters
//! to the terminal: error texts come from plugins and from their receivers.

use clap::builder::styling::{AnsiColor, Style};

const GAP: &str = "   ";

/// Rows below a header.
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One value.
pub struct Cell {
    text: String,
    right: bool,
    style: Style,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self {
            header: header.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each word of the header.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The text of the whole table.
    #[must_use]
    pub fn render(&self, colored: bool) -> String {
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
    /// A word or a sentence.
    pub fn text(text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self {
            text: printable(&text),
            right: false,
            style: Style::new(),
        }
    }

    /// A number, its digits in groups.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self::text(grouped(number)).aligned(true)
    }

    /// Something to be read as a number, with its unit.
    pub fn amount(text: impl Into<String>) -> Self {
        Self::text(text).aligned(true)
    }

    /// The sign for what there is none of.
    #[must_use]
    pub fn none() -> Self {
        Self::text("-")
    }

    /// In this colour, where there are colours.
    #[must_use]
    pub fn colored(self, color: AnsiColor) -> Self {
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
#[must_use]
pub fn grouped(number: u64) -> String {
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

/// The text on one line, and without what a terminal would obey.
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
        // Measured before it is coloured: the codes take no room.
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
    fn digits_stand_in_groups_of_three() {
        let texts = [0, 999, 1000, 48_210, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "48 210", "1 234 567"]);
    }

    #[test]
    fn a_cell_cannot_break_its_line_or_speak_to_the_terminal() {
        let mut table = Table::new(&["last error"]);
        table.row([Cell::text("first\nsecond \u{1b}[2J")]);
        assert_eq!(table.render(false), "last error\nfirst second  [2J\n");
    }

    #[test]
    fn colour_changes_no_width() {
        let mut table = Table::new(&["state", "count"]);
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
