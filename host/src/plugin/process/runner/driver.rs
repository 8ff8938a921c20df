//! The process of a driver in a library: the library answers the calls itself.

use std::sync::Arc;

use abi_stable::std_types::{RResult, RSlice};
use delfin_plugin_abi::ExtensionBox;
use delfin_plugin_api::Failure;
use delfin_plugin_protocol::{
    DRIVER_EXTENSION, DriverExtensionRequest, DriverMessage, DriverRequest, FramePayload,
    FrameReader, FrameSocket, FrameWriter, Incoming, decode, into_number,
};

use super::{super::wire, RunnerArgs, RunnerError, failed, hello, library::RunnerLibrary, prepare};
use crate::platform::{HostConnections, InheritedLibrary};

/// Runs the process until the host closes the connection.
///
/// # Errors
///
/// The command was not started by the host, or the connection fails.
pub fn run_driver(args: &RunnerArgs) -> Result<(), RunnerError> {
    let HostConnections { socket, library } = prepare(args)?;
    match open(library, args) {
        Ok(drivers) => serve(&drivers, socket),
        Err(failure) => refuse(socket, &failure),
    }
}

fn open(library: InheritedLibrary, args: &RunnerArgs) -> Result<ExtensionBox, Failure> {
    let plugin = RunnerLibrary::new(library, args.interface.clone()).open()?;
    plugin.get_extension(DRIVER_EXTENSION).ok_or_else(|| {
        Failure::fatal("the plugin declares drivers, and its library has none of this version")
    })
}

fn serve(drivers: &ExtensionBox, socket: FrameSocket) -> Result<(), RunnerError> {
    let request = DriverExtensionRequest {
        descriptor: into_number(socket),
    };
    let request =
        serde_json::to_vec(&request).map_err(|error| RunnerError::Answer(error.into()))?;
    match drivers.call(RSlice::from_slice(&request)) {
        RResult::ROk(_) => Ok(()),
        RResult::RErr(reason) => Err(RunnerError::Driver(reason.into_string())),
    }
}

/// Answers `open` with the reason why there is no driver.
fn refuse(socket: FrameSocket, failure: &Failure) -> Result<(), RunnerError> {
    let socket = Arc::new(socket);
    let mut writer = FrameWriter::new(Arc::clone(&socket));
    let mut send = |message| writer.send(&message, FramePayload::None);
    send(DriverMessage::Hello(hello())).map_err(RunnerError::Answer)?;
    let mut reader = FrameReader::new(socket, usize::MAX);
    while let Some(frame) = reader.read()? {
        if let Ok(Incoming::Message(DriverRequest::Open(open))) = decode(&frame.header) {
            let outcome = wire::outcome_message(open.id, failed(failure.clone()));
            send(DriverMessage::Outcome(outcome)).map_err(RunnerError::Answer)?;
        }
    }
    Ok(())
}
