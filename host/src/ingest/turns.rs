//! A semaphore at which senders take turns.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Permits that waiting senders get in turn: a sender with a thousand requests delays another
/// one by one of them.
#[derive(Debug)]
pub(super) struct SenderTurns(Mutex<TurnState>);

#[derive(Debug)]
struct TurnState {
    free: usize,
    /// The requests that wait, by sender, in the order in which the senders are next.
    waiting: VecDeque<WaitingSender>,
}

#[derive(Debug)]
struct WaitingSender {
    sender: IpAddr,
    requests: VecDeque<oneshot::Sender<TurnPermit>>,
}

/// A permit, until it is dropped.
#[derive(Debug)]
pub(super) struct TurnPermit(Option<Arc<SenderTurns>>);

impl SenderTurns {
    pub(super) fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(TurnState {
            free: permits,
            waiting: VecDeque::new(),
        })))
    }

    /// A permit, if one is free.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<TurnPermit> {
        let taken = self.lock().take();
        taken.then(|| TurnPermit(Some(Arc::clone(self))))
    }

    /// Waits for a permit.
    pub(super) async fn acquire(self: &Arc<Self>, sender: IpAddr) -> TurnPermit {
        let waiting = {
            let mut state = self.lock();
            if state.take() {
                return TurnPermit(Some(Arc::clone(self)));
            }
            let (permit, waiting) = oneshot::channel();
            state.wait(sender, permit);
            waiting
        };
        // The sending half is dropped only after it has sent.
        waiting.await.unwrap_or(TurnPermit(None))
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.lock().free
    }

    fn release(self: &Arc<Self>) {
        let mut permit = TurnPermit(Some(Arc::clone(self)));
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                    permit.0 = None;
                }
                next
            };
            let Some(next) = next else { return };
            // A request that no longer waits returns the permit.
            match next.send(permit) {
                Ok(()) => return,
                Err(returned) => permit = returned,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnState {
    /// Takes a free permit.
    fn take(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    fn wait(&mut self, sender: IpAddr, permit: oneshot::Sender<TurnPermit>) {
        let known = self.waiting.iter_mut().find(|it| it.sender == sender);
        match known {
            Some(known) => known.requests.push_back(permit),
            None => self.waiting.push_back(WaitingSender {
                sender,
                requests: VecDeque::from([permit]),
            }),
        }
    }

    /// The next request of the next sender, who then is the last one.
    fn next(&mut self) -> Option<oneshot::Sender<TurnPermit>> {
        let mut first = self.waiting.pop_front()?;
        let next = first.requests.pop_front();
        if !first.requests.is_empty() {
            self.waiting.push_back(first);
        }
        next
    }
}

impl Drop for TurnPermit {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn sender(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[tokio::test]
    async fn senders_take_turns() {
        let turns = SenderTurns::new(1);
        let first = turns.acquire(sender(1)).await;
        let (order, mut served) = tokio::sync::mpsc::unbounded_channel();
        for (name, from) in [
            ("a1", 1),
            ("a2", 1),
            ("a3", 1),
            ("b1", 2),
            ("c1", 3),
            ("b2", 2),
        ] {
            let (turns, order) = (Arc::clone(&turns), order.clone());
            tokio::spawn(async move {
                let permit = turns.acquire(sender(from)).await;
                order.send(name).unwrap();
                drop(permit);
            });
            tokio::task::yield_now().await;
        }
        drop((order, first));
        let mut names = Vec::new();
        while let Some(name) = served.recv().await {
            names.push(name);
        }
        assert_eq!(names, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!(turns.free(), 1);
    }

    #[tokio::test]
    async fn a_request_that_no_longer_waits_takes_no_permit() {
        let turns = SenderTurns::new(1);
        let first = turns.acquire(sender(1)).await;
        let gone = tokio::spawn({
            let turns = Arc::clone(&turns);
            async move { drop(turns.acquire(sender(2)).await) }
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        drop(turns.acquire(sender(3)).await);
        assert_eq!(turns.free(), 1);
    }
}
