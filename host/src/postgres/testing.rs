//! A real database for the tests of this crate.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use delfin_plugin_api::postgres::{PostgresConnector, tokio_postgres::Config};
use delfin_tests::receivers::Postgres;

use super::{ClusterDatabase, FencedDatabase};
use crate::write_guard::WriteGuard;

static GUARD: WriteGuard = WriteGuard::new();

/// The port of the server of all tests; `None` where it is missing.
pub(crate) fn port() -> Option<u16> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(Postgres::for_this_process);
    server.as_ref().map(Postgres::port)
}

/// The database of a server, or of a relay in front of it.
pub(crate) fn database_at(port: u16) -> ClusterDatabase {
    ClusterDatabase::new(connector_to(port, "postgres"), &format!("127.0.0.1:{port}"))
}

pub(super) fn connector_to(port: u16, database: &str) -> PostgresConnector {
    let url = format!("postgres://postgres@127.0.0.1:{port}/{database}");
    let options: Config = url.parse().unwrap();
    PostgresConnector::new(options, None).unwrap()
}

/// A lease that no other test has.
#[derive(Clone)]
pub(crate) struct TestLease {
    pub(crate) name: String,
    port: u16,
}

impl TestLease {
    /// `None` where the server is missing.
    pub(crate) fn new() -> Option<Self> {
        static LEASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("lease-{}", LEASES.fetch_add(1, Ordering::Relaxed));
        let port = port()?;
        Some(Self { name, port })
    }

    /// The same through a relay.
    pub(crate) fn at(&self, port: u16) -> Self {
        Self {
            port,
            ..self.clone()
        }
    }

    pub(crate) fn database(&self) -> ClusterDatabase {
        database_at(self.port)
    }

    /// Takes its state for an epoch.
    pub(crate) fn owner(&self, epoch: i64) -> Result<FencedDatabase, String> {
        self.guarded_owner(epoch, &GUARD)
    }

    pub(crate) fn guarded_owner(
        &self,
        epoch: i64,
        guard: &'static WriteGuard,
    ) -> Result<FencedDatabase, String> {
        let opened = FencedDatabase::open(self.database(), &self.name, epoch, guard);
        opened.map_err(|failure| failure.reason)
    }
}
