//! The SNMP engine of the exporter, which must stay the same over restarts.
//!
//! Receivers refuse traps of version 3 whose engine has an older count of starts than they have
//! seen.

use std::{fs, io, path::Path};

use async_snmp::v3::{AuthoritativeEngine, PersistedAuthoritativeEngine, generate_engine_id};
use delfin_plugin_api::{Failure, log};
use serde::{Deserialize, Serialize};

const FILE: &str = "engine.json";

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct SnmpEngineFile {
    /// In hexadecimal digits.
    engine_id: String,
    boots: u32,
}

/// Starts the engine, and counts the start in the state folder. `wanted` is the id of the settings.
pub(crate) fn start_engine(
    folder: &Path,
    wanted: Option<&[u8]>,
) -> Result<AuthoritativeEngine, Failure> {
    let path = folder.join(FILE);
    let unusable = |reason: &dyn std::fmt::Display| {
        Failure::misconfigured(format!("cannot use `{}`: {reason}", path.display()))
    };
    let stored = match fs::read(&path) {
        Ok(bytes) => Some(read(&bytes).ok_or_else(|| unusable(&"it is damaged (remove it)"))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(&error)),
    };
    let stored = stored.filter(|(id, _)| wanted.is_none_or(|wanted| wanted == id));
    let file = path.clone();
    let persist = move |engine: &PersistedAuthoritativeEngine| write(&file, engine);
    let started = match stored {
        Some((id, boots)) => PersistedAuthoritativeEngine::new(id, boots)
            .and_then(|engine| AuthoritativeEngine::restart(engine, persist)),
        None => {
            let id = match wanted {
                Some(id) => Ok(id.to_vec()),
                None => generate_engine_id().map(|id| id.to_vec()),
            };
            id.and_then(|id| AuthoritativeEngine::install(id, persist))
        }
    };
    let engine = started.map_err(|error| unusable(&error))?;
    let engine_id = hex(engine.engine_id());
    log::info!(engine_id = engine_id.as_str(); "receivers of traps must know the engine of the exporter");
    Ok(engine)
}

fn read(bytes: &[u8]) -> Option<(Vec<u8>, u32)> {
    let stored: SnmpEngineFile = serde_json::from_slice(bytes).ok()?;
    Some((from_hex(&stored.engine_id)?, stored.boots))
}

fn write(path: &Path, engine: &PersistedAuthoritativeEngine) -> io::Result<()> {
    let stored = SnmpEngineFile {
        engine_id: hex(engine.engine_id()),
        boots: engine.engine_boots(),
    };
    let next = path.with_extension("next");
    fs::write(&next, serde_json::to_vec(&stored)?)?;
    fs::File::open(&next)?.sync_all()?;
    fs::rename(next, path)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of an even number of hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = is_hex.then_some(text)?;
    let starts = (0..digits.len()).step_by(2);
    starts
        .map(|start| u8::from_str_radix(&digits[start..start + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_id_and_counts_its_starts() {
        let folder = tempfile::tempdir().unwrap();
        let start = |wanted: Option<&[u8]>| {
            let engine = start_engine(folder.path(), wanted).unwrap();
            (engine.engine_id().to_vec(), engine.engine_boots())
        };
        let (id, boots) = start(None);
        assert_eq!(boots, 1);
        assert_eq!(start(None), (id, 2));
        let wanted = [0x80, 0, 0x7e, 0xd9, 4, 1, 2];
        assert_eq!(start(Some(&wanted)), (wanted.to_vec(), 1));
        assert_eq!(start(Some(&wanted)), (wanted.to_vec(), 2));
        fs::write(folder.path().join(FILE), "{").unwrap();
        let refused = start_engine(folder.path(), None).unwrap_err().to_string();
        assert!(refused.contains("it is damaged"), "{refused}");
    }

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(from_hex("80ff"), Some(vec![0x80, 0xff]));
        assert_eq!(hex(&[0x80, 0xff]), "80ff");
        for odd in ["8", "8g", "\u{e9}\u{e9}"] {
            assert_eq!(from_hex(odd), None, "{odd}");
        }
    }
}
