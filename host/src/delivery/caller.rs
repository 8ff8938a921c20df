//! The calls of one exporter: one at a time, each with a deadline, past which
//! its thread is given up.
//!
//! Knows nothing of what is sent and of what becomes of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot},
    time::sleep_until,
};

use super::{letters::Letter, marker::Marker, shipment::Shipment};
use crate::{
    config::ExporterConfig,
    plugin::{Answer, Call, ExportRequest, ExporterFactory, Instance, InstanceHost, Reply},
};

/// So many threads of an exporter may hang at a time.
const MOST_LEFT_BEHIND: usize = 2;

/// What a call is for.
#[derive(Debug)]
pub(super) enum Task {
    Create,
    Export(Shipment),
    /// A dead letter, once more.
    Letter(Letter),
    /// Items of the present state.
    Resend(u64),
    Tick,
    Flush,
    Close,
}

/// How a call goes on.
#[derive(Debug)]
pub(super) enum Progress {
    Answered(Task, Answer),
    /// The thread ended without an answer.
    Ended,
    /// It is past its deadline.
    Overdue,
    /// It is past it by as much again: it may never come back.
    Lost,
}

impl Task {
    /// What the call is named by.
    fn name(&self) -> &'static str {
        match self {
            Self::Create => "a call to make an instance",
            Self::Export(_) | Self::Letter(_) | Self::Resend(_) => "a call of `export`",
            Self::Tick => "a call of `tick`",
            Self::Flush => "a call of `flush`",
            Self::Close => "a call of `close`",
        }
    }
}

struct UnderWay {
    task: Task,
    reply: Reply,
    /// When it is late, and then when it is lost; none once it is.
    deadline: Option<Instant>,
    overdue: bool,
    /// Held by the one suspect that may be called.
    _turn: Turn,
}

/// See the module.
pub(super) struct Caller {
    timeout: Duration,
    instance: Option<Instance>,
    under_way: Option<UnderWay>,
    left_behind: Vec<oneshot::Receiver<()>>,
    marker: Option<Marker>,
    /// One suspect is called at a time, so that it is known under whose call the
    /// host dies.
    suspects: Arc<Semaphore>,
}

impl Caller {
    pub(super) fn new(timeout: Duration, marker: Option<Marker>, suspects: Arc<Semaphore>) -> Self {
        Self {
            timeout,
            instance: None,
            under_way: None,
            left_behind: Vec::new(),
            marker,
            suspects,
        }
    }

    /// Why the exporter must not be called, if the host died under its calls.
    pub(super) fn verdict(&self) -> Option<String> {
        self.marker.as_ref()?.verdict()
    }

