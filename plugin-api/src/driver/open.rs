//! The driver of a storage as one function, of whichever type it is.
//!
//! Promises: a panic does not leave the function, and a driver that has panicked is not called
//! again.

use arrow_array::RecordBatch;
use delfin_plugin_protocol::DriverRequest;
use serde_json::Value;

use super::{Driver, DriverFailure, DriverWindow, RegisteredStorage};
use crate::{Batch, Context, Failure, Host, guard::caught};

/// What a call returns in addition to its success.
pub(super) enum DriverAnswer {
    Done,
    Value(Value),
    Batch(RecordBatch),
    /// The driver has panicked, with this message.
    Panicked(String),
}

/// Makes the calls of a driver.
pub(super) type DriverCalls =
    Box<dyn FnMut(&DriverRequest, &Context<'_>) -> Result<DriverAnswer, DriverFailure>>;

/// Opens a driver.
pub type OpenFunction = fn(RegisteredStorage, &Host, &Context<'_>) -> OpenedDriver;

/// The result of [`open`]. Its content is for the server of the kit.
pub struct OpenedDriver(pub(super) Result<DriverCalls, DriverFailure>);

/// Opens a driver of this type.
pub fn open<T: Driver>(
    storage: RegisteredStorage,
    host: &Host,
    call: &Context<'_>,
) -> OpenedDriver {
    let opened = caught("open", || T::open(storage, host, call));
    let opened = opened.unwrap_or_else(|panic| Err(Failure::fatal(panic).into()));
    OpenedDriver(opened.map(calls_of))
}

fn calls_of<T: Driver>(driver: T) -> DriverCalls {
    let mut driver = GuardedDriver(Some(driver));
    let mut panicked: Option<String> = None;
    Box::new(move |request, call| {
        let (None, Some(driver)) = (&panicked, &mut driver.0) else {
            let panic = panicked.as_deref().unwrap_or_default();
            return Ok(DriverAnswer::Panicked(format!("an earlier call {panic}")));
        };
        let answered = caught(name(request), || answer(driver, request, call));
        answered.unwrap_or_else(|panic| {
            panicked = Some(panic.clone());
            Ok(DriverAnswer::Panicked(panic))
        })
    })
}

fn answer<T: Driver>(
    driver: &mut T,
    request: &DriverRequest,
    call: &Context<'_>,
) -> Result<DriverAnswer, DriverFailure> {
    Ok(match request {
        DriverRequest::Identify(_) => value(&driver.identify(call)?)?,
        DriverRequest::Capabilities(_) => value(&driver.capabilities(call)?)?,
        DriverRequest::Collect(collect) => {
            let window = DriverWindow {
                start_ms: collect.start_ms,
                end_ms: collect.end_ms,
            };
            batch(&driver.collect(window, call)?)
        }
        DriverRequest::ListAlerts(list) => {
            let window = list.start_ms.zip(list.end_ms);
            let window = window.map(|(start_ms, end_ms)| DriverWindow { start_ms, end_ms });
            batch(&driver.list_alerts(window, call)?)
        }
        DriverRequest::ParseTrap(trap) => batch(&driver.parse_trap(&trap.variables, call)?),
        DriverRequest::ListResources(list) => {
            DriverAnswer::Value(driver.list_resources(&list.kind, call)?.into())
        }
        DriverRequest::ClearAlert(clear) => {
            driver.clear_alert(&clear.sequence_number, call)?;
            DriverAnswer::Done
        }
        DriverRequest::Close(_) => {
            driver.close(call)?;
            DriverAnswer::Done
        }
        // The server answers these itself.
        DriverRequest::Hello(_) | DriverRequest::Open(_) | DriverRequest::Cancel => {
            DriverAnswer::Done
        }
    })
}

fn value(value: &impl serde::Serialize) -> Result<DriverAnswer, DriverFailure> {
    let value = serde_json::to_value(value);
    Ok(DriverAnswer::Value(value.map_err(Failure::rejected)?))
}

fn batch(batch: &impl Batch) -> DriverAnswer {
    DriverAnswer::Batch(batch.as_arrow().clone())
}

fn name(request: &DriverRequest) -> &'static str {
    match request {
        DriverRequest::Hello(_) => "hello",
        DriverRequest::Open(_) => "open",
        DriverRequest::Identify(_) => "identify",
        DriverRequest::Capabilities(_) => "capabilities",
        DriverRequest::Collect(_) => "collect",
        DriverRequest::ListAlerts(_) => "list_alerts",
        DriverRequest::ClearAlert(_) => "clear_alert",
        DriverRequest::ParseTrap(_) => "parse_trap",
        DriverRequest::ListResources(_) => "list_resources",
        DriverRequest::Close(_) => "close",
        DriverRequest::Cancel => "cancel",
    }
}

/// A driver whose `drop` may panic.
struct GuardedDriver<T>(Option<T>);

impl<T> Drop for GuardedDriver<T> {
    fn drop(&mut self) {
        if let Err(panic) = caught("drop", || drop(self.0.take())) {
            log::error!("the driver {panic}");
        }
    }
}
