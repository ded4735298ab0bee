//! Rowcast from a terminal: send readings, follow them, simulate devices, measure, and manage device keys.

mod admin;
mod args;
mod bench;
mod canary;
mod database;
mod doctor;
mod instant;
mod keys;
mod live;
mod output;
mod send;
mod simulate;
mod status;
mod tail;
mod tls;
mod token;
mod tokens;
mod units;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Bench, Cli, Keys, Tokens, Verb};

/// Runs the command that the arguments name. Exit code 0: done; 1: failed; 2: not understood.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(cli.verb)) {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn run(verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Send(options) => send::run(options).await.map(|()| ExitCode::SUCCESS),
        Verb::Tail(options) => tail::run(options).await.map(|()| ExitCode::SUCCESS),
        Verb::Simulate(options) => simulate::run(options).await.map(|()| ExitCode::SUCCESS),
        Verb::Doctor(options) => doctor::run(options).await,
        Verb::Status(options) => status::run(options).await,
        Verb::Canary(options) => canary::run(options).await.map(|()| ExitCode::SUCCESS),
        Verb::Keys(Keys { verb, common }) => keys::run(verb, common).await.map(|()| ExitCode::SUCCESS),
        Verb::Token(options) => token::run(options).map(|()| ExitCode::SUCCESS),
        Verb::Tokens(Tokens { verb, common }) => tokens::run(verb, common).await.map(|()| ExitCode::SUCCESS),
        Verb::Bench(Bench { kind: None, run }) => bench::run(run).await,
        Verb::Bench(Bench { kind: Some(kind), .. }) => bench::run_kind(kind).await,
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    output::note(&format!("rowcast: {error:#}"));
    ExitCode::FAILURE
}
