use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn refused(typed: &[&str]) -> clap::Error {
    let typed = std::iter::once("delfin-host").chain(typed.iter().copied());
    Cli::try_parse_from(typed).unwrap_err()
}

/// The help of a command and of all below it.
fn helps(command: &mut clap::Command, texts: &mut String) {
    *texts += &format!("{}\n", command.render_help());
    for command in command.get_subcommands_mut() {
        *texts += "--------\n";
        helps(command, texts);
    }
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_a_help_and_the_first_lists_the_exit_codes() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut texts = String::new();
    helps(&mut command, &mut texts);
    insta::assert_snapshot!(texts);
}

#[test]
fn exit_codes_are_what_scripts_rely_on() {
    assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4]);
    assert_eq!(refused(&["exporters", "--nonsense"]).exit_code(), 2);
    assert_eq!(refused(&["--help"]).exit_code(), 0);
}

#[test]
fn options_for_every_command_may_stand_behind_it() {
    let cli = Cli::try_parse_from(["delfin-host", "check", "--json", "-c", "a.conf"]).unwrap();
    assert!(cli.global.json);
    assert_eq!(cli.global.config, Some("a.conf".into()));
}

#[test]
fn a_name_or_address_that_makes_no_sense_is_refused_where_it_is_typed() {
    let typed: [&[&str]; 4] = [
        &["new", "exporter", "../acme"],
        &["exporters", "--host", "https://a"],
        &["push", "alerts", "-", "--idempotency-key", "a\nb"],
        &["exporters", "--color", "sometimes"],
    ];
    for typed in typed {
        let kind = refused(typed).kind();
        assert!(
            matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue),
            "{typed:?} {kind}"
        );
    }
}
