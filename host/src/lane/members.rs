//! The exporters of a lane, as far as its room concerns them: those that give
//! way when it is full, and those on whose account batches are refused.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{delivery::Order, journal::Seq};

/// How long an exporter may take to give way: it only has to write to the journal.
const GIVE_WAY: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Members(Mutex<BTreeMap<String, Member>>);

struct Member {
    gives_way: bool,
    /// Whether batches are refused on its account.
    refuses: bool,
    orders: mpsc::UnboundedSender<Order>,
}

impl Members {
    pub(super) fn join(
        &self,
        exporter: &str,
        gives_way: bool,
        orders: mpsc::UnboundedSender<Order>,
    ) {
        let member = Member {
            gives_way,
            refuses: false,
            orders,
        };
        self.lock().insert(exporter.to_owned(), member);
    }

    pub(super) fn leave(&self, exporter: &str) {
        self.lock().remove(exporter);
    }

    pub(super) fn has(&self, exporter: &str) -> bool {
        self.lock().contains_key(exporter)
    }

    pub(super) fn refuse_for(&self, exporter: &str, refuse: bool) {
        if let Some(member) = self.lock().get_mut(exporter) {
            member.refuses = refuse;
        }
    }

    /// On whose account batches are refused, if on anyone's.
    pub(super) fn refuses(&self) -> Option<String> {
        let members = self.lock();
        let refuses = members.iter().find(|(_, member)| member.refuses);
        refuses.map(|(name, _)| name.clone())
    }

    /// Who does not give way.
    pub(super) fn steadfast(&self) -> Vec<String> {
        let members = self.lock();
        let steadfast = members.iter().filter(|(_, member)| !member.gives_way);
        steadfast.map(|(name, _)| name.clone()).collect()
    }

    /// Has those who give way do so: nothing before a record waits for them any more.
    pub(super) async fn make_room(&self, end: Seq) {
        let asked: Vec<oneshot::Receiver<()>> = {
            let members = self.lock();
            let givers = members.values().filter(|member| member.gives_way);
            let ask = |member: &Member| {
                let (done, asked) = oneshot::channel();
                // One that is gone has nothing to give.
                let _ = member.orders.send(Order::MakeRoom { end, done });
                asked
            };
            givers.map(ask).collect()
        };
        let all = async {
            for asked in asked {
                // Dropped when it is done.
                let _ = asked.await;
            }
        };
        if timeout(GIVE_WAY, all).await.is_err() {
            log::debug!("not every exporter has given way in time");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
