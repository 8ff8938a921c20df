//! `tokens`: adds, lists and revokes tokens of the API.
//!
//! Works on the file in the state folder, or on the database of a cluster, whether the host runs or not.

use serde_json::json;

use super::{
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};
use crate::{
    access::{AccessScope, TokenEntry, TokenPlace},
    clock::rfc3339,
    config,
};

#[derive(Debug, clap::Subcommand)]
pub enum TokensCommand {
    /// Create a token and print it; nothing can show it again
    Add(AddTokenArgs),

    /// List the tokens by name
    List,

    /// Remove a token: the host refuses it from now on
    Revoke(RevokeTokenArgs),
}

#[derive(Debug, clap::Args)]
pub struct AddTokenArgs {
    /// Name of the token, which the audit log shows
    pub name: String,

    /// What the token allows; can be repeated
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        required = true,
        value_delimiter = ','
    )]
    pub scopes: Vec<AccessScope>,
}

#[derive(Debug, clap::Args)]
pub struct RevokeTokenArgs {
    /// Name of the token
    pub name: String,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &TokensCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let settings = config::load_token_settings(options.config.as_deref());
    let settings = settings.map_err(Error::configuration)?;
    let place = settings.tokens().map_err(Error::failed)?;
    let change = match command {
        TokensCommand::List => return list(&place, output),
        TokensCommand::Add(args) => {
            add(&place, args, output)?;
            format!("tokens add {}", args.name)
        }
        TokensCommand::Revoke(args) => {
            revoke(&place, args, output)?;
            format!("tokens revoke {}", args.name)
        }
    };
    output.audit(settings.audit_file.as_deref(), change);
    Ok(())
}

fn add(place: &TokenPlace, args: &AddTokenArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let name = &args.name;
    if let Some(error) = config::name_error(name) {
        return Err(Error::usage(format!("`{name}` {error}")));
    }
    let token = place.add(name, &args.scopes).map_err(Error::failed)?;
    if output.is_json() {
        let scopes = &args.scopes;
        return output.json(&json!({ "name": name, "scopes": scopes, "token": *token }));
    }
    output.line(&token)
}

fn list(place: &TokenPlace, output: &mut Output<'_>) -> Result<(), Error> {
    let tokens = place.read().map_err(Error::failed)?;
    let is_open = tokens.is_none();
    let tokens = tokens.unwrap_or_default();
    if output.is_json() {
        let tokens = tokens.iter().map(|token| {
            json!({ "name": token.name, "scopes": token.scopes, "created_ms": token.created_ms })
        });
        let tokens: Vec<_> = tokens.collect();
        return output.json(&json!({ "tokens": tokens }));
    }
    let summary = match tokens.len() {
        0 if is_open => "no tokens: clients of this machine need none".to_owned(),
        0 => "no tokens: every call over the network is refused".to_owned(),
        many => counted(many as u64, "token"),
    };
    output.list(&table(&tokens), &summary)
}

fn revoke(
    place: &TokenPlace,
    args: &RevokeTokenArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let name = &args.name;
    place.revoke(name).map_err(Error::failed)?;
    if output.is_json() {
        return output.json(&json!({ "name": name }));
    }
    output.line(&format!("{name}: is revoked"))
}

fn table(tokens: &[TokenEntry]) -> TextTable {
    let mut table = TextTable::new(&["token", "scopes", "created"]);
    for token in tokens {
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        table.row([
            Cell::text(&token.name),
            Cell::text(scopes.join(", ")),
            Cell::text(rfc3339(token.created_ms)),
        ]);
    }
    table
}
