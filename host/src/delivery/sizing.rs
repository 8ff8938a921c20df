//! How much goes into one call: what the operator and the plugin say, and what
//! the receiver was found to take.

use std::time::{Duration, Instant};

use super::window::Size;
use crate::config::BatchConfig;

/// How long it is remembered that something was too large: the receiver's limit
/// may have been raised.
const REMEMBERED: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct Sizing {
    wanted: Size,
    found: Option<(u64, Instant)>,
}

impl Sizing {
    pub(super) fn new(config: &BatchConfig, declared: Option<u64>) -> Self {
        Self {
            wanted: Size {
                items: config.max_points.min(declared.unwrap_or(u64::MAX)),
                bytes: config.max_bytes,
            },
            found: None,
        }
    }

    /// That many items were too large.
    pub(super) fn too_large(&mut self, items: u64, now: Instant) {
        let fits = (items / 2).max(1);
        self.found = Some((fits.min(self.size(now).items), now + REMEMBERED));
    }

    /// How much to send at most.
    pub(super) fn size(&mut self, now: Instant) -> Size {
        self.found = self.found.filter(|(_, until)| *until > now);
        let items = self.found.map_or(u64::MAX, |(items, _)| items);
        Size {
            items: self.wanted.items.min(items),
            ..self.wanted
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
        let items = |sizing: &mut Sizing, now| sizing.size(now).items;
        assert_eq!(items(&mut Sizing::new(&config, Some(7)), now), 7);
        let mut sizing = Sizing::new(&config, None);
        assert_eq!(items(&mut sizing, now), 100);
        sizing.too_large(100, now);
        assert_eq!(items(&mut sizing, now), 50);
        sizing.too_large(3, now);
        assert_eq!(items(&mut sizing, now), 1);
        assert_eq!(items(&mut sizing, now + REMEMBERED), 100);
    }
}
