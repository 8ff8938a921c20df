use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};

use async_snmp::v3::{DesSaltState, SaltCounter};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    inventory::{AlertSource, SnmpAuthProtocol, SnmpConfig, SnmpSecurityLevel},
    traps::{acknowledgement::Answerer, engine::LocalEngine, source::Lookup, usm::UsmReceiver},
};

const LOCALHOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A trap of version 2c for 1.3.6.1.4.1.99999.0.1, with the community `public`.
const TRAP: &str = "304102010104067075626c6963a7340201010201000201003029300d06082b06010201 \
    0103004301053018060a2b060106030101040100060a2b06010401868d1f0001";

/// For many cases: the key of a user takes a while to derive.
static SHARED: LazyLock<(Mutex<Opener>, SenderTable)> = LazyLock::new(|| {
    let sources = vec![
        source(2, "127.0.0.1", SnmpVersion::V2c),
        source(3, "127.0.0.1", SnmpVersion::V3),
    ];
    (Mutex::new(opener()), table(sources))
});

fn opener() -> Opener {
    let folder = tempfile::tempdir().unwrap();
    let answerer = Answerer {
        engine: LocalEngine::open(folder.path()).unwrap(),
        aes_salts: SaltCounter::new().unwrap(),
        des_salts: DesSaltState::install(|_| Ok::<(), std::io::Error>(())).unwrap(),
    };
    Opener {
        usm: UsmReceiver::new(Arc::new(answerer)),
    }
}

fn source(id: u128, host: &str, version: SnmpVersion) -> AlertSource {
    let is_user = version == SnmpVersion::V3;
    AlertSource {
        storage_id: Uuid::from_u128(id),
        snmp: SnmpConfig {
            host: host.to_owned(),
            version,
            community: (!is_user).then(|| "public".to_owned()),
            username: is_user.then(|| "user".to_owned()),
            security_level: is_user.then_some(SnmpSecurityLevel::AuthNoPriv),
            auth: is_user.then(|| (SnmpAuthProtocol::Md5, "password".to_owned())),
            privacy: None,
            engine_id: None,
            context_name: None,
            port: None,
            retry_num: None,
            expiration: None,
        },
        created_us: 0,
        updated_us: None,
    }
}

fn table(sources: Vec<AlertSource>) -> SenderTable {
    let sources = sources.into_iter().map(|one| (one.storage_id, one));
    let sources: BTreeMap<_, _> = sources.collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(SenderTable::default().updated(&Arc::new(sources), Lookup::All))
}

fn trap() -> Vec<u8> {
    let digits: String = TRAP.split_whitespace().collect();
    octets(&digits)
}

fn octets(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let octet = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(octet).collect()
}

/// net-snmp cannot send all of them.
#[test]
fn recorded_traps_of_all_protocols_are_opened_with_their_keys_only() {
    let recorded = include_str!("pysnmp.txt").lines();
    let recorded = recorded.filter(|line| !line.starts_with('#'));
    for line in recorded {
        let [auth, privacy, digits] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let mut sender = source(1, "127.0.0.1", SnmpVersion::V3);
        let protocol = |name: &str| serde_json::Value::from(name);
        let auth_protocol = serde_json::from_value(protocol(auth)).unwrap();
        sender.snmp.auth = Some((auth_protocol, "authentication".to_owned()));
        if privacy != "-" {
            let privacy = serde_json::from_value(protocol(privacy)).unwrap();
            sender.snmp.privacy = Some((privacy, "encryption".to_owned()));
            sender.snmp.security_level = Some(SnmpSecurityLevel::AuthPriv);
        }
        let (mut opener, table) = (opener(), table(vec![sender]));
        let mut datagram = octets(digits);
        let opened = opener.open(datagram.clone().into(), LOCALHOST, &table);
        let notification = opened.expect(line).notification;
        assert_eq!(notification.trap.to_string(), "1.3.6.1.4.1.99999.0.1");
        assert_eq!(notification.variables[0].value.as_str(), Some("fan 3"));
        *datagram.last_mut().unwrap() ^= 1;
        let refused = opener.open(datagram.into(), LOCALHOST, &table);
        assert!(refused.is_err(), "{line}");
    }
}

#[test]
fn a_sender_is_known_by_its_exact_address_and_its_community() {
    let sources = vec![
        source(1, "127.0.0.11", SnmpVersion::V2c),
        source(2, "127.0.0.1", SnmpVersion::V2c),
        source(3, "127.0.0.1", SnmpVersion::V3),
    ];
    let (mut opener, table) = (opener(), table(sources));
    let opened = opener.open(trap().into(), LOCALHOST, &table).unwrap();
    assert_eq!(opened.storage_id, Uuid::from_u128(2));
    assert_eq!(
        opened.notification.trap.to_string(),
        "1.3.6.1.4.1.99999.0.1"
    );
    assert!(opened.acknowledgement.is_none());
    // The address of an IPv4 sender at a socket for both versions of IP.
    let mapped = "::ffff:127.0.0.11".parse().unwrap();
    let opened = opener.open(trap().into(), mapped, &table).unwrap();
    assert_eq!(opened.storage_id, Uuid::from_u128(1));
    let unknown = opener.open(trap().into(), "127.0.0.111".parse().unwrap(), &table);
    assert_eq!(unknown.unwrap_err().refusal, TrapRefusal::UnknownSender);
    let mut wrong = trap();
    let at = wrong.windows(6).position(|part| part == b"public").unwrap();
    wrong[at] = b'P';
    let refused = opener.open(wrong.into(), LOCALHOST, &table).unwrap_err();
    assert_eq!(refused.refusal, TrapRefusal::WrongCommunity);
}

proptest! {
    #[test]
    fn no_datagram_panics_or_passes_without_its_community(
        cut in 0..80_usize,
        changes in prop::collection::vec((0..80_usize, any::<u8>()), 0..6),
        more in prop::collection::vec(any::<u8>(), 0..200),
        version in prop::sample::select(vec![0_u8, 1, 2, 3, 255]),
    ) {
        let (opener, table) = &*SHARED;
        let mut opener = opener.lock().unwrap();
        let mut datagram = trap();
        datagram.truncate(cut);
        for (at, octet) in changes {
            if let Some(old) = datagram.get_mut(at) {
                *old = octet;
            }
        }
        datagram.extend(&more);
        if let Some(old) = datagram.get_mut(4) {
            *old = version;
        }
        let has_community = datagram.windows(6).any(|part| part == b"public");
        let opened = opener.open(datagram.clone().into(), LOCALHOST, table);
        prop_assert!(opened.is_err() || has_community);
        drop(open_plain(datagram.into()));
    }
}
