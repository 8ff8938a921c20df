//! What the screen shows, and what keys change of it.

use std::cmp::Ordering;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::data::{Snapshot, TopDeadLetter, TopExporter};

/// The exporters and what is open.
pub(super) struct App {
    /// Address of the host.
    pub(super) host: String,
    pub(super) is_colored: bool,
    pub(super) snapshot: Snapshot,
    /// Why the last request failed; the snapshot is the one before.
    pub(super) error: Option<String>,
    pub(super) order: SortOrder,
    pub(super) is_reversed: bool,
    /// By name: the order changes while the user looks.
    selected: Option<String>,
    pub(super) detail: Option<Detail>,
}

/// An exporter that is open.
pub(super) struct Detail {
    pub(super) exporter: String,
    /// `None` until the host has answered.
    pub(super) dead_letters: Option<Result<Vec<TopDeadLetter>, String>>,
    /// Lines that are above the screen.
    pub(super) scroll: u16,
}

/// What follows from a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Nothing,
    /// Ask the host now.
    Ask,
    Quit,
}

/// By what the exporters are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortOrder {
    State,
    Name,
    Pending,
    Oldest,
    In,
    Out,
    DeadLettered,
}

impl SortOrder {
    pub(super) const ALL: [Self; 7] = [
        Self::State,
        Self::Name,
        Self::Pending,
        Self::Oldest,
        Self::In,
        Self::Out,
        Self::DeadLettered,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Name => "exporter",
            Self::Pending => "pending",
            Self::Oldest => "oldest",
            Self::In => "in/s",
            Self::Out => "out/s",
            Self::DeadLettered => "dead",
        }
    }

    fn next(self) -> Self {
        let index = Self::ALL.iter().position(|order| *order == self);
        Self::ALL[(index.unwrap_or_default() + 1) % Self::ALL.len()]
    }

    /// Largest first, worst state first.
    fn compare(self, a: &TopExporter, b: &TopExporter) -> Ordering {
        let rate = |rate: Option<f64>| rate.unwrap_or_default();
        let order = match self {
            Self::State => state_rank(&a.state).cmp(&state_rank(&b.state)),
            Self::Name => Ordering::Equal,
            Self::Pending => b.pending.cmp(&a.pending),
            Self::Oldest => b.lag_seconds.total_cmp(&a.lag_seconds),
            Self::In => rate(b.accepted_per_second).total_cmp(&rate(a.accepted_per_second)),
            Self::Out => rate(b.delivered_per_second).total_cmp(&rate(a.delivered_per_second)),
            Self::DeadLettered => b.dead_lettered.cmp(&a.dead_lettered),
        };
        order.then_with(|| a.name.cmp(&b.name))
    }
}

const WORST_FIRST: [&str; 8] = [
    "failed",
    "quarantined",
    "stuck",
    "retrying",
    "paused",
    "starting",
    "stopped",
    "running",
];

/// A state of a newer host comes first.
fn state_rank(state: &str) -> Option<usize> {
    WORST_FIRST.iter().position(|known| *known == state)
}

impl App {
    pub(super) fn new(host: String, is_colored: bool) -> Self {
        Self {
            host,
            is_colored,
            snapshot: Snapshot::default(),
            error: None,
            order: SortOrder::State,
            is_reversed: false,
            selected: None,
            detail: None,
        }
    }

    pub(super) fn update(&mut self, answer: Result<Snapshot, String>) {
        match answer {
            Ok(snapshot) => {
                self.snapshot = snapshot;
                self.error = None;
                self.sort();
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Shows the dead letters, unless another exporter has been opened meanwhile.
    pub(super) fn set_dead_letters(
        &mut self,
        exporter: &str,
        dead_letters: Result<Vec<TopDeadLetter>, String>,
    ) {
        if let Some(detail) = &mut self.detail
            && detail.exporter == exporter
        {
            detail.dead_letters = Some(dead_letters);
        }
    }

    /// Position of the selected exporter.
    pub(super) fn selected(&self) -> Option<usize> {
        let exporters = &self.snapshot.exporters;
        let found = exporters
            .iter()
            .position(|row| Some(&row.name) == self.selected.as_ref());
        found.or((!exporters.is_empty()).then_some(0))
    }

    /// Name of the exporter that is open.
    pub(super) fn opened(&self) -> Option<&str> {
        Some(&self.detail.as_ref()?.exporter)
    }

    pub(super) fn on_key(&mut self, key: KeyEvent) -> KeyAction {
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return KeyAction::Quit;
            }
            KeyCode::Char('q') => return KeyAction::Quit,
            KeyCode::Char(' ') => return KeyAction::Ask,
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::PageUp => self.step(-10),
            KeyCode::PageDown => self.step(10),
            KeyCode::Home => self.step(-i32::from(u16::MAX)),
            KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => return self.close(),
            KeyCode::Enter | KeyCode::Right => return self.open(),
            KeyCode::Char('s') if self.detail.is_none() => {
                self.order = self.order.next();
                self.is_reversed = false;
                self.sort();
            }
            KeyCode::Char('r') if self.detail.is_none() => {
                self.is_reversed = !self.is_reversed;
                self.sort();
            }
            _ => {}
        }
        KeyAction::Nothing
    }

    /// Moves the selection, or scrolls what is open.
    fn step(&mut self, lines: i32) {
        if let Some(detail) = &mut self.detail {
            let scroll = (i32::from(detail.scroll) + lines).clamp(0, i32::from(u16::MAX));
            detail.scroll = u16::try_from(scroll).unwrap_or_default();
            return;
        }
        let exporters = &self.snapshot.exporters;
        let position = self.selected().unwrap_or_default();
        let moved = position.saturating_add_signed(lines as isize);
        let moved = moved.min(exporters.len().saturating_sub(1));
        self.selected = exporters.get(moved).map(|row| row.name.clone());
    }

    fn open(&mut self) -> KeyAction {
        let Some(exporter) = self.selected().filter(|_| self.detail.is_none()) else {
            return KeyAction::Nothing;
        };
        let exporter = self.snapshot.exporters[exporter].name.clone();
        self.selected = Some(exporter.clone());
        self.detail = Some(Detail {
            exporter,
            dead_letters: None,
            scroll: 0,
        });
        KeyAction::Ask
    }

    fn close(&mut self) -> KeyAction {
        match self.detail.take() {
            // The poller asks for no more dead letters.
            Some(_) => KeyAction::Ask,
            None => KeyAction::Nothing,
        }
    }

    fn sort(&mut self) {
        let order = self.order;
        let exporters = &mut self.snapshot.exporters;
        exporters.sort_by(|a, b| order.compare(a, b));
        if self.is_reversed {
            exporters.reverse();
        }
    }
}