    /// Forgets what the exporter was suspected of.
    pub(super) fn acquit(&mut self) {
        if let Some(marker) = &mut self.marker {
            marker.acquit();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    pub(super) fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// Whether a call may be made: if the exporter is a suspect, no other
    /// suspect may be in a call.
    pub(super) fn has_turn(&mut self) -> Option<Turn> {
        if !self.marker.as_ref().is_some_and(Marker::is_suspect) {
            return Some(Turn(None));
        }
        match Arc::clone(&self.suspects).try_acquire_owned() {
            Ok(permit) => Some(Turn(Some(permit))),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Begins to make an instance.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(super) fn create(
        &mut self,
        offered: &ExporterFactory,
        config: &ExporterConfig,
        host: InstanceHost,
        turn: Turn,
    ) -> std::io::Result<()> {
        self.mark("create");
        let (instance, reply) =
            Instance::create(offered.root, &config.plugin, &config.config, host)?;
        self.instance = Some(instance);
        self.wait_for(Task::Create, reply, turn);
        Ok(())
    }

    /// Begins to send rows.
    pub(super) fn export(&mut self, shipment: Shipment, outgoing: ExportRequest, turn: Turn) {
        let batch = shipment.batch_ids().next().unwrap_or_default();
        self.mark(&batch.to_string());
        let call = Call::Export(Arc::new(outgoing), shipment.attempt);
        self.call(Task::Export(shipment), call, turn);
    }

    /// Begins to send a dead letter once more.
    pub(super) fn send_letter(&mut self, letter: Letter, outgoing: ExportRequest, turn: Turn) {
        self.mark(&format!("dead-letter-{}", letter.id));
        let attempt = u32::try_from(letter.attempt).unwrap_or(u32::MAX);
        let call = Call::Export(Arc::new(outgoing), attempt);
        self.call(Task::Letter(letter), call, turn);
    }

    /// Begins to send what is active again.
    pub(super) fn resend(&mut self, outgoing: ExportRequest, turn: Turn) {
        self.mark("active-alerts");
        let items = outgoing.items;
        self.call(
            Task::Resend(items),
            Call::Export(Arc::new(outgoing), 1),
            turn,
        );
    }

    pub(super) fn tick(&mut self, turn: Turn) {
        self.mark("tick");
        self.call(Task::Tick, Call::Tick, turn);
    }

    pub(super) fn flush(&mut self) {
        self.call(Task::Flush, Call::Flush, Turn(None));
    }

    pub(super) fn close(&mut self) {
        self.call(Task::Close, Call::Close, Turn(None));
    }

    /// What comes of the call next; never, if none is under way.
    pub(super) async fn progress(&mut self) -> Progress {
        let Some(call) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let late = async {
            match call.deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            biased;
            answer = &mut call.reply => Some(answer),
            () = late => None,
        };
        let Some(call) = self.under_way.take() else {
            return std::future::pending().await;
        };
        if let (Some(marker), Some(_)) = (&mut self.marker, &answer) {
            marker.end();
        }
        match answer {
            Some(Ok(answer)) => Progress::Answered(call.task, answer),
            Some(Err(_)) => Progress::Ended,
            None => {
                let was_overdue = call.overdue;
                self.under_way = Some(UnderWay {
                    deadline: (!was_overdue).then(|| Instant::now() + self.timeout),
                    overdue: true,
                    // Another suspect need not wait for it.
                    _turn: Turn(None),
                    ..call
                });
                if was_overdue {
                    Progress::Lost
                } else {
                    Progress::Overdue
                }
            }
        }
    }

    /// What the call that is under way is named by.
    pub(super) fn task(&self) -> &'static str {
        self.under_way
            .as_ref()
            .map_or("no call", |call| call.task.name())
    }

    /// Whether a call is past its deadline.
    pub(super) fn is_overdue(&self) -> bool {
        self.under_way.as_ref().is_some_and(|call| call.overdue)
    }

    /// Lets go of the instance. Its thread ends after the call that it is in.
    pub(super) fn leave(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.cancel();
            self.left_behind.push(instance.ended());
        }
        self.under_way = None;
        if let Some(marker) = &mut self.marker {
            marker.leave();
        }
    }

    /// Ends the instance; over once the plugin has dropped it, or is late.
    pub(super) async fn end(&mut self) -> bool {
        let Some(instance) = self.instance.take() else {
            return true;
        };
        let mut ended = instance.ended();
        let in_time = tokio::time::timeout(self.timeout, &mut ended).await.is_ok();
        if !in_time {
            self.left_behind.push(ended);
        }
        in_time
    }

    /// How many threads hang.
    pub(super) fn left_behind(&mut self) -> usize {
        // The thread drops its end as the last thing it does.
        self.left_behind.retain_mut(|ended| {
            matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        });
        self.left_behind.len()
    }

    /// Whether another thread may be risked.
    pub(super) fn may_risk_another(&mut self) -> bool {
        self.left_behind() <= MOST_LEFT_BEHIND
    }

    fn call(&mut self, task: Task, call: Call, turn: Turn) {
        let Some(instance) = &self.instance else {
            return;
        };
        let reply = instance.call(call, Instant::now() + self.timeout);
        self.wait_for(task, reply, turn);
    }

    fn wait_for(&mut self, task: Task, reply: Reply, turn: Turn) {
        self.under_way = Some(UnderWay {
            task,
            reply,
            deadline: Some(Instant::now() + self.timeout),
            overdue: false,
            _turn: turn,
        });
    }

    fn mark(&mut self, call: &str) {
        if let Some(marker) = &mut self.marker {
            marker.begin(call);
        }
    }
}

/// Leave to make a call.
#[derive(Debug)]
pub(super) struct Turn(
    #[expect(dead_code, reason = "held, and given back when it is dropped")]
    Option<OwnedSemaphorePermit>,
);
