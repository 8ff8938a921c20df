//! `top`: exporters, storages, alerts and journals of the running host in a terminal, live.
//!
//! A thread asks the host; this one draws and reads keys, so that a slow host delays no key.

mod app;
mod data;
mod detail;
mod look;
mod poller;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::{
    app::{App, KeyAction},
    data::Snapshot,
    poller::Poller,
    terminal::CommandTerminal,
};
use super::{connect::HostArgs, error::Error, options::GlobalOptions, output::Output};
use crate::{clock::now_ms, platform::StopFlag};

/// The longest wait for a key before the screen looks for news and for signals.
const TICK: Duration = Duration::from_millis(100);

/// How often ages are drawn again when the host has no news.
const REDRAW: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct TopArgs {
    /// Seconds between two requests
    #[arg(
        long, value_name = "SECONDS", default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub interval: u64,

    #[command(flatten)]
    pub host: HostArgs,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &TopArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    if output.is_json() || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Error::usage(
            "`top` needs a terminal (use `exporters --watch` without one, or with `--json`)".into(),
        ));
    }
    let client = options.host_client(&args.host)?;
    // Fails as every other command does, before the screen is taken.
    let first = Snapshot::fetch(&client)?;
    let mut app = App::new(client.shown().to_owned(), output.is_colored());
    app.update(Ok(first));
    let signals = StopFlag::watch().map_err(Error::failed)?;
    let poller = Poller::start(client, Duration::from_secs(args.interval));
    let mut terminal = CommandTerminal::take().map_err(Error::Output)?;
    watch(&mut app, &poller, &signals, &mut terminal)
}

/// Draws until the user quits or a signal ends the command.
fn watch(
    app: &mut App,
    poller: &Poller,
    signals: &StopFlag,
    terminal: &mut CommandTerminal,
) -> Result<(), Error> {
    let mut drawn: Option<Instant> = None;
    while !signals.is_set() {
        let has_news = poller.receive(app)?;
        if has_news || drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
            terminal
                .draw(|frame| screen::draw(app, frame, now_ms()))
                .map_err(Error::Output)?;
            drawn = Some(Instant::now());
        }
        if !event::poll(TICK).map_err(Error::Output)? {
            continue;
        }
        // Every event changes the screen, a new size too.
        drawn = None;
        if let Event::Key(key) = event::read().map_err(Error::Output)?
            && key.kind == KeyEventKind::Press
        {
            match app.on_key(key) {
                KeyAction::Quit => break,
                KeyAction::Ask => poller.ask(app.opened()),
                KeyAction::Nothing => {}
            }
        }
    }
    Ok(())
}
