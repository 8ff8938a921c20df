//! Where supervisors run.

use std::{io, sync::Mutex, sync::PoisonError};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// For commands that have no runtime, and block while they wait for a process.
static OWN: Mutex<Option<Runtime>> = Mutex::new(None);

/// The runtime of the caller, so that a supervisor and the task that waits for it need not wake
/// another thread; or one of its own.
///
/// # Errors
///
/// The system cannot start a thread.
pub(in crate::plugin) fn runtime() -> io::Result<Handle> {
    // In a runtime of one thread, no task goes on while the thread blocks.
    let of_caller = Handle::try_current().ok();
    let is_shared = |handle: &Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    if let Some(handle) = of_caller.filter(is_shared) {
        return Ok(handle);
    }
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(own) = &*own {
        return Ok(own.handle().clone());
    }
    let built = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    Ok(own.insert(built).handle().clone())
}
