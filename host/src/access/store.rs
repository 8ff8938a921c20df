//! The tokens as the running host uses them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use delfin_plugin_api::postgres::tokio_postgres::Client;
use subtle::ConstantTimeEq;
use tokio::time::{sleep, timeout};

use super::{
    database::{StoredTokens, TokenDatabase},
    file::{TokenEntry, TokenFile, TokenFileError},
    place::TokenPlace,
    token,
    version::FileVersion,
};
use crate::postgres::StoreError;

/// How often the database is asked whether the tokens have changed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time that the database may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The tokens of a state folder or of a cluster, as they are now.
#[derive(Debug)]
pub struct TokenStore {
    /// `None`: they are in the database.
    file: Option<TokenFile>,
    known: Arc<Mutex<KnownTokens>>,
}

/// The tokens at one time.
#[derive(Debug)]
pub struct TokenSet(Arc<[TokenEntry]>);

#[derive(Debug, Default)]
struct KnownTokens {
    /// Of the file.
    version: Option<FileVersion>,
    /// `None` if there was never a token.
    tokens: Option<Arc<[TokenEntry]>>,
}

impl TokenStore {
    /// # Errors
    ///
    /// The file exists and cannot be used.
    pub async fn open(place: TokenPlace) -> Result<Self, TokenFileError> {
        match place {
            TokenPlace::File(file) => Self::in_file(file),
            TokenPlace::Database(database) => Ok(Self::in_database(database).await),
        }
    }

    /// # Errors
    ///
    /// The file exists and cannot be used.
    pub fn in_file(file: TokenFile) -> Result<Self, TokenFileError> {
        let known = KnownTokens {
            version: FileVersion::of(file.path()).ok().flatten(),
            tokens: file.read()?.map(Arc::from),
        };
        Ok(Self {
            known: Arc::new(Mutex::new(known)),
            file: Some(file),
        })
    }

    /// The tokens of a cluster. A task reads them again when they have changed. Until they were read, no token is known and every
    /// client needs one.
    async fn in_database(database: TokenDatabase) -> Self {
        let known = Arc::new(Mutex::new(KnownTokens {
            version: None,
            tokens: Some(Arc::default()),
        }));
        let mut reader = TokenReader {
            database,
            client: None,
            version: None,
            is_failing: false,
            known: Arc::downgrade(&known),
        };
        reader.look().await;
        tokio::spawn(reader.run());
        Self { file: None, known }
    }

    /// The tokens as they are now; `None` if there was never one, so that clients need none.
    ///
    /// Asks the file system for the version of the file, which does not wait for the disk:
    /// the inode is cached. The file itself is read after a change only.
    pub fn current(&self) -> Option<TokenSet> {
        let mut known = lock(&self.known);
        if let Some(file) = &self.file
            && let Ok(version) = FileVersion::of(file.path())
            && version != known.version
        {
            // Also after a failure, which is logged once.
            known.version = version;
            match file.read() {
                Ok(tokens) => known.replace(tokens),
                Err(error) => log::error!("the tokens of the API stay as they were: {error}"),
            }
        }
        known.tokens.clone().map(TokenSet)
    }
}

impl KnownTokens {
    fn replace(&mut self, tokens: StoredTokens) {
        let names = tokens.iter().flatten().map(|token| token.name.as_str());
        let names: Vec<&str> = names.collect();
        log::info!(tokens = names.join(", "); "read the tokens of the API again");
        self.tokens = tokens.map(Arc::from);
    }
}

/// Reads the tokens of a database.
struct TokenReader {
    database: TokenDatabase,
    /// `None` after a failure.
    client: Option<Client>,
    /// `None`: they were not read yet.
    version: Option<Option<i64>>,
    is_failing: bool,
    known: Weak<Mutex<KnownTokens>>,
}

impl TokenReader {
    /// Looks until nothing uses the tokens.
    async fn run(mut self) {
        loop {
            sleep(POLL_INTERVAL).await;
            if self.known.strong_count() == 0 {
                return;
            }
            self.look().await;
        }
    }

    /// Reads the tokens if they have changed.
    async fn look(&mut self) {
        let read = timeout(POLL_TIMEOUT, self.read()).await;
        match self.database.database.result(read) {
            Ok(changed) => {
                self.is_failing = false;
                if let (Some(tokens), Some(known)) = (changed, self.known.upgrade()) {
                    lock(&known).replace(tokens);
                }
            }
            Err(reason) => {
                if !self.is_failing {
                    log::error!("the tokens of the API stay as they were: {reason}");
                }
                self.is_failing = true;
            }
        }
    }

