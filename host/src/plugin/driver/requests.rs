//! Messages to a driver that need no more than the number of the call.

use delfin_plugin_protocol::{CallMessage, DriverRequest, HostHello, VERSION};

pub(super) fn hello() -> DriverRequest {
    DriverRequest::Hello(HostHello {
        protocol: VERSION,
        host: concat!("delfin-host ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

pub(super) fn identify(id: u64, deadline_ms: u64) -> DriverRequest {
    DriverRequest::Identify(CallMessage {
        id,
        deadline_ms,
        level: None,
    })
}

pub(super) fn capabilities(id: u64, deadline_ms: u64) -> DriverRequest {
    DriverRequest::Capabilities(CallMessage {
        id,
        deadline_ms,
        level: None,
    })
}

pub(super) fn close(id: u64, deadline_ms: u64) -> DriverRequest {
    DriverRequest::Close(CallMessage {
        id,
        deadline_ms,
        level: None,
    })
}
