//! `state`: backs up, restores and checks the state folder of a host.
//!
//! Works on the files, whether the host runs or not. A restore needs a host that does not run.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{
    error::Error,
    options::GlobalOptions,
    output::Output,
    progress::{ProgressReport, ProgressUnit},
    table::{counted, grouped},
};
use crate::{
    clock::rfc3339,
    config::{self, StateSettings},
    inventory::InventoryPlace,
    platform::keep_files_private,
    state::{self, Fault, Keys, RestoreRequest, StateError, StateReport},
};

#[derive(Debug, clap::Subcommand)]
pub enum StateCommand {
    /// Write the state of a host, which may run, to one file
    Backup(BackupArgs),

    /// Restore a backup into the state folder of a host that does not run
    Restore(RestoreArgs),

    /// Check every record, checksum and counter of the state folder or of a backup
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// New file to write, such as `delfin.tar.zst`
    pub file: PathBuf,

    /// Include `inventory.key`, which opens the passwords of all storages
    #[arg(long)]
    pub with_keys: bool,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// Backup to restore
    pub file: PathBuf,

    /// Replace the state that the folder has
    #[arg(long)]
    pub replace: bool,

    /// Restore a backup in which faults are found
    #[arg(long)]
    pub accept_faults: bool,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// Backup to check [default: the state folder]
    pub file: Option<PathBuf>,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &StateCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    keep_files_private();
    let settings = config::load_state_settings(options.config.as_deref());
    let settings = settings.map_err(Error::configuration)?;
    match command {
        StateCommand::Backup(args) => back_up(&settings, args, output),
        StateCommand::Restore(args) => restore(&settings, args, output),
        StateCommand::Verify(args) => verify(&settings, args, output),
    }
}

fn back_up(
    settings: &StateSettings,
    args: &BackupArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let keys = match args.with_keys {
        true => Keys::Included,
        false => Keys::LeftOut,
    };
    let progress = ProgressReport::new(output, ProgressUnit::Bytes);
    let written = state::back_up(&settings.state_dir, &args.file, keys, &progress);
    drop(progress);
    let written = written.map_err(Error::failed)?;
    note_elsewhere(settings, output);
    let file = args.file.display();
    if args.with_keys {
        output.audit(
            settings.audit_file.as_deref(),
            "state backup with keys".to_owned(),
        );
        output.warn(&match written.has_key {
            true => format!("`{file}` opens the passwords of all storages: keep it as safe as they are"),
            false => "`inventory.key` is not in the state folder, and not in the backup: keep the key yourself".to_owned(),
        });
    }
    if output.is_json() {
        return output.json(&json!({
            "file": args.file,
            "state_bytes": written.state_bytes,
            "file_bytes": written.file_bytes,
            "has_key": written.has_key,
        }));
    }
    let [state, bytes] = [written.state_bytes, written.file_bytes].map(grouped);
    output.line(&format!(
        "{file}: {bytes} bytes, from {state} bytes of state"
    ))
}

fn restore(
    settings: &StateSettings,
    args: &RestoreArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let StateSettings {
        state_dir,
        audit_file,
        ..
    } = settings;
    if settings.has_state_in_database {
        return Err(Error::failed(format!(
            "`{}` cannot be restored: the state of this host is on Kafka and in the database of the cluster (restore their own \
             backups; to go on with this backup in a folder, remove `cluster.kafka`)",
            state_dir.display()
        )));
    }
    let progress = ProgressReport::new(output, ProgressUnit::Bytes);
    let place = InventoryPlace::new(state_dir, settings.key_file.as_deref());
    let request = RestoreRequest {
        file: &args.file,
        state_dir,
        key: place.key_path(),
        replace: args.replace,
        accept_faults: args.accept_faults,
    };
    let restored = state::restore(request, &progress);
    drop(progress);
    let faults = match &restored {
        Ok(restored) => &*restored.faults,
        Err(StateError::Faulty { faults, .. }) => faults,
        Err(_) => &[],
    };
    for fault in faults {
        output.warn(&fault_text(fault));
    }
    let restored = restored.map_err(Error::failed)?;
    let what = format!("state restore {}", args.file.display());
    output.audit(audit_file.as_deref(), what);
    if !place.key_path().exists() {
        output.warn(&format!(
            "the backup has no key: put `inventory.key` into `{}` before the host starts, or its registered storages stay unknown",
            state_dir.display()
        ));
    }
    let created = rfc3339(restored.created_ms);
    if output.is_json() {
        return output.json(&json!({
            "state_dir": state_dir,
            "created": created,
            "host_version": restored.host_version,
            "bytes": restored.bytes,
            "has_key": restored.has_key,
            "faults": restored.faults,
        }));
    }
    output.line(&format!(
        "{}: restored the state of {created}; what was delivered since then may be delivered again",
        state_dir.display()
    ))
}

fn verify(
    settings: &StateSettings,
    args: &VerifyArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let progress = ProgressReport::new(output, ProgressUnit::Bytes);
    let (what, report) = match &args.file {
        Some(file) => (file.as_path(), state::verify_backup(file, &progress)),
        None => {
            let place = InventoryPlace::new(&settings.state_dir, settings.key_file.as_deref());
            note_elsewhere(settings, output);
            let folder = settings.state_dir.as_path();
            (
                folder,
                state::verify_folder(folder, place.key_path(), &progress),
            )
        }
    };
    drop(progress);
    let report = report.map_err(Error::failed)?;
    print(what, &report, output)?;
    match report.faults.len() as u64 {
        0 => Ok(()),
        faults => Err(Error::failed(format!(
            "`{}` has {}",
            what.display(),
            counted(faults, "fault")
        ))),
    }
}

/// Says what the state folder does not have.
fn note_elsewhere(settings: &StateSettings, output: &Output<'_>) {
    if settings.has_state_in_database {
        output.note(
            "the batches of this host are on Kafka, and its storages, active alerts, tokens and pauses are in the database of the \
             cluster: they are not in the state folder, and have backups of their own",
        );
    }
}

fn print(what: &Path, report: &StateReport, output: &mut Output<'_>) -> Result<(), Error> {
    if output.is_json() {
        return output.json(report);
    }
    for fault in &report.faults {
        output.line(&fault_text(fault))?;
    }
    let counts = [
        counted(report.records, "record"),
        counted(report.items, "item"),
        counted(report.dead_letters, "dead letter"),
        counted(report.cursors, "cursor"),
        counted(report.secrets, "secret"),
    ];
    output.line(&format!(
        "{}: checked {}",
        what.display(),
        counts.join(", ")
    ))?;
    if report.secrets > 0 && !report.secrets_opened {
        output.note("the secrets were not opened: the key is not there");
    }
    Ok(())
}

fn fault_text(fault: &Fault) -> String {
    format!("{}: {} ({})", fault.file, fault.fault, fault.remedy)
}
