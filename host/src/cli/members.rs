//! `members`: lists the hosts of the cluster.

use serde::Deserialize;

use super::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};
use crate::clock::rfc3339;

const PATH: &str = "/v1/members";

#[derive(Debug, clap::Args)]
pub struct MembersArgs {
    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct MemberList {
    cluster: Option<String>,
    fault: Option<String>,
    members: Vec<ListedMember>,
}

#[derive(Deserialize)]
struct ListedMember {
    name: String,
    role: String,
    address: String,
    since_ms: i64,
    last_seen_ms: i64,
    epoch: Option<u64>,
    priority: Option<u64>,
    reason: Option<String>,
    has_failed: bool,
    obstacle: Option<String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &MembersArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let response = client.get(PATH)?;
    if output.is_json() {
        return output.line(&response);
    }
    let MemberList {
        cluster,
        fault,
        members,
    } = client.parse(PATH, &response)?;
    if let Some(fault) = fault {
        output.warn(&format!(
            "the database of the cluster does not answer: {fault}"
        ));
    }
    let summary = match cluster {
        Some(cluster) => format!(
            "{} of cluster `{cluster}`",
            counted(members.len() as u64, "member")
        ),
        None => "this host belongs to no cluster".to_owned(),
    };
    output.list(&table(&members), &summary)?;
    for member in &members {
        if let Some(reason) = &member.reason {
            output.line(&format!("`{}` was handed the lease: {reason}", member.name))?;
        }
        if member.has_failed {
            output.line(&format!(
                "`{}` was handed the lease in the last ten minutes, and has not become active since (see its log)",
                member.name
            ))?;
        }
        if let Some(obstacle) = &member.obstacle {
            output.line(&format!(
                "`{}` could not take over: {obstacle}",
                member.name
            ))?;
        }
    }
    Ok(())
}

fn table(members: &[ListedMember]) -> TextTable {
    let mut table = TextTable::new(&[
        "MEMBER",
        "ROLE",
        "PRIORITY",
        "SINCE",
        "EPOCH",
        "LAST SEEN",
        "ADDRESS",
    ]);
    for member in members {
        table.row([
            Cell::text(&*member.name),
            Cell::text(&*member.role),
            member.priority.map_or_else(Cell::none, Cell::number),
            Cell::text(rfc3339(member.since_ms)),
            member.epoch.map_or_else(Cell::none, Cell::number),
            Cell::text(rfc3339(member.last_seen_ms)),
            Cell::text(&*member.address),
        ]);
    }
    table
}
