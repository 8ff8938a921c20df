//! The thread that asks the host, at an interval and on request.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError},
    thread,
    time::Duration,
};

use super::{
    app::App,
    data::{Snapshot, TopDeadLetter},
};
use crate::cli::{
    client::{ClientError, HostClient},
    error::Error,
};

/// What the host answered.
pub(super) struct News {
    snapshot: Result<Snapshot, ClientError>,
    /// An exporter and its dead letters, if one is open.
    dead_letters: Option<(String, Result<Vec<TopDeadLetter>, ClientError>)>,
}

pub(super) struct Poller {
    /// The exporter that is open.
    requests: Sender<Option<String>>,
    news: Receiver<News>,
}

impl Poller {
    pub(super) fn start(client: HostClient, interval: Duration) -> Self {
        let (requests, received) = mpsc::channel();
        let (sender, news) = mpsc::channel();
        thread::spawn(move || poll(&client, interval, &received, &sender));
        Self { requests, news }
    }

    /// Asks now, also for the dead letters of this exporter.
    pub(super) fn ask(&self, opened: Option<&str>) {
        // Without the thread, `receive` ends the command.
        let _ = self.requests.send(opened.map(str::to_owned));
    }

    /// Hands what the host answered to the screen. Returns whether there was something.
    pub(super) fn receive(&self, app: &mut App) -> Result<bool, Error> {
        let mut has_news = false;
        loop {
            match self.news.try_recv() {
                Ok(News {
                    snapshot,
                    dead_letters,
                }) => {
                    has_news = true;
                    app.update(snapshot.map_err(|error| error.to_string()));
                    if let Some((exporter, dead_letters)) = dead_letters {
                        app.set_dead_letters(
                            &exporter,
                            dead_letters.map_err(|error| error.to_string()),
                        );
                    }
                }
                Err(TryRecvError::Empty) => return Ok(has_news),
                Err(TryRecvError::Disconnected) => {
                    return Err(Error::failed("the thread that asks the host has ended"));
                }
            }
        }
    }
}

fn poll(
    client: &HostClient,
    interval: Duration,
    requests: &Receiver<Option<String>>,
    news: &Sender<News>,
) {
    let mut opened: Option<String> = None;
    loop {
        match requests.recv_timeout(interval) {
            Ok(exporter) => opened = requests.try_iter().last().unwrap_or(exporter),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let answer = News {
            snapshot: Snapshot::fetch(client),
            dead_letters: opened.clone().map(|exporter| {
                let dead_letters = TopDeadLetter::fetch(client, &exporter);
                (exporter, dead_letters)
            }),
        };
        if news.send(answer).is_err() {
            return;
        }
    }
}
