//! The settings of the API.
//!
//! The `Default` of the struct holds the defaults of the keys: no other place repeats them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::host_address::HostAddress;
use super::read::Section;
use super::setting::Setting;
use crate::access::CertificateFiles;
use crate::platform::HAS_LOCAL_SOCKETS;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The most memory that a request may need, as a multiple of `max_decompressed_bytes`.
const REQUEST_MEMORY_FACTOR: u64 = 4;

/// The longest path of a socket, a limit of the system.
const MAX_SOCKET_PATH: usize = 107;

const SOCKET_MODES: [(&str, u32); 2] = [("0600", 0o600), ("0660", 0o660)];

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    pub listen: SocketAddr,
    /// A socket for programs of this machine, which need no token.
    pub socket: Option<SocketConfig>,
    /// Encrypt connections to `listen`.
    pub tls: Option<CertificateFiles>,
    /// Accept that other machines can use the API without a token while no token exists.
    pub allow_unauthenticated: bool,
    /// Names by which clients may address the host, in addition to addresses and names
    /// without a dot.
    pub hosts: Vec<HostAddress>,
    /// Other sites whose pages may use the API, as browsers name them in `Origin`.
    pub cors_origins: Vec<String>,
    /// The limit of a request body as it arrives.
    pub max_body_bytes: u64,
    /// The limit of a request body after decompression.
    pub max_decompressed_bytes: u64,
    /// The limit of series or alerts in one request.
    pub max_rows: u64,
    /// The limit of a name, a label or another string in a request.
    pub max_string_bytes: u64,
}

/// The socket of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    pub path: PathBuf,
    /// Which users can connect.
    pub mode: u32,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8190)),
            socket: None,
            tls: None,
            allow_unauthenticated: false,
            hosts: Vec::new(),
            cors_origins: Vec::new(),
            max_body_bytes: 64 * MIB,
            max_decompressed_bytes: 256 * MIB,
            max_rows: 1_000_000,
            max_string_bytes: 64 * KIB,
        }
    }
}

impl ApiConfig {
    /// The most memory that one request may need for its body and what is made of it, in bytes.
    #[must_use]
    pub fn max_request_memory(&self) -> u64 {
        self.max_decompressed_bytes
            .saturating_mul(REQUEST_MEMORY_FACTOR)
    }

    /// Whether every call needs a token, also while none exists.
    #[must_use]
    pub fn needs_tokens(&self) -> bool {
        is_exposed(self.listen) && !self.allow_unauthenticated
    }
}

/// Whether other machines reach an address.
pub(super) fn is_exposed(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Reads `[api]`. `has_tokens` says whether clients can show a token.
pub(super) fn read_api(
    mut section: Section<'_>,
    state_dir: &Path,
    has_tokens: impl FnOnce() -> bool,
) -> ApiConfig {
    let default = ApiConfig::default();
    let api = ApiConfig {
        listen: section.take_address("listen", default.listen),
        socket: read_socket(&mut section, state_dir),
        tls: read_tls(section.take_section("tls"), "api.tls"),
        allow_unauthenticated: section
            .take_flag("allow_unauthenticated", default.allow_unauthenticated),
        cors_origins: section
            .take("cors_origins")
            .map(read_origins)
            .unwrap_or_default(),
        hosts: section.take("hosts").map(read_hosts).unwrap_or_default(),
        max_body_bytes: section.take_size("max_body_bytes", 1, default.max_body_bytes),
        max_decompressed_bytes: section.take_size(
            "max_decompressed_bytes",
            1,
            default.max_decompressed_bytes,
        ),
        max_rows: section.take_count("max_rows", 1, default.max_rows),
        max_string_bytes: section.take_size("max_string_bytes", 1, default.max_string_bytes),
    };
    if api.needs_tokens() && !has_tokens() {
        section.fail(
            "listen",
            "is reachable from other machines, and no token exists (add one with `delfin-host \
             tokens add NAME --scope admin`, listen on `127.0.0.1`, or accept this with \
             `allow_unauthenticated = true`)",
        );
    }
    if api.max_decompressed_bytes < api.max_body_bytes {
        section.fail(
            "max_decompressed_bytes",
            "is less than `max_body_bytes` (raise it: a body may also arrive uncompressed)",
        );
    }
    section.finish();
    api
}

fn read_socket(section: &mut Section<'_>, state_dir: &Path) -> Option<SocketConfig> {
    let mode = section.take_choice("socket_mode", &SOCKET_MODES, SOCKET_MODES[0].1);
    let (path, setting) = match section.take("socket") {
        Some(setting) if setting.is_word("off") => return None,
        Some(setting) if !HAS_LOCAL_SOCKETS => {
            setting.fail_showing(
                "is not possible on this system (write \"off\", and use `api.listen`)",
            );
            return None;
        }
        None if !HAS_LOCAL_SOCKETS => return None,
        Some(setting) => (setting.filled_text()?.value.into(), Some(setting)),
        None => (state_dir.join("api.sock"), None),
    };
    let path: PathBuf = path;
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Some(SocketConfig { path, mode });
    }
    // A state folder with a long path is no mistake.
    if let Some(setting) = setting {
        setting.fail_showing(&format!(
            "is too long for a socket (write at most {MAX_SOCKET_PATH} bytes)"
        ));
    }
    None
}

/// The table with this name.
pub(super) fn read_tls(mut section: Section<'_>, name: &'static str) -> Option<CertificateFiles> {
    let mut path = |key| section.take_text(key).map(|text| PathBuf::from(text.value));
    let (certificate, key, client_ca) = (path("certificate"), path("key"), path("client_ca"));
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(CertificateFiles {
            section: name,
            certificate,
            key,
            client_ca,
        }),
        (None, None) if client_ca.is_none() => None,
        (certificate, _) => {
            let missing = if certificate.is_none() {
                "certificate"
            } else {
                "key"
            };
            section.fail(missing, "is missing (set `certificate` and `key`)");
            None
        }
    };
    section.finish();
    tls
}

fn read_origins(setting: Setting<'_>) -> Vec<String> {
    let texts = setting.texts().unwrap_or_default().into_iter();
    let origins = texts.filter_map(|text| {
        let origin = text.value.to_ascii_lowercase();
        if HostAddress::of_origin(&origin).is_some() {
            return Some(origin);
        }
        setting.fail(format!(
            "`{}` is not an origin (write scheme, host and port without a path, as in \
             `https://dashboard.example.com`)",
            text.shown
        ));
        None
    });
    origins.collect()
}

fn read_hosts(setting: Setting<'_>) -> Vec<HostAddress> {
    let texts = setting.texts().unwrap_or_default().into_iter();
    let hosts = texts.filter_map(|text| match HostAddress::parse(&text.value) {
        Some(host) if host.port.is_none() => Some(host),
        _ => {
            setting.fail(format!(
                "`{}` is not a host name (write it without scheme and port, as in \
                 `collector.example.com`)",
                text.shown
            ));
            None
        }
    });
    hosts.collect()
}
