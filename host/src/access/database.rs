//! The tokens in the database of a cluster.
//!
//! Promises: a change is complete, or did not happen; two commands at the same time lose no token. Commands change the tokens
//! whether a host is active or not, so that a change is not fenced by the lease.

use std::io;

use delfin_plugin_api::postgres::tokio_postgres::{Client, Row, Transaction, types::ToSql};
use tokio::runtime::Builder;

use super::{
    file::{TokenEntry, TokenFileError},
    scope::AccessScope,
};
use crate::postgres::{ClusterDatabase, StoreError};

/// The tokens of a cluster.
#[derive(Clone, Debug)]
pub struct TokenDatabase {
    pub(super) database: ClusterDatabase,
    lease: String,
}

/// The tokens at one time; `None` if the cluster never had one.
pub(super) type StoredTokens = Option<Vec<TokenEntry>>;

impl TokenDatabase {
    /// `lease` is the name of the cluster.
    #[must_use]
    pub fn new(database: ClusterDatabase, lease: &str) -> Self {
        Self {
            database,
            lease: lease.to_owned(),
        }
    }

    /// Waits for the database, for commands.
    pub(super) fn read(&self) -> Result<StoredTokens, TokenFileError> {
        self.run(async |client| self.tokens(client, self.version(client).await?).await)
    }

    /// As [`Self::read`].
    pub(super) fn add(&self, token: &TokenEntry) -> Result<(), TokenFileError> {
        const ADD: &str =
            "INSERT INTO delfin_tokens VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        let values: [&(dyn ToSql + Sync); 5] = [
            &self.lease,
            &token.name,
            &scopes,
            &token.created_ms,
            &token.sha256,
        ];
        let added = self.change(async |tx| Ok(tx.execute(ADD, &values).await?));
        added?.then_some(()).ok_or_else(|| TokenFileError::Exists {
            name: token.name.clone(),
        })
    }

    /// As [`Self::read`].
    pub(super) fn revoke(&self, name: &str) -> Result<(), TokenFileError> {
        const REVOKE: &str = "DELETE FROM delfin_tokens WHERE lease = $1 AND name = $2";
        let revoked = self.change(async |tx| Ok(tx.execute(REVOKE, &[&self.lease, &name]).await?));
        revoked?
            .then_some(())
            .ok_or_else(|| TokenFileError::Missing {
                name: name.to_owned(),
            })
    }

    /// The count of changes; `None` before the first.
    pub(super) async fn version(&self, client: &Client) -> Result<Option<i64>, StoreError> {
        const VERSION: &str = "SELECT version FROM delfin_token_sets WHERE lease = $1";
        let row = client.query_opt(VERSION, &[&self.lease]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// `version` is the one that [`Self::version`] has returned.
    pub(super) async fn tokens(
        &self,
        client: &Client,
        version: Option<i64>,
    ) -> Result<StoredTokens, StoreError> {
        const LIST: &str = "SELECT name, scopes, created_ms, sha256 FROM delfin_tokens
             WHERE lease = $1 ORDER BY created_ms, name";
        if version.is_none() {
            return Ok(None);
        }
        let rows = client.query(LIST, &[&self.lease]).await?;
        rows.iter().map(token).collect::<Result<_, _>>().map(Some)
    }

    /// Makes a change, unless it changes no row. Returns whether it did. The row of the version is locked, so that changes come one
    /// after the other.
    fn change(
        &self,
        change: impl AsyncFnOnce(&Transaction<'_>) -> Result<u64, StoreError>,
    ) -> Result<bool, TokenFileError> {
        const NEXT: &str = "INSERT INTO delfin_token_sets AS s VALUES ($1, 1)
             ON CONFLICT (lease) DO UPDATE SET version = s.version + 1";
        self.run(async |client| {
            let tx = client.transaction().await?;
            tx.execute(NEXT, &[&self.lease]).await?;
            let is_changed = change(&tx).await? > 0;
            if is_changed {
                tx.commit().await?;
            }
            Ok(is_changed)
        })
    }

    fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, StoreError>,
    ) -> Result<T, TokenFileError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| TokenFileError::Database {
            reason: error.to_string(),
        })?;
        let done = runtime.block_on(self.database.run(work));
        done.map_err(|reason| TokenFileError::Database { reason })
    }
}

fn token(row: &Row) -> Result<TokenEntry, StoreError> {
    let name: String = row.get(0);
    let scopes: Vec<&str> = row.get(1);
    let scope = |text: &&str| {
        AccessScope::ALL
            .into_iter()
            .find(|scope| scope.as_str() == *text)
    };
    let scopes: Option<Vec<AccessScope>> = scopes.iter().map(scope).collect();
    let unknown = || {
        StoreError::Content(format!(
            "token `{name}` has a scope that this host does not know (update the host, or revoke the token)"
        ))
    };
    Ok(TokenEntry {
        scopes: scopes.ok_or_else(unknown)?,
        created_ms: row.get(2),
        sha256: row.get(3),
        name,
    })
}
