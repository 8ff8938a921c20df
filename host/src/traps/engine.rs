//! The host as an SNMP engine. A sender of informs needs its id, the number of its starts and
//! its time, so both must survive a restart: they are in a file of the state folder.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::Instant,
};

use async_snmp::{
    generate_engine_id,
    v3::{compute_engine_boots_time, in_authoritative_time_window},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{platform::rename, regular_file, write_guard::WRITE_GUARD};

const FILE: &str = "snmp-engine.json";

/// The engine of this host.
#[derive(Clone, Debug)]
pub struct LocalEngine {
    id: Bytes,
    boots: u32,
    started: Instant,
}

#[derive(Serialize, Deserialize)]
struct StoredEngine {
    /// Hexadecimal digits.
    id: String,
    boots: u32,
}

impl LocalEngine {
    /// Reads the engine from the state folder, and counts this start.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        let stored = regular_file::read(&path).ok();
        let stored = stored.and_then(|text| serde_json::from_slice::<StoredEngine>(&text).ok());
        let known = stored.and_then(|stored| Some((octets(&stored.id)?, stored.boots)));
        let (id, boots) = match known {
            Some(known) => known,
            None => (generate_engine_id().map_err(io::Error::other)?.to_vec(), 0),
        };
        let engine = Self {
            id: id.into(),
            boots: boots.saturating_add(1),
            started: Instant::now(),
        };
        engine.store(&path)?;
        Ok(engine)
    }

    #[must_use]
    pub fn id(&self) -> &Bytes {
        &self.id
    }

    /// The number of starts, and the seconds since the last one.
    #[must_use]
    pub fn boots_time(&self) -> (u32, u32) {
        compute_engine_boots_time(self.boots, self.started.elapsed().as_secs())
    }

    /// Whether a message with these values was sent just now.
    #[must_use]
    pub fn is_timely(&self, boots: u32, time: u32) -> bool {
        let (own_boots, own_time) = self.boots_time();
        in_authoritative_time_window(own_boots, own_time, boots, time)
    }

    fn store(&self, path: &Path) -> io::Result<()> {
        let id = self.id.iter().map(|octet| format!("{octet:02x}")).collect();
        let boots = self.boots;
        let new = path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&StoredEngine { id, boots })?)?;
        file.sync_all()?;
        WRITE_GUARD.check()?;
        rename(&new, path)
    }
}

/// The octets of hexadecimal digits.
pub(super) fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits?;
    let octet = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    pairs.chunks(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_stays_and_each_start_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let first = LocalEngine::open(folder.path()).unwrap();
        let second = LocalEngine::open(folder.path()).unwrap();
        assert_eq!(first.id(), second.id());
        assert_eq!((first.boots, second.boots), (1, 2));
        assert!(second.is_timely(2, 100) && !second.is_timely(2, 200) && !second.is_timely(1, 0));
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert_eq!(LocalEngine::open(folder.path()).unwrap().boots, 1);
    }

    #[test]
    fn hexadecimal_digits_are_octets() {
        assert_eq!(octets("80001F"), Some(vec![0x80, 0, 0x1F]));
        assert_eq!(octets("800"), None);
        assert_eq!(octets("8x"), None);
    }
}
