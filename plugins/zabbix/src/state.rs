//! What the exporter remembers of items from one batch to the next.
//!
//! Knows nothing of connections.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// How often a host gets the list of its series, if no series is new. Zabbix deletes items that are
/// not in a list for longer than the rule says.
const REPEAT: Duration = Duration::from_hours(1);

/// The same for a host that has no rule for discovery.
const REPEAT_WITHOUT_RULE: Duration = Duration::from_mins(1);

/// After this time without a point, a series is not in the list any more.
const KEEP: Duration = Duration::from_hours(24);

/// The most items that are remembered because Zabbix refused their values.
const MAX_REFUSED: usize = 100_000;

/// The series of hosts, for rules of low-level discovery.
#[derive(Debug)]
pub struct Discovery {
    hosts: HashMap<String, HostSeries>,
    /// How long Zabbix may take to create an item.
    timeout: Duration,
    now: Instant,
}

#[derive(Debug, Default)]
struct HostSeries {
    series: HashMap<u64, DiscoveredSeries>,
    has_new: bool,
    announced: Option<Instant>,
    has_rule: bool,
}

#[derive(Debug)]
struct DiscoveredSeries {
    /// A JSON object.
    macros: Box<[u8]>,
    seen: Instant,
    announced: Option<Instant>,
}

impl Discovery {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            hosts: HashMap::new(),
            timeout,
            now: Instant::now(),
        }
    }

    /// Sets the time of what follows.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.now = now;
    }

    /// A host has points of this series.
    pub(crate) fn observe(&mut self, host: &str, item: u64, macros: impl FnOnce() -> Box<[u8]>) {
        if !self.hosts.contains_key(host) {
            self.hosts.insert(host.to_owned(), HostSeries::default());
        }
        let now = self.now;
        let Some(known) = self.hosts.get_mut(host) else {
            return;
        };
        let mut is_new = false;
        let series = known.series.entry(item).or_insert_with(|| {
            is_new = true;
            DiscoveredSeries {
                macros: macros(),
                seen: now,
                announced: None,
            }
        });
        series.seen = now;
        known.has_new |= is_new;
    }

    /// The hosts that need a list of their series, each with the list.
    pub(crate) fn due(&mut self) -> Vec<(String, Vec<u8>)> {
        let now = self.now;
        let mut due = Vec::new();
        for (host, known) in &mut self.hosts {
            if !known.is_due(now) {
                continue;
            }
            known.series.retain(|_, series| now - series.seen < KEEP);
            let mut list = vec![b'['];
            for series in known.series.values() {
                if list.len() > 1 {
                    list.push(b',');
                }
                list.extend_from_slice(&series.macros);
            }
            list.push(b']');
            due.push((host.clone(), list));
        }
        self.hosts.retain(|_, known| !known.series.is_empty());
        due
    }

    /// A host got its list; `has_rule` is whether it has a rule that takes lists.
    pub(crate) fn announced(&mut self, host: &str, has_rule: bool) {
        let now = self.now;
        let Some(known) = self.hosts.get_mut(host) else {
            return;
        };
        known.has_new = false;
        known.has_rule = has_rule;
        known.announced = Some(now);
        let new = known.series.values_mut();
        for series in new.filter(|series| has_rule && series.announced.is_none()) {
            series.announced = Some(now);
        }
    }

    /// Whether Zabbix may still be creating the item.
    pub(crate) fn is_awaited(&self, host: &str, item: u64) -> bool {
        let series = self.hosts.get(host).filter(|known| known.has_rule);
        let series = series.and_then(|known| known.series.get(&item));
        let announced = series.and_then(|series| series.announced);
        announced.is_some_and(|announced| self.now - announced < self.timeout)
    }
}

impl HostSeries {
    fn is_due(&self, now: Instant) -> bool {
        let Some(announced) = self.announced else {
            return true;
        };
        match self.has_rule {
            true => self.has_new || now - announced >= REPEAT,
            false => now - announced >= REPEAT_WITHOUT_RULE,
        }
    }
}

/// Items whose values Zabbix refused in an earlier call. Their values are sent apart from others, so
/// that one request tells that all of them are refused again.
#[derive(Debug, Default)]
pub(crate) struct RefusedItems(HashSet<u64>);

impl RefusedItems {
    pub(crate) fn contains(&self, item: u64) -> bool {
        self.0.contains(&item)
    }

    /// Zabbix refuses the values of an item, or takes them.
    pub(crate) fn set(&mut self, item: u64, is_refused: bool) {
        if !is_refused {
            self.0.remove(&item);
        } else if self.0.len() < MAX_REFUSED {
            self.0.insert(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(discovery: &mut Discovery, item: u64) {
        let macros = || Box::from(format!("{{\"{{#N}}\":{item}}}").into_bytes());
        discovery.observe("h", item, macros);
    }

    fn due(discovery: &mut Discovery) -> Vec<usize> {
        let lists = discovery.due();
        let lengths = lists.iter().map(|(_, list)| {
            let list: serde_json::Value = serde_json::from_slice(list).unwrap();
            list.as_array().map_or(0, Vec::len)
        });
        let lengths = lengths.collect();
        for (host, _) in lists {
            discovery.announced(&host, true);
        }
        lengths
    }

    #[test]
    fn a_list_has_all_series_and_is_sent_when_there_is_a_new_one_or_an_hour_is_over() {
        let start = Instant::now();
        let mut discovery = Discovery::new(Duration::from_secs(60));
        discovery.begin(start);
        observe(&mut discovery, 1);
        observe(&mut discovery, 1);
        assert_eq!(due(&mut discovery), [1]);
        assert!(due(&mut discovery).is_empty());
        observe(&mut discovery, 2);
        assert_eq!(due(&mut discovery), [2]);
        discovery.begin(start + REPEAT);
        assert_eq!(due(&mut discovery), [2]);
        discovery.begin(start + KEEP);
        observe(&mut discovery, 2);
        assert_eq!(due(&mut discovery), [1]);
        discovery.begin(start + 2 * KEEP);
        assert_eq!(due(&mut discovery), [0]);
        assert!(due(&mut discovery).is_empty());
    }

    #[test]
    fn an_item_is_awaited_for_a_while_after_its_list() {
        let start = Instant::now();
        let mut discovery = Discovery::new(Duration::from_secs(60));
        discovery.begin(start);
        observe(&mut discovery, 1);
        assert!(!discovery.is_awaited("h", 1));
        assert_eq!(due(&mut discovery), [1]);
        assert!(discovery.is_awaited("h", 1));
        assert!(!discovery.is_awaited("h", 2) && !discovery.is_awaited("g", 1));
        discovery.begin(start + Duration::from_secs(60));
        assert!(!discovery.is_awaited("h", 1));
    }

    #[test]
    fn a_host_without_a_rule_is_asked_again_each_minute_and_awaits_nothing() {
        let start = Instant::now();
        let mut discovery = Discovery::new(Duration::from_secs(60));
        discovery.begin(start);
        observe(&mut discovery, 1);
        assert_eq!(discovery.due().len(), 1);
        discovery.announced("h", false);
        assert!(!discovery.is_awaited("h", 1));
        observe(&mut discovery, 2);
        assert!(discovery.due().is_empty());
        discovery.begin(start + REPEAT_WITHOUT_RULE);
        assert_eq!(due(&mut discovery), [2]);
        assert!(discovery.is_awaited("h", 1));
    }
}
