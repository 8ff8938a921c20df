//! A runtime for an async client.
//!
//! Promises: a call ends at its deadline; what the runtime's thread logs has the exporter's
//! name.
//!
//! ```
//! use std::time::Duration;
//! use delfin_plugin_api::{Failure, Host, runtime::AsyncRuntime};
//!
//! fn connect(host: &Host, remaining: Duration) -> Result<(), Failure> {
//!     let runtime = AsyncRuntime::new(host)?;
//!     let connected = runtime.run(remaining, tokio::net::TcpStream::connect("127.0.0.1:4222"));
//!     let connected = connected.ok_or_else(|| Failure::retry("no answer in time"))?;
//!     connected.map(drop).map_err(Failure::retry)
//! }
//! ```

use std::{future::Future, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{Failure, Host};

/// The longest part of the caller's time that is kept back, so that the call can return
/// before its deadline.
const MARGIN: Duration = Duration::from_millis(250);

/// A runtime with one thread, on which connections live between calls.
pub struct AsyncRuntime {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    host: Host,
}

impl AsyncRuntime {
    /// A runtime for an instance of an exporter.
    ///
    /// # Errors
    ///
    /// The system starts no thread.
    pub fn new(host: &Host) -> Result<Self, Failure> {
        let for_thread = host.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            // The thread keeps the guard as long as it lives.
            .on_thread_start(move || std::mem::forget(for_thread.enter()))
            .build()
            .map_err(Failure::retry)?;
        Ok(Self {
            runtime: Some(runtime),
            host: host.clone(),
        })
    }

    /// Runs a future, for somewhat less than `remaining`, so that the call can return in
    /// time. `None`: the time is over.
    pub fn run<T>(&self, remaining: Duration, future: impl Future<Output = T>) -> Option<T> {
        let _entered = self.host.enter();
        let time = remaining - MARGIN.min(remaining / 10);
        let limited = async { tokio::time::timeout(time, future).await.ok() };
        self.runtime.as_ref()?.block_on(limited)
    }
}

impl Drop for AsyncRuntime {
    /// Waits for nothing: a name may be looked up on a thread of the runtime.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use std::{future::pending, path::Path};

    use super::*;
    use crate::testkit::quiet_host;

    #[test]
    fn a_call_ends_at_its_deadline() {
        let runtime = AsyncRuntime::new(&quiet_host("e", Path::new("/"))).unwrap();
        let short = Duration::from_millis(20);
        assert_eq!(runtime.run(short, pending::<()>()), None);
        assert_eq!(runtime.run(Duration::ZERO, pending::<()>()), None);
        assert_eq!(runtime.run(Duration::from_secs(60), async { 7 }), Some(7));
    }

    #[test]
    fn what_runs_on_the_thread_knows_its_exporter() {
        let runtime = AsyncRuntime::new(&quiet_host("e", Path::new("/"))).unwrap();
        let name = async {
            let task =
                tokio::spawn(async { Host::current().map(|host| host.exporter().to_owned()) });
            task.await.unwrap()
        };
        let name = runtime.run(Duration::from_secs(60), name).flatten();
        assert_eq!(name.as_deref(), Some("e"));
    }
}
