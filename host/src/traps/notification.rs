//! A trap or an inform, the same for all versions of SNMP.

use std::{collections::BTreeMap, fmt::Write as _};

use async_snmp::{Oid, Pdu, PduType, TrapV1Pdu, Value, VarBind, oid};

/// The most variables of a notification that become part of an alert.
const MAX_VARIABLES: usize = 256;
/// The longest text of a variable, in bytes.
const MAX_TEXT: usize = 4096;

/// A trap or an inform.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    pub is_inform: bool,
    /// What has happened: `snmpTrapOID`.
    pub trap: Oid,
    /// Time since the start of the sender, in hundredths of a second.
    pub uptime: Option<u32>,
    /// Without `sysUpTime` and `snmpTrapOID`.
    pub variables: Vec<VarBind>,
}

impl Notification {
    /// `None` if it is not a notification, or does not say what has happened.
    pub fn from_pdu(pdu: &Pdu) -> Option<Self> {
        let is_inform = match pdu.pdu_type() {
            PduType::InformRequest => true,
            PduType::TrapV2 => false,
            _ => return None,
        };
        let (mut trap, mut uptime, mut variables) = (None, None, Vec::new());
        for variable in pdu.varbinds() {
            if trap.is_none() && variable.oid == snmp_trap_oid() {
                trap = variable.value.as_oid().cloned();
            } else if uptime.is_none() && variable.oid == sys_up_time() {
                uptime = variable.value.as_u32();
            } else if variables.len() < MAX_VARIABLES {
                variables.push(variable.clone());
            }
        }
        Some(Self {
            is_inform,
            trap: trap.filter(|trap| !trap.is_empty())?,
            uptime,
            variables,
        })
    }

    /// As RFC 3584 translates a trap of version 1.
    pub fn from_v1(trap: &TrapV1Pdu) -> Option<Self> {
        let mut variables: Vec<VarBind> = trap
            .varbinds()
            .iter()
            .take(MAX_VARIABLES)
            .cloned()
            .collect();
        let address = Value::IpAddress(trap.agent_addr());
        variables.push(VarBind::new(oid!(1, 3, 6, 1, 6, 3, 18, 1, 3, 0), address));
        let enterprise = Value::ObjectIdentifier(trap.enterprise().clone());
        variables.push(VarBind::new(
            oid!(1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0),
            enterprise,
        ));
        Some(Self {
            is_inform: false,
            trap: trap.v2_trap_oid().ok()?,
            uptime: Some(trap.time_stamp()),
            variables,
        })
    }

    /// The text of each object identifier, as drivers expect it.
    #[must_use]
    pub fn texts(&self) -> BTreeMap<String, String> {
        let variables = self.variables.iter();
        let mut texts: BTreeMap<String, String> = variables
            .map(|variable| (variable.oid.to_string(), text_of(&variable.value)))
            .collect();
        texts.insert(snmp_trap_oid().to_string(), self.trap.to_string());
        if let Some(uptime) = self.uptime {
            texts.insert(sys_up_time().to_string(), uptime.to_string());
        }
        texts
    }
}

/// The text of a value, limited in its length. Numbers are decimal, and octets that are not
/// text hexadecimal.
#[must_use]
pub fn text_of(value: &Value) -> String {
    match value {
        Value::OctetString(octets) | Value::Opaque(octets) | Value::Nsap(octets) => {
            octets_text(octets)
        }
        Value::TimeTicks(ticks) => ticks.to_string(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn octets_text(octets: &[u8]) -> String {
    let is_cut = octets.len() > MAX_TEXT;
    let octets = &octets[..octets.len().min(MAX_TEXT)];
    let trimmed = octets.strip_suffix(b"\0").filter(|text| !text.is_empty());
    let trimmed = trimmed.unwrap_or(octets);
    let is_text = |text: &&str| {
        text.chars()
            .all(|c| !c.is_control() || c.is_ascii_whitespace())
    };
    // A text may be cut off within a character.
    let text = match std::str::from_utf8(trimmed) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&trimmed[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    if let Some(text) = text.filter(is_text) {
        return text.to_owned();
    }
    let mut hex = String::from("0x");
    for octet in octets {
        let _ = write!(hex, "{octet:02X}");
    }
    hex
}

pub(super) fn sys_up_time() -> Oid {
    oid!(1, 3, 6, 1, 2, 1, 1, 3, 0)
}

pub(super) fn snmp_trap_oid() -> Oid {
    oid!(1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_become_text_or_hexadecimal_digits() {
        let text = |octets: &[u8]| octets_text(octets);
        assert_eq!(text(b"fan 3\0"), "fan 3");
        assert_eq!(text("Lüfter\r\n".as_bytes()), "Lüfter\r\n");
        assert_eq!(text(&[0, 1, 0xFE]), "0x0001FE");
        assert_eq!(text(b""), "");
        assert_eq!(text(&[0]), "0x00");
        assert_eq!(text(&[0xC3]), "0xC3");
        assert_eq!(text(b"ab\xE2\x82"), "0x6162E282");
        let long = "ü".repeat(MAX_TEXT);
        assert_eq!(text(&long.as_bytes()[1..]).len(), 2 + 2 * MAX_TEXT);
        assert_eq!(text(long.as_bytes()).len(), MAX_TEXT);
    }
}
