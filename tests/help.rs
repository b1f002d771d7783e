//! The help of every command is checked in; `cargo insta review` takes a change over.

use clap::CommandFactory;
use taskbatch::cli::Cli;

#[test]
fn the_help_of_every_command_is_the_checked_in_one() {
    let mut cli = Cli::command().term_width(100);
    cli.build();
    let mut pages = vec![cli.render_long_help().to_string()];
    for command in cli.get_subcommands_mut() {
        let page = command
            .clone()
            .term_width(100)
            .render_long_help()
            .to_string();
        pages.push(format!("# {}\n\n{page}", command.get_name()));
    }
    let text = pages
        .join("\n")
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!("help", text);
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}
