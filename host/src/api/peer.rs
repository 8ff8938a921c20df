//! The other end of a connection.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// The client of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer {
    Network(IpAddr),
    /// A program of this machine, which the mode of the socket allows to connect.
    Local {
        /// The user that runs it.
        uid: u32,
    },
}

impl Peer {
    /// The client as a sender of batches. The networks of IPv6 are one sender each, because a
    /// client there has many addresses.
    pub(super) fn sender(self) -> IpAddr {
        match self {
            Self::Local { .. } => Ipv4Addr::LOCALHOST.into(),
            Self::Network(address) => match address.to_canonical() {
                IpAddr::V4(address) => address.into(),
                IpAddr::V6(address) => {
                    let network = u128::from(address) >> 64 << 64;
                    Ipv6Addr::from(network).into()
                }
            },
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.to_canonical().fmt(f),
            Self::Local { .. } => f.write_str("local"),
        }
    }
}
