//! The settings of the metrics of the host itself.

use std::net::SocketAddr;
use std::time::Duration;

use delfin_plugin_api::http::{ClientSettings, ReceiverUrl, WrittenClientSettings};
use delfin_plugin_api::setting::Mistakes;

use super::api::is_exposed;
use super::read::Section;
use super::setting::Setting;

const USER_AGENT: &str = concat!("delfin-host/", env!("CARGO_PKG_VERSION"));

/// `metrics.otlp.interval`
const DEFAULT_INTERVAL: Duration = Duration::from_mins(1);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

const URL: &str = "write the address of the receiver, such as `http://localhost:4318`";

/// `[metrics]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMetricsConfig {
    /// Another address for `/metrics`, in addition to that of the API.
    pub listen: Option<SocketAddr>,
    /// Whether clients of `listen` need a token, also while none exists.
    pub needs_tokens: bool,
    /// Push the metrics.
    pub otlp: Option<OtlpPushConfig>,
}

/// `[metrics.otlp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpPushConfig {
    /// The URL before `/v1/metrics`.
    pub url: ReceiverUrl,
    pub interval: Duration,
    pub client: ClientSettings,
}

/// Reads `[metrics]`. `allow_unauthenticated` is that of `[api]`; `has_tokens` says whether clients can
/// show a token.
pub(super) fn read_metrics(
    mut section: Section<'_>,
    allow_unauthenticated: bool,
    has_tokens: impl FnOnce() -> bool,
) -> HostMetricsConfig {
    let listen = section.take("listen");
    let listen = listen.and_then(|setting| setting.address());
    let metrics = HostMetricsConfig {
        listen,
        needs_tokens: listen.is_some_and(is_exposed) && !allow_unauthenticated,
        otlp: section.take("otlp").and_then(|setting| read_otlp(&setting)),
    };
    if metrics.needs_tokens && !has_tokens() {
        section.fail(
            "listen",
            "is reachable from other machines, and no token exists (add one with `delfin-host \
             tokens add NAME --scope read`, listen on `127.0.0.1`, or accept this with \
             `allow_unauthenticated = true` in `[api]`)",
        );
    }
    section.finish();
    metrics
}

fn read_otlp(setting: &Setting<'_>) -> Option<OtlpPushConfig> {
    let mut section = setting.section()?;
    let interval = section.take_duration("interval", SHORTEST_INTERVAL, DEFAULT_INTERVAL);
    let keys = ["url"].into_iter().chain(WrittenClientSettings::KEYS);
    let read = section.read_values(keys, |mut written| {
        let mut mistakes = Mistakes::default();
        let url = ReceiverUrl::read_base(written.remove("url"), URL, &mut mistakes);
        let client = WrittenClientSettings::from(&mut written);
        let client = ClientSettings::read(USER_AGENT, &[], client, &mut mistakes);
        mistakes.into_result(OtlpPushConfig {
            url,
            interval,
            client,
        })
    });
    section.finish();
    read
}
