//! The driver of one storage.

use std::{
    collections::BTreeMap,
    mem,
    time::{Duration, Instant},
};

use delfin_plugin_api::{
    AlertBatch, Context, Failure, Host, PerformanceBatch,
    driver::{Capabilities, Driver, DriverFailure, DriverWindow, RegisteredStorage, StorageInfo},
    log,
};

use crate::{
    alerts::alerts,
    client::PageClient,
    config::ScrapeConfig,
    decode::read_page,
    mapping::{MappedType, PageReader, PageReading, ScrapeMapping},
    resources,
    series::series,
    state::{CounterState, SeenAlerts},
};

/// Calls that follow each other in this time use one page: the host asks for 15 lists of resources in
/// turn. Measurements always ask for a new one.
const FRESH: Duration = Duration::from_secs(30);

/// The longest time for the page when the host asks who the storage is. It waits for a minute, and would not know what
/// the storage did meanwhile.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(50);

/// The number of metrics that a log line names.
const SHOWN_METRICS: usize = 5;

pub(crate) struct ScrapeDriver {
    storage_id: String,
    host: Host,
    config: ScrapeConfig,
    client: PageClient,
    mapping: ScrapeMapping,
    counters: CounterState,
    alerts: SeenAlerts,
    /// The last page, and when it was asked for.
    latest: Option<(Instant, PageReading)>,
    /// The number of unused metrics in the last line of the log.
    reported_unused: usize,
    opened: Instant,
}

impl ScrapeDriver {
    /// Asks for a page. Only measurements count: an increase between two lists of resources would be
    /// missing from the next measurement.
    fn scrape(&mut self, is_measured: bool, time: Duration) -> Result<(), Failure> {
        let time = self.config.timeout.min(time);
        let page = self.client.fetch(time)?;
        let seconds = page.asked.duration_since(self.opened).as_secs_f64();
        self.counters.begin(seconds);
        let counters = is_measured.then_some(&mut self.counters);
        let mut reader = PageReader::new(&self.mapping, &self.config.select, counters);
        let shown = &self.config.url.redacted;
        let text = page
            .text()
            .map_err(|error| Failure::rejected(format!("`{shown}`: {error}")))?;
        let read = read_page(text, page.format, &self.config.limits, |sample| {
            reader.read(sample);
        });
        let reading = reader.finish(page.time_ms);
        let samples = read.map_err(|error| Failure::rejected(format!("`{shown}`: {error}")))?;
        if let [one, other] = &reading.arrays[..] {
            return Err(self.several([one, other]));
        }
        if is_measured {
            self.counters.commit();
            self.report(&reading, samples);
        }
        if reading.mapped == 0 {
            return Err(self.nothing(samples, reading.not_finite));
        }
        self.latest = Some((page.asked, reading));
        Ok(())
    }

    /// Asks for a page, unless the last one is fresh.
    fn refresh(&mut self, time: Duration) -> Result<(), Failure> {
        let is_fresh = |(asked, _): &(Instant, PageReading)| asked.elapsed() < FRESH;
        if !self.latest.as_ref().is_some_and(is_fresh) {
            self.scrape(false, time)?;
        }
        Ok(())
    }

    fn reading(&self) -> Result<&PageReading, Failure> {
        let latest = self.latest.as_ref().map(|(_, reading)| reading);
        latest.ok_or_else(|| Failure::retry("no page was read"))
    }

    /// A page that has nothing of this storage: of another exporter, or of one that does not reach it.
    fn nothing(&self, samples: usize, not_finite: u64) -> Failure {
        let (url, mapping) = (&self.config.url.redacted, &self.config.mapping);
        if not_finite > 0 {
            return Failure::rejected(format!(
                "`{url}` has {not_finite} samples that the mapping `{mapping}` uses, and each is `NaN` or infinite \
                 (check whether the exporter reaches the storage)"
            ));
        }
        let selected = match self.config.selection() {
            selection if selection.is_empty() => String::new(),
            selection => format!(" with the labels {selection}"),
        };
        Failure::rejected(format!(
            "`{url}` has {samples} samples, and none{selected} that the mapping `{mapping}` uses \
             (check `mapping` and `select`, and whether the exporter reaches the storage)"
        ))
    }

