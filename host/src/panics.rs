//! What a panic of the host's own code means.
//!
//! A host without one of its threads or tasks accepts batches and does not deliver them, or
//! delivers them and does not note it. So a panic ends the process, and the supervisor
//! starts it again: what was acknowledged is in the journal.
//!
//! Work that must fail alone is contained: its panic is an error for the code that waits for it.
//! This holds for requests of clients, calls of drivers, and for a library on input that it
//! cannot read.
//!
//! Knows nothing of plugins: their panics do not get here, and are caught by their library.

use std::{
    cell::Cell,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    pin::Pin,
    process::abort,
    task::{Context, Poll},
};

use tokio::task::JoinHandle;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// From now on, a panic that is not contained ends the process, after a line in the log.
pub(crate) fn end_process_on_panic() {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        report(panic);
        if !IS_CONTAINED.get() && !is_caught() {
            end();
        }
    }));
}

fn end() -> ! {
    // What has panicked, and where, is in the record before.
    log::error!("the host ends after a panic of its own code");
    log::logger().flush();
    // Not `exit`, which runs code that plugins have registered.
    abort();
}

/// Runs work whose panic means that its input is bad; `None` if it panics.
///
/// What the work has changed must not be used after a panic.
pub fn catch<R>(work: impl FnOnce() -> R) -> Option<R> {
    let outer = IS_CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_CAUGHT.set(outer);
    result.ok()
}

/// Whether this thread is in [`catch`], so that a panic is no fault of the host.
#[must_use]
pub fn is_caught() -> bool {
    IS_CAUGHT.get()
}

/// Runs work whose panic does not end the process.
pub(crate) fn contained<R>(work: impl FnOnce() -> R) -> R {
    let _scope = Scope::enter(true);
    work()
}

/// As `tokio::task::spawn_blocking`. A panic is contained if it would be here.
pub(crate) fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let is_contained = IS_CONTAINED.get();
    tokio::task::spawn_blocking(move || {
        let _scope = Scope::enter(is_contained);
        work()
    })
}

/// A future whose panic does not end the process.
pub(crate) struct ContainedFuture<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> ContainedFuture<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// Waits for the result; `None` if the future panics.
    pub(crate) async fn caught(mut self) -> Option<T> {
        poll_fn(|context| {
            let poll = || Pin::new(&mut self).poll(context);
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(polled) => polled.map(Some),
                Err(_) => Poll::Ready(None),
            }
        })
        .await
    }
}

impl<T> Future for ContainedFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        contained(|| self.0.as_mut().poll(context))
    }
}

/// Restores the state of the thread when it is dropped, also by a panic.
struct Scope {
    before: bool,
}

impl Scope {
    fn enter(is_contained: bool) -> Self {
        Self {
            before: IS_CONTAINED.replace(is_contained),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        IS_CONTAINED.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        os::unix::process::ExitStatusExt,
        process::{Command, Output},
        thread,
    };

    use super::*;

    /// Which panic the child is for.
    const CASE: &str = "DELFIN_TEST_PANIC";

    /// Runs only `in_a_child`, in a process of its own.
    fn child(case: &str) -> Output {
        let tests = env::current_exe().unwrap();
        let mut child = Command::new(tests);
        child
            .args(["--exact", "panics::tests::in_a_child", "--nocapture"])
            .env(CASE, case);
        child.output().unwrap()
    }

    #[tokio::test]
    async fn in_a_child() {
        let Ok(case) = env::var(CASE) else { return };
        end_process_on_panic();
        match &*case {
            "thread" => drop(thread::spawn(|| panic!("in a thread")).join()),
            "task" => drop(tokio::spawn(async { panic!("in a task") }).await),
            "blocking" => drop(spawn_blocking(|| panic!("in blocking work")).await),
            "after" => {
                assert!(tokio::spawn(fail_contained()).await.is_err());
                drop(tokio::spawn(async { panic!("after") }).await);
            }
            "contained" => {
                assert!(
                    thread::spawn(|| contained(|| panic!("a driver")))
                        .join()
                        .is_err()
                );
                assert!(tokio::spawn(fail_contained()).await.is_err());
                let blocking = ContainedFuture::new(async {
                    tokio::task::yield_now().await;
                    spawn_blocking(|| panic!("work of a request")).await
                });
                assert!(blocking.await.is_err());
                assert_eq!(fail_contained().caught().await, None);
                assert_eq!(ContainedFuture::new(async { 7 }).caught().await, Some(7));
                assert_eq!(catch(|| -> u8 { panic!("a library") }), None);
            }
            _ => {}
        }
    }

    fn fail_contained() -> ContainedFuture<()> {
        ContainedFuture::new(async {
            tokio::task::yield_now().await;
            panic!("a request")
        })
    }

    #[test]
    fn a_panic_of_the_host_ends_the_process() {
        for case in ["thread", "task", "blocking", "after"] {
            let ended = child(case);
            assert_eq!(ended.status.signal(), Some(6), "{case}: {ended:?}");
        }
    }

    #[test]
    fn a_contained_panic_does_not() {
        let ended = child("contained");
        assert!(ended.status.success(), "{ended:?}");
    }

    #[test]
    fn a_panic_in_catch_is_caught_and_known_as_such() {
        assert!(!is_caught());
        assert_eq!(catch(is_caught), Some(true));
        assert_eq!(catch(|| -> u8 { panic!("on purpose") }), None);
        assert!(!is_caught());
    }
}
