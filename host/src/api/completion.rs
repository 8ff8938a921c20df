//! Work that is done to its end, also when its client is gone.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that goes on in a task of its own when it is dropped. So the usual one, which is waited for, needs
/// no task.
pub(super) struct CompletedFuture<T: Send + 'static> {
    /// `None` once it is done, or has panicked.
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T: Send + 'static> CompletedFuture<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            future: Some(Box::pin(future)),
        }
    }
}

impl<T: Send + 'static> Future for CompletedFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Not in its place while it runs: it must not go on after a panic.
        let Some(mut future) = self.future.take() else {
            return Poll::Pending;
        };
        let polled = future.as_mut().poll(context);
        if polled.is_pending() {
            self.future = Some(future);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for CompletedFuture<T> {
    fn drop(&mut self) {
        // After the end of the runtime, nothing goes on.
        if let Some(future) = self.future.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        task::Waker,
    };

    use tokio::sync::oneshot;

    use super::*;

    fn poll<T: Send>(future: &mut CompletedFuture<T>) -> Poll<T> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_future_that_is_dropped_goes_on_to_its_end() {
        let (start, started) = oneshot::channel::<()>();
        let (done, end) = oneshot::channel();
        let mut future = CompletedFuture::new(async {
            started.await.unwrap();
            done.send(7).unwrap();
        });
        assert!(poll(&mut future).is_pending());
        drop(future);
        start.send(()).unwrap();
        assert_eq!(end.await, Ok(7));
    }

    #[tokio::test]
    async fn a_future_that_has_panicked_does_not_go_on() {
        let (done, end) = oneshot::channel::<()>();
        let mut future = CompletedFuture::new(async {
            let _done = done;
            panic!("a panic of a test");
        });
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut future)));
        assert!(polled.is_err());
        assert!(end.await.is_err());
        drop(future);
    }
}
