//! Shows how far a long command is, on standard error: a bar on a terminal, lines otherwise, and
//! nothing with `--json`.

use std::{
    cell::RefCell,
    io::{self, IsTerminal, Write as _},
    time::{Duration, Instant},
};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{output::Output, table::grouped};
use crate::state::ProgressListener;

/// Between two lines, and before the first: a command that is quick prints none.
const LINE_INTERVAL: Duration = Duration::from_secs(5);
/// How often the bar is drawn while nothing is reported, as when the host works.
const TICK: Duration = Duration::from_millis(200);

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgressUnit {
    Bytes,
    Items,
}

/// The progress of one command, in one part after another. Removes its bar when it is dropped.
pub(super) struct ProgressReport {
    unit: ProgressUnit,
    /// `None` with `--json`.
    display: Option<RefCell<ProgressDisplay>>,
}

struct ProgressDisplay {
    part: String,
    total: u64,
    /// When the next line is due.
    next: Instant,
    /// On a terminal.
    bar: Option<ProgressBar>,
}

impl ProgressReport {
    pub(super) fn new(output: &Output<'_>, unit: ProgressUnit) -> Self {
        let display = || {
            RefCell::new(ProgressDisplay {
                part: String::new(),
                total: 0,
                next: Instant::now() + LINE_INTERVAL,
                bar: io::stderr().is_terminal().then(|| bar(unit)),
            })
        };
        Self {
            unit,
            display: (!output.is_json()).then(display),
        }
    }
}

impl ProgressListener for ProgressReport {
    fn begin(&self, part: &str, total: u64) {
        let Some(display) = &self.display else {
            return;
        };
        let mut display = display.borrow_mut();
        part.clone_into(&mut display.part);
        display.total = total;
        if let Some(bar) = &display.bar {
            bar.set_length(total);
            bar.set_position(0);
            bar.set_message(part.to_owned());
            bar.enable_steady_tick(TICK);
        }
    }

    fn set(&self, done: u64) {
        let Some(display) = &self.display else {
            return;
        };
        let mut display = display.borrow_mut();
        if let Some(bar) = &display.bar {
            bar.set_position(done);
        } else if let Some(line) = display.line(done, self.unit, Instant::now()) {
            // If standard error is closed, no progress can be shown.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

impl Drop for ProgressReport {
    fn drop(&mut self) {
        if let Some(bar) = self.display.take().and_then(|it| it.into_inner().bar) {
            bar.finish_and_clear();
        }
    }
}

impl ProgressDisplay {
    /// The next line, if it is time for one.
    fn line(&mut self, done: u64, unit: ProgressUnit, now: Instant) -> Option<String> {
        if now < self.next {
            return None;
        }
        self.next = now + LINE_INTERVAL;
        let amount = |number| match unit {
            ProgressUnit::Bytes => HumanBytes(number).to_string(),
            ProgressUnit::Items => grouped(number),
        };
        let (part, done, total) = (&self.part, amount(done), self.total);
        Some(match total {
            0 => format!("{part}: {done}"),
            _ => format!("{part}: {done} of {}", amount(total)),
        })
    }
}

fn bar(unit: ProgressUnit) -> ProgressBar {
    let template = match unit {
        ProgressUnit::Bytes => "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ProgressUnit::Items => "{msg} [{bar:30}] {human_pos}/{human_len} {eta}",
    };
    let style = ProgressStyle::with_template(template).map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("#>-"),
    );
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_at_a_bounded_rate_and_say_the_part_and_how_far_it_is() {
        let start = Instant::now();
        let mut lines = ProgressDisplay {
            part: "reading".to_owned(),
            total: 3 << 20,
            next: start + LINE_INTERVAL,
            bar: None,
        };
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut shown: Vec<String> = (0..12)
            .filter_map(|second| lines.line(second << 18, ProgressUnit::Bytes, at(second)))
            .collect();
        lines.total = 0;
        shown.extend(lines.line(1200, ProgressUnit::Items, at(60)));
        let wanted = [
            "reading: 1.25 MiB of 3.00 MiB",
            "reading: 2.50 MiB of 3.00 MiB",
            "reading: 1 200",
        ];
        assert_eq!(shown, wanted);
    }
}
