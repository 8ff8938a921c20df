//! The service manager of Windows: tells it how the host is doing, and passes on that the host should stop.
//!
//! A process that no service manager has started has none.

use std::{
    env,
    ffi::OsString,
    io,
    path::Path,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::Notify;
use windows_service::{
    define_windows_service,
    service::{
        ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
        ServiceErrorControl, ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod,
        ServiceInfo, ServiceStartType, ServiceState, ServiceStatus, ServiceType,
    },
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
    service_manager::{ServiceManager as Services, ServiceManagerAccess},
};
use windows_sys::Win32::Foundation::{ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_EXISTS};

const NAME: &str = "delfin-host";

/// How long the manager waits for the start, and how much longer than announced for the stop.
const SLACK: Duration = Duration::from_secs(30);

/// After a crash, the manager starts the host again after this time. It forgets crashes after a day.
const RESTART_DELAY: Duration = Duration::from_secs(5);
const FORGET_CRASHES: Duration = Duration::from_hours(24);

/// The manager wants the host to stop.
static STOP: Notify = Notify::const_new();

/// Gets the connection to the manager.
static CONNECTED: Mutex<Option<mpsc::Sender<ServiceStatusHandle>>> = Mutex::new(None);

/// The connection to the manager.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    status: Option<ServiceStatusHandle>,
}

impl ServiceManager {
    /// The manager that has started this process, if any.
    pub(crate) fn of_process() -> Self {
        let (sender, connected) = mpsc::channel();
        *CONNECTED.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        // The thread ends at once if no manager has started this process, and otherwise with the service.
        let dispatcher = thread::Builder::new().spawn(|| {
            let connected = service_dispatcher::start(NAME, service_main);
            let ended = CONNECTED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            drop((connected, ended));
        });
        match dispatcher {
            Ok(_) => Self {
                status: connected.recv().ok(),
            },
            Err(_) => Self::default(),
        }
    }

    /// Whether someone gets what this process writes to standard error: a service has none.
    pub(crate) const fn has_stderr(&self) -> bool {
        self.status.is_none()
    }

    /// The host works.
    pub(crate) fn ready(&self) {
        self.report(ServiceState::Running, Duration::ZERO, 0);
    }

    /// Nothing: the manager knows no such state.
    #[expect(clippy::unused_self, reason = "as on systems with such a state")]
    pub(crate) const fn reloading(&self) {}

    /// The host stops, and delivers for at most this long what can be delivered.
    pub(crate) fn stopping(&self, drain_timeout: Duration) {
        self.report(ServiceState::StopPending, drain_timeout + SLACK, 0);
    }

    /// The process ends now, with this exit code. Without this report, the manager starts it again.
    pub(crate) fn stopped(&self, code: u8) {
        self.report(ServiceState::Stopped, Duration::ZERO, code);
    }

    /// Returns at once: there is no watchdog.
    #[expect(clippy::unused_self, reason = "as on systems with a watchdog")]
    pub(crate) async fn keep_alive<F: Future<Output = ()>>(&self, _: impl Fn() -> F) {}

    fn report(&self, state: ServiceState, wait: Duration, code: u8) {
        let Some(manager) = self.status else { return };
        if let Err(error) = manager.set_service_status(status(state, wait, code)) {
            log::warn!(state:?; "cannot notify the service manager: {error}");
        }
    }
}

fn status(state: ServiceState, wait: Duration, code: u8) -> ServiceStatus {
    let accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: accepted,
        exit_code: match code {
            0 => ServiceExitCode::NO_ERROR,
            code => ServiceExitCode::ServiceSpecific(code.into()),
        },
        checkpoint: 0,
        // The manager takes at most so many milliseconds.
        wait_hint: wait.min(Duration::from_millis(u32::MAX.into())),
        process_id: None,
    }
}

define_windows_service!(service_main, on_start);

/// Called by the manager, in a thread of its own.
fn on_start(_: Vec<OsString>) {
    let sender = CONNECTED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let handler = |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            STOP.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    // Without a handle, the host runs as if there was no manager, which then ends it.
    if let (Ok(handle), Some(sender)) = (service_control_handler::register(NAME, handler), sender) {
        // An error is impossible: the host waits for it.
        drop(handle.set_service_status(status(ServiceState::StartPending, SLACK, 0)));
        let _ = sender.send(handle);
    }
}

/// Completes when the manager wants the host to stop, each time that it does.
pub(super) async fn stop_requested() {
    STOP.notified().await;
}

/// Installs the service, which runs the host with this configuration.
///
/// # Errors
///
/// `PermissionDenied`: this user is no administrator. `AlreadyExists`: it is installed already. Others are those of
/// the manager.
pub(crate) fn install_service(configuration: &Path) -> io::Result<()> {
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: "Delfin host".into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: env::current_exe()?,
        launch_arguments: vec!["--config".into(), configuration.into(), "run".into()],
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = Services::local_computer(None::<&str>, access).map_err(system)?;
    let wanted = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager.create_service(&info, wanted).map_err(system)?;
    let restart = ServiceAction {
        action_type: ServiceActionType::Restart,
        delay: RESTART_DELAY,
    };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET_CRASHES),
        reboot_msg: None,
        command: None,
        actions: Some(vec![restart; 3]),
    };
    service.update_failure_actions(actions).map_err(system)
}

/// Stops the service, and removes it as soon as it has ended.
///
/// # Errors
///
/// As [`install_service`]; `NotFound`: it is not installed.
pub(crate) fn uninstall_service() -> io::Result<()> {
    let manager = Services::local_computer(None::<&str>, ServiceManagerAccess::CONNECT);
    let access = ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager
        .and_then(|manager| manager.open_service(NAME, access))
        .map_err(system)?;
    // It fails if the service does not run.
    drop(service.stop());
    service.delete().map_err(system)
}

fn system(error: windows_service::Error) -> io::Error {
    let windows_service::Error::Winapi(error) = error else {
        return io::Error::other(error);
    };
    match error.raw_os_error().map(i32::cast_unsigned) {
        Some(ERROR_SERVICE_EXISTS) => io::ErrorKind::AlreadyExists.into(),
        Some(ERROR_SERVICE_DOES_NOT_EXIST) => io::ErrorKind::NotFound.into(),
        _ => error,
    }
}

/// The journal of the system: Windows has no journal.
pub(crate) struct JournalSocket(std::convert::Infallible);

impl JournalSocket {
    /// `None`.
    pub(crate) const fn of_stderr() -> Option<Self> {
        None
    }

    pub(crate) fn send(&self, _: &str) -> io::Result<()> {
        match self.0 {}
    }
}
