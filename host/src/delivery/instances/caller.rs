//! The calls of one exporter: one at a time, each with a deadline. A thread whose
//! call is lost is abandoned.
//!
//! Knows nothing of requests and of what follows from a result.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot},
    time::sleep_until,
};

use super::crash_guard::CrashGuard;
use crate::plugin::{Call, CallResult, Ended, Instance, InstanceSettings, Reply};

/// How many threads of an exporter may hang at a time.
const MAX_ABANDONED: usize = 2;

/// How a call goes on. `T` says what the call is for.
#[derive(Debug)]
pub(super) enum CallProgress<T> {
    Returned(T, CallResult),
    /// The thread ended without a result.
    ThreadEnded,
    /// The call is past its deadline.
    Stuck,
    /// The call is past its deadline by as much again, and may never return.
    Lost,
}

/// Permission to make a call. A suspect holds the only one.
#[derive(Debug)]
pub(in crate::delivery) struct CallPermit(
    #[expect(dead_code, reason = "released when it is dropped")] Option<OwnedSemaphorePermit>,
);

struct CallInProgress<T> {
    task: T,
    reply: Reply,
    /// When the call is stuck, and then when it is lost; `None` once it is lost.
    deadline: Option<Instant>,
    is_stuck: bool,
    _permit: CallPermit,
}

pub(super) struct Caller<T> {
    timeout: Duration,
    instance: Option<Instance>,
    in_progress: Option<CallInProgress<T>>,
    /// One receiver for each abandoned thread that still runs.
    abandoned: Vec<Ended>,
    crash_guard: Option<CrashGuard>,
    /// One permit, shared by all exporters.
    suspects: Arc<Semaphore>,
}

impl<T> Caller<T> {
    /// Without a crash guard if its marker file cannot be used, or if there is no `marker`:
    /// a process of its own cannot crash the host.
    pub(super) fn new(
        timeout: Duration,
        marker: Option<&Path>,
        suspects: Arc<Semaphore>,
    ) -> (Self, std::io::Result<()>) {
        let (crash_guard, opened) = match marker.map(CrashGuard::open).transpose() {
            Ok(guard) => (guard, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let caller = Self {
            timeout,
            instance: None,
            in_progress: None,
            abandoned: Vec::new(),
            crash_guard,
            suspects,
        };
        (caller, opened)
    }

    pub(super) fn quarantine_reason(&self) -> Option<String> {
        self.crash_guard.as_ref()?.quarantine_reason()
    }

    /// Clears the suspicion that the exporter crashed the host.
    pub(super) fn clear(&mut self) {
        if let Some(guard) = &mut self.crash_guard {
            guard.clear();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.in_progress.is_some()
    }

    pub(super) fn has_instance(&self) -> bool {
        self.instance.is_some()
    }

    /// Permission for a call; `None` while another suspect is in a call.
    pub(super) fn try_acquire(&self) -> Option<CallPermit> {
        if !self
            .crash_guard
            .as_ref()
            .is_some_and(CrashGuard::is_suspect)
        {
            return Some(CallPermit(None));
        }
        match Arc::clone(&self.suspects).try_acquire_owned() {
            Ok(permit) => Some(CallPermit(Some(permit))),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// Takes an instance that was created before.
    pub(super) fn adopt(&mut self, instance: Instance) {
        self.instance = Some(instance);
    }

    /// Starts the first call of an instance, which creates it.
    pub(super) fn create(
        &mut self,
        task: T,
        (instance, start_time): (Instance, Duration),
        settings: InstanceSettings,
        permit: CallPermit,
    ) {
        self.mark("create");
        self.instance = Some(instance);
        let call = Call::Create(settings);
        self.start(task, call, self.timeout + start_time, permit);
    }

    /// Starts a call that the crash guard names.
    pub(super) fn call(&mut self, task: T, name: &str, call: Call, permit: CallPermit) {
        self.mark(name);
        self.start(task, call, self.timeout, permit);
    }

    /// Starts a call of a stopping instance, without crash guard.
    pub(super) fn call_to_stop(&mut self, task: T, call: Call) {
        self.start(task, call, self.timeout, CallPermit(None));
    }

    /// How the call goes on; never returns if no call is in progress. Safe to
    /// cancel.
    pub(super) async fn progress(&mut self) -> CallProgress<T> {
        let Some(call) = &mut self.in_progress else {
            return std::future::pending().await;
        };
        let past_deadline = async {
            match call.deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            biased;
            result = &mut call.reply => Some(result),
            () = past_deadline => None,
        };
        let Some(call) = self.in_progress.take() else {
            return std::future::pending().await;
        };
        if let (Some(guard), Some(_)) = (&mut self.crash_guard, &result) {
            guard.on_return();
        }
        match result {
            Some(Ok(result)) => CallProgress::Returned(call.task, result),
            Some(Err(_)) => CallProgress::ThreadEnded,
            None => {
                let was_stuck = call.is_stuck;
                let instance = self.instance.as_ref();
                // The reply then tells the end of the process.
                let is_ended = instance.is_some_and(Instance::on_deadline);
                let may_be_lost = !was_stuck && !is_ended;
                self.in_progress = Some(CallInProgress {
                    deadline: may_be_lost.then(|| Instant::now() + self.timeout),
                    is_stuck: true,
                    // Other suspects do not wait for a stuck call.
                    _permit: CallPermit(None),
                    ..call
                });
                if was_stuck {
                    CallProgress::Lost
                } else {
                    CallProgress::Stuck
                }
            }
        }
    }

    /// What the call in progress is for.
    pub(super) fn task(&self) -> Option<&T> {
        self.in_progress.as_ref().map(|call| &call.task)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.in_progress.as_ref().is_some_and(|call| call.is_stuck)
    }

    /// Abandons the instance. Its thread ends after the call that it is in.
    pub(super) fn abandon(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.cancel();
            self.abandoned.push(instance.ended());
        }
        self.in_progress = None;
        if let Some(guard) = &mut self.crash_guard {
            guard.abandon();
        }
    }

    /// Ends the instance, and waits until the plugin has dropped it. Returns false
    /// if that takes longer than a call may.
    pub(super) async fn end(&mut self) -> bool {
        let Some(instance) = self.instance.take() else {
            return true;
        };
        let mut ended = instance.ended();
        let in_time = tokio::time::timeout(self.timeout, &mut ended).await.is_ok();
        if !in_time {
            self.abandoned.push(ended);
        }
        in_time
    }

    /// How many abandoned threads still run.
    pub(super) fn abandoned(&mut self) -> usize {
        // A thread drops its sender as the last thing it does.
        self.abandoned.retain_mut(|ended| {
            matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        });
        self.abandoned.len()
    }

    /// Whether another thread may be started.
    pub(super) fn may_start_thread(&mut self) -> bool {
        self.abandoned() <= MAX_ABANDONED
    }

    fn start(&mut self, task: T, call: Call, timeout: Duration, permit: CallPermit) {
        let Some(instance) = &self.instance else {
            return;
        };
        let deadline = Instant::now() + timeout;
        let reply = instance.call(call, deadline);
        self.in_progress = Some(CallInProgress {
            task,
            reply,
            deadline: Some(deadline),
            is_stuck: false,
            _permit: permit,
        });
    }

    fn mark(&mut self, call: &str) {
        if let Some(guard) = &mut self.crash_guard {
            guard.start(call);
        }
    }
}
