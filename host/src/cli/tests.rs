use clap::{CommandFactory, error::ErrorKind};

use super::*;

fn usage_error(typed: &[&str]) -> clap::Error {
    let typed = std::iter::once("delfin-host").chain(typed.iter().copied());
    Cli::try_parse_from(typed).unwrap_err()
}

/// The help of a command and of its subcommands.
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
    assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(usage_error(&["exporters", "--nonsense"]).exit_code(), 2);
    assert_eq!(usage_error(&["--help"]).exit_code(), 0);
}

#[test]
fn global_options_are_accepted_after_the_command() {
    let cli = Cli::try_parse_from(["delfin-host", "check", "--json", "-c", "a.conf"]).unwrap();
    assert!(cli.options.json);
    assert_eq!(cli.options.config, Some("a.conf".into()));
}

#[test]
fn an_invalid_value_is_a_usage_error() {
    let typed: [&[&str]; 4] = [
        &["new", "exporter", "../acme"],
        &["exporters", "--host", "ftp://a"],
        &["push", "alerts", "-", "--idempotency-key", "a\nb"],
        &["exporters", "--color", "sometimes"],
    ];
    for typed in typed {
        let kind = usage_error(typed).kind();
        assert!(
            matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue),
            "{typed:?} {kind}"
        );
    }
}