    async fn read(&mut self) -> Result<Option<StoredTokens>, StoreError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.database.database.connect().await?,
        };
        let version = self.database.version(&client).await?;
        let tokens = match self.version == Some(version) {
            true => None,
            false => Some(self.database.tokens(&client, version).await?),
        };
        self.version = Some(version);
        self.client = Some(client);
        Ok(tokens)
    }
}

fn lock(known: &Mutex<KnownTokens>) -> MutexGuard<'_, KnownTokens> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TokenSet {
    /// The token with this text.
    pub fn find(&self, text: &str) -> Option<&TokenEntry> {
        let hash = token::hash(text);
        // Compares with every token and each time completely, so that the time tells nothing.
        let mut found = None;
        for token in self.0.iter() {
            if bool::from(token.sha256.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some(token);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use delfin_tests::receivers::Relay;

    use super::*;
    use crate::access::AccessScope;
    use crate::postgres::testing::{self, TestLease};

    fn name(store: &TokenStore, text: &str) -> Option<String> {
        let tokens = store.current()?;
        tokens.find(text).map(|token| token.name.clone())
    }

    #[test]
    fn a_token_counts_as_soon_as_it_is_added_and_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let place = TokenPlace::File(TokenFile::new(folder.path()));
        let store = TokenStore::in_file(TokenFile::new(folder.path())).unwrap();
        assert!(store.current().is_none());
        let one = place.add("one", &[AccessScope::Read]).unwrap();
        let two = place.add("two", &[AccessScope::Read]).unwrap();
        assert_eq!(name(&store, &one).as_deref(), Some("one"));
        assert_eq!(name(&store, &two).as_deref(), Some("two"));
        for other in ["", "delfin_", &one[..one.len() - 1], &one.to_uppercase()] {
            assert_eq!(name(&store, other), None, "{other}");
        }
        place.revoke("one").unwrap();
        assert_eq!(name(&store, &one), None);
        place.revoke("two").unwrap();
        assert!(store.current().is_some());
    }

    #[test]
    fn a_file_that_is_damaged_meanwhile_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path());
        let text = TokenPlace::File(file.clone())
            .add("one", &[AccessScope::Read])
            .unwrap();
        let store = TokenStore::in_file(TokenFile::new(folder.path())).unwrap();
        fs::write(file.path(), "{").unwrap();
        assert_eq!(name(&store, &text).as_deref(), Some("one"));
        assert!(TokenStore::in_file(TokenFile::new(folder.path())).is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn tokens_of_a_cluster_are_shared_by_its_hosts() {
        let Some(lease) = TestLease::new() else {
            return;
        };
        let database = TokenDatabase::new(lease.database(), &lease.name);
        let place = TokenPlace::Database(database.clone());
        let command = async |run: fn(&TokenPlace) -> Option<String>| {
            let place = place.clone();
            tokio::task::spawn_blocking(move || run(&place))
                .await
                .unwrap()
        };
        let store = TokenStore::in_database(database.clone()).await;
        assert!(store.current().is_none());
        let add = |place: &TokenPlace| {
            let token = place.add("one", &[AccessScope::Read]).ok();
            token.map(|token| token.to_string())
        };
        let text = command(add).await.unwrap();
        assert_eq!(command(add).await, None, "the name exists");
        delfin_tests::wait_for("the token", || name(&store, &text));
        // A host that starts later, and one without the database.
        let later = TokenStore::in_database(database).await;
        assert_eq!(name(&later, &text).as_deref(), Some("one"));
        let relay = Relay::start(testing::port().unwrap());
        relay.cut();
        let away = TokenDatabase::new(lease.at(relay.port()).database(), &lease.name);
        let without = TokenStore::in_database(away).await;
        assert!(without.current().is_some() && name(&without, &text).is_none());
        relay.restore();
        delfin_tests::wait_for("the token", || name(&without, &text));

        let revoke = |place: &TokenPlace| place.revoke("one").err().map(|error| error.to_string());
        assert_eq!(command(revoke).await, None);
        assert!(
            command(revoke)
                .await
                .is_some_and(|error| error.contains("does not exist"))
        );
        delfin_tests::wait_for("no token", || name(&store, &text).is_none().then_some(()));
        assert!(store.current().is_some());
    }
}
