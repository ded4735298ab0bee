//! The only automation: what it takes to run, test, measure and check Rowcast.

mod bench;
mod chaos;
mod child;
mod cluster;
mod codegen;
mod command;
mod dev;
mod fuzz;
mod help;
mod image;
mod page;
mod ports;
mod probe;
mod setup;
mod stack;
mod terminal;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    child::{ChildProcess, Reported},
    setup::Needs,
    workspace::Workspace,
};

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "Runs, tests, measures and checks Rowcast")]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    child: ChildProcess,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run everything on this machine, with made-up sensors, until Ctrl-C
    Dev(dev::Options),
    /// Run every test, the page's included
    Test(test::Options),
    /// Measure a release build: the arguments after `--` are those of `rowcast bench`
    Bench(bench::Options),
    /// Run random faults against real processes, with an exact ledger
    Chaos(chaos::Options),
    /// Try what peers may send, at random
    Fuzz(fuzz::Options),
    /// Install the chart on a real cluster, and see that nothing is lost there whatever goes wrong
    ClusterTest(cluster::Options),
    /// Make the container image, without Docker
    Image(image::Options),
    /// Check what neither the compiler nor clippy checks
    Tidy(tidy::Options),
    /// Write the generated files
    Codegen,
    /// Install what `dev` and `test` need, or say what to install
    Setup,
}

fn main() -> ExitCode {
    let arguments = help::grouped(Cli::command()).get_matches();
    let Cli { child, verb } = Cli::from_arg_matches(&arguments).unwrap_or_else(|error| error.exit());
    let workspace = Workspace::here();
    let ended = match verb {
        Verb::Dev(options) => dev::run(&workspace, options, child),
        Verb::Bench(options) => bench::run(&workspace, options, child),
        Verb::Test(options) => test::run(&workspace, &options),
        Verb::Chaos(options) => chaos::run(&workspace, &options),
        Verb::Fuzz(options) => fuzz::run(&workspace, &options),
        Verb::ClusterTest(options) => cluster::run(&workspace, &options),
        Verb::Image(options) => image::run(&workspace, &options),
        Verb::Tidy(options) => tidy::run(&workspace, &options),
        Verb::Codegen => codegen::write(&workspace),
        Verb::Setup => setup::set_up(&workspace, Needs::EVERYTHING).map(drop),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Reported>() => ExitCode::FAILURE,
        Err(error) => {
            terminal::print_error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
