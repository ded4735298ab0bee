//! The automation of the project: runs, tests, measures and checks Rowcast.

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
    /// Run everything on this machine with simulated sensors, until Ctrl-C
    Dev(dev::Options),
    /// Run all tests, including the page's
    Test(test::Options),
    /// Measure a release build; arguments after `--` go to `rowcast bench`
    Bench(bench::Options),
    /// Inject random faults into real processes and check that nothing is lost
    Chaos(chaos::Options),
    /// Run the fuzz targets
    Fuzz(fuzz::Options),
    /// Test the chart on a real cluster, with faults
    ClusterTest(cluster::Options),
    /// Build the container image, without Docker
    Image(image::Options),
    /// Check the layout of the sources, and that generated files are current
    Tidy(tidy::Options),
    /// Write the generated files
    Codegen,
    /// Install what `dev` and `test` need, or print what to install
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
