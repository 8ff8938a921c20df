//! How much goes into one request: what the operator and the plugin allow, and
//! what the receiver was found to take.

use std::time::{Duration, Instant};

use crate::{config::BatchConfig, delivery::outbox::RequestSize};

/// How long a size that was too large is remembered: the receiver's limit may be
/// raised.
const REMEMBER: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct Sizing {
    configured: RequestSize,
    /// Items that the receiver takes, and until when this is remembered.
    learned: Option<(u64, Instant)>,
}

impl Sizing {
    /// `declared`: the most items that the plugin takes.
    pub(super) fn new(config: &BatchConfig, declared: Option<u64>) -> Self {
        Self {
            configured: RequestSize {
                items: config.max_points.min(declared.unwrap_or(u64::MAX)),
                bytes: config.max_bytes,
            },
            learned: None,
        }
    }

    /// A request of this many items was too large: half of it is the limit now.
    pub(super) fn on_too_large(&mut self, items: u64, now: Instant) {
        let half = (items / 2).max(1);
        self.learned = Some((half.min(self.max(now).items), now + REMEMBER));
    }

    /// The largest request.
    pub(super) fn max(&mut self, now: Instant) -> RequestSize {
        self.learned = self.learned.filter(|(_, until)| *until > now);
        let items = self.learned.map_or(u64::MAX, |(items, _)| items);
        RequestSize {
            items: self.configured.items.min(items),
            ..self.configured
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_large_is_remembered_for_a_while() {
        let config = BatchConfig {
            max_points: 100,
            ..BatchConfig::default()
        };
        let now = Instant::now();
        let items = |sizing: &mut Sizing, now| sizing.max(now).items;
        assert_eq!(items(&mut Sizing::new(&config, Some(7)), now), 7);
        let mut sizing = Sizing::new(&config, None);
        assert_eq!(items(&mut sizing, now), 100);
        sizing.on_too_large(100, now);
        assert_eq!(items(&mut sizing, now), 50);
        sizing.on_too_large(3, now);
        assert_eq!(items(&mut sizing, now), 1);
        assert_eq!(items(&mut sizing, now + REMEMBER), 100);
    }
}