    /// A page with more than one array: their values must not be mixed.
    fn several(&self, [one, other]: [&str; 2]) -> Failure {
        let (url, label) = (&self.config.url.redacted, self.mapping.array.as_deref());
        let label = label.unwrap_or_default();
        Failure::rejected(format!(
            "`{url}` has several arrays, such as `{one}` and `{other}` (set `select` to \
             `{label}={one:?}`)"
        ))
    }

    fn report(&mut self, reading: &PageReading, samples: usize) {
        let unused = reading.unused.len();
        self.host.count("samples", samples as u64);
        self.host.count("samples_mapped", reading.mapped);
        self.host.count("samples_repeated", reading.repeated);
        self.host.count("metrics_unused", unused as u64);
        if unused != self.reported_unused {
            self.reported_unused = unused;
            let first: Vec<&str> = reading.unused.iter().map(|name| &**name).collect();
            let first = first[..first.len().min(SHOWN_METRICS)].join(" ");
            let mapping = &*self.config.mapping;
            log::info!(unused, first, mapping; "page has metrics that the mapping does not use");
        }
    }
}

impl Driver for ScrapeDriver {
    const TIMEOUT: Duration = Duration::from_secs(300);

    fn open(
        storage: RegisteredStorage,
        host: &Host,
        _: &Context<'_>,
    ) -> Result<Self, DriverFailure> {
        let config = ScrapeConfig::read(&storage).map_err(Failure::misconfigured)?;
        let mapping = ScrapeMapping::load(&config.mapping).map_err(Failure::misconfigured)?;
        config.http.warn_of_plain_credentials(&config.url.url);
        Ok(Self {
            storage_id: storage.id,
            host: host.clone(),
            client: PageClient::new(&config)?,
            config,
            mapping,
            counters: CounterState::default(),
            alerts: SeenAlerts::default(),
            latest: None,
            reported_unused: 0,
            opened: Instant::now(),
        })
    }

    fn identify(&mut self, call: &Context<'_>) -> Result<StorageInfo, DriverFailure> {
        self.refresh(call.remaining().min(IDENTIFY_TIMEOUT))?;
        let reading = self.reading()?;
        Ok(resources::storage_info(
            reading,
            &self.mapping,
            &self.config,
        ))
    }

    fn capabilities(&mut self, _: &Context<'_>) -> Result<Capabilities, DriverFailure> {
        Ok(Capabilities {
            metrics: self.mapping.series(),
            ..Capabilities::default()
        })
    }

    fn collect(
        &mut self,
        _: DriverWindow,
        call: &Context<'_>,
    ) -> Result<PerformanceBatch, DriverFailure> {
        self.scrape(true, call.remaining())?;
        let series = series(self.reading()?, &self.mapping, &self.storage_id);
        Ok(series.map_err(Failure::rejected)?)
    }

    fn list_alerts(
        &mut self,
        window: Option<DriverWindow>,
        call: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        if !self.mapping.has_alerts() {
            let mapping = &self.config.mapping;
            return Err(DriverFailure::unsupported(format!(
                "the mapping `{mapping}` has no alerts"
            )));
        }
        self.refresh(call.remaining())?;
        let mut state = mem::take(&mut self.alerts);
        let alerts = self
            .reading()
            .map(|reading| alerts(reading, window, &mut state));
        self.alerts = state;
        Ok(alerts?)
    }

    fn parse_trap(
        &mut self,
        _: &BTreeMap<String, String>,
        _: &Context<'_>,
    ) -> Result<AlertBatch, DriverFailure> {
        Err(DriverFailure::unsupported("an exporter sends no traps"))
    }

    fn list_resources(
        &mut self,
        kind: &str,
        call: &Context<'_>,
    ) -> Result<Vec<serde_json::Value>, DriverFailure> {
        let resources = &self.mapping.resources;
        let known = MappedType::of_list(kind)
            .filter(|kind| resources.iter().any(|one| one.resource_type == *kind));
        let Some(known) = known else {
            let mapping = &self.config.mapping;
            return Err(DriverFailure::unsupported(format!(
                "the mapping `{mapping}` has no {kind}"
            )));
        };
        self.refresh(call.remaining())?;
        Ok(resources::list(self.reading()?, &self.mapping, known))
    }
}
