//! Whether a standby could take over: with its configuration, its plugins, and the files of the state folder; without a shared folder,
//! also with the key of the inventory and the brokers of its journals.
//!
//! Promises: changes nothing, and runs no code of a plugin.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use crate::{
    cluster::ClusterMember,
    config::{self, ClusterConfig, Config},
    inventory::check_key,
    journal,
    mappings::InputMappings,
    panics::spawn_blocking,
    plugin::Plugins,
    state,
};

/// Checks a standby.
#[derive(Debug)]
pub struct Readiness {
    member: ClusterMember,
    /// The file of the configuration; `None`: the first one that exists.
    file: Option<PathBuf>,
    /// Remembers the hashes of plugin files.
    cache: Arc<TempDir>,
}

impl Readiness {
    pub(super) fn new(member: ClusterMember, file: Option<PathBuf>) -> io::Result<Self> {
        let cache = Arc::new(tempfile::tempdir()?);
        Ok(Self {
            member,
            file,
            cache,
        })
    }

    /// Returns why this host could not take over, and notes it for the cluster.
    pub async fn check(&self) -> Option<String> {
        let (file, cache) = (self.file.clone(), Arc::clone(&self.cache));
        let checked = spawn_blocking(move || check(file.as_deref(), cache.path())).await;
        let obstacle = match checked {
            Ok(Ok(config)) => check_cluster(&config).await.err(),
            Ok(Err(reason)) => Some(reason),
            Err(error) => Some(format!("the check did not end: {error}")),
        };
        self.member.note_obstacle(obstacle.clone());
        obstacle
    }
}

/// # Errors
///
/// The first reason for which the host would not start, or not all of its exporters, as far as files tell.
fn check(file: Option<&Path>, cache: &Path) -> Result<Config, String> {
    let loaded = config::load(file).map_err(|error| error.to_string().replace('\n', "; "))?;
    let mut config = loaded.config;
    config.plugin_cache_dir = cache.to_owned();
    InputMappings::read(&config).map_err(|error| error.to_string())?;
    let plugins = Plugins::find(&config);
    for exporter in &config.exporters {
        let offered = plugins.check_offer(exporter);
        offered.map_err(|error| format!("exporter `{}`: {error}", exporter.name))?;
    }
    state::check_readable(&config.state_dir).map_err(|error| error.to_string())?;
    let cluster = config.cluster.as_ref();
    if cluster.is_some_and(ClusterConfig::has_state_in_database) {
        state::refuse_left_over(&config.state_dir).map_err(|error| error.to_string())?;
    }
    Ok(config)
}

/// What else a member without a shared folder needs.
///
/// # Errors
///
/// Why it could not use the state on Kafka and in the database.
pub async fn check_cluster(config: &Config) -> Result<(), String> {
    let cluster = config.cluster.as_ref();
    let Some((cluster, kafka)) =
        cluster.and_then(|cluster| Some((cluster, cluster.kafka.as_ref()?)))
    else {
        return Ok(());
    };
    let mistake = |failure| format!("`cluster`: {failure}");
    let checked = async {
        if let Some(key_file) = &config.inventory.key_file {
            let database = cluster.database().map_err(mistake)?;
            check_key(&database, &cluster.name, key_file).await?;
        }
        let topics = kafka.topics(&cluster.name).map_err(mistake)?;
        journal::check_topics(&topics).await
    };
    let checked = checked.await;
    checked.map_err(|reason| config.redactor.redact(&reason).into_owned())
}
