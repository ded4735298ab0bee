//! From `main` to the exit code.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, ArgAction, Command};
use futures_util::FutureExt;
use instruments::{IntCounter, Registry};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::config::{Layers, Loaded, Settings, load};
use crate::life::Life;
use crate::metrics::ProcessMetrics;
use crate::readiness::Readiness;
use crate::runtime::Vitals;
use crate::service::Service;
use crate::spans::Tracer;
use crate::telemetry::Telemetry;

/// From the soft stop to the hard one. With `CUT_LIMIT`, the traces' flush (2 s) and the runtime's end (1 s) the
/// exit is inside 25 s, well before Kubernetes' SIGKILL at 30 s.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// From the hard stop to the exit: time for destructors, not for work.
const CUT_LIMIT: Duration = Duration::from_millis(500);

const RUNTIME_LIMIT: Duration = Duration::from_secs(1);

/// The exit code for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 2;

/// The `main` of a service. `run` returns when the service is done: that of a server after `life.stopping()`, that of a
/// job after its work. Then, or at the first SIGTERM or SIGINT, the service is drained: what it spawned is waited for
/// until the hard stop.
///
/// Exit code 0: `run` returned `Ok`, no background task failed, and no task was aborted. 2: the configuration
/// has faults. 1: anything else.
pub fn main<C, F, Fut>(name: &'static str, version: &'static str, run: F) -> ExitCode
where
    C: Settings,
    F: FnOnce(C, Service) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    // First: two providers in one process panic at the first handshake. An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = command(name, version).get_matches();
    let file = arguments.get_one::<PathBuf>("config").cloned();
    match load::<C>(&Layers::of_process(file)) {
        Err(faults) => {
            print_faults(name, &faults.to_string());
            ExitCode::from(EXIT_CONFIG)
        }
        Ok(_) if arguments.get_flag("check-config") => {
            print_valid();
            ExitCode::SUCCESS
        }
        Ok(loaded) => start(name, version, loaded, run),
    }
}

fn command(name: &'static str, version: &'static str) -> Command {
    Command::new(name)
        .version(version)
        .after_help("Every key can also be set in the environment, over the file: ROWCAST_<SECTION>__<KEY>.")
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Read configuration from this TOML file"),
        )
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, list every fault, and exit"),
        )
}

#[expect(clippy::print_stderr, reason = "there is no log before the configuration is known")]
fn print_faults(name: &str, faults: &str) {
    eprint!("{name}: invalid configuration\n{faults}");
}

#[expect(clippy::print_stdout, reason = "the answer to --check-config")]
fn print_valid() {
    println!("configuration is valid");
}

fn start<C, F, Fut>(name: &'static str, version: &'static str, loaded: Loaded<C>, run: F) -> ExitCode
where
    C: Settings,
    F: FnOnce(C, Service) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            print_faults(name, &format!("cannot start the runtime: {fault}\n"));
            return ExitCode::FAILURE;
        }
    };
    let telemetry = {
        // exporters run on the runtime's threads
        let _inside = runtime.enter();
        Telemetry::start(name, version, &loaded.log)
    };
    let Telemetry { registry, traces, floods, level } = match telemetry {
        Ok(telemetry) => telemetry,
        Err(fault) => {
            print_faults(name, &format!("cannot start the telemetry: {fault}\n"));
            return ExitCode::FAILURE;
        }
    };
    // until the exit, beside the service's tasks: the drain would wait for them
    runtime.spawn(floods.clone().keep_reporting());
    runtime.spawn(level.follow());
    let tracer = Tracer::new(traces.tracer(name));
    let ended = runtime.block_on(run_service(name, version, loaded, (registry, tracer), run));
    if let Err(fault) = &ended {
        error!(service = name, error = format!("{fault:#}"), "failed");
    } else {
        info!(service = name, "ended");
    }
    Telemetry::end(traces, &floods);
    runtime.shutdown_timeout(RUNTIME_LIMIT);
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run_service<C, F, Fut>(
    name: &'static str,
    version: &'static str,
    loaded: Loaded<C>,
    (registry, tracer): (Registry, Tracer),
    run: F,
) -> anyhow::Result<()>
where
    C: Settings,
    F: FnOnce(C, Service) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let Loaded { admin: config, service: settings, .. } = loaded;
    let signals = Signals::new()?;
    let life = Life::new();
    let process = ProcessMetrics::register(&registry)?;
    // the image sets it
    let commit = std::env::var("ROWCAST_COMMIT").ok();
    process.name_build(name, version, commit.as_deref());
    let readiness = Readiness::new(&life, &registry)?;
    watch_panics(process.panics);
    let vitals = Vitals::register(&registry)?;
    // Not among the service's tasks: it answers until the exit, and the drain would wait for it.
    let mut side = JoinSet::new();
    if C::HAS_ADMIN_PORT {
        let admin = Admin {
            name,
            version,
            commit: commit.map(Into::into),
            registry: registry.clone(),
            readiness: readiness.clone(),
            vitals: vitals.clone(),
        };
        admin.serve(&config).await?;
    }
    side.spawn(vitals.measure_lag());
    side.spawn(signals.stop_on_signal(life.clone()));
    info!(service = name, version, "started");
    let service = Service { name, version, admin: config, life: life.clone(), registry, readiness, tracer };
    run_to_end(&life, run(settings, service)).await
}

/// Logs and counts the panics of the process. One in a connection's task ends that connection alone.
fn watch_panics(panics: IntCounter) {
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        error!(%panic, "panicked");
    }));
}

/// Runs the service to its end, through both stages of the stop.
pub(crate) async fn run_to_end<Fut>(life: &Life, run: Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    let deadline = async {
        life.stopping().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
        warn!(tasks = life.tasks(), "drain deadline exceeded");
        life.stop_hard();
        std::future::pending::<Infallible>().await
    };
    let work = async {
        let ended = life.hard().run_until_cancelled(AssertUnwindSafe(run).catch_unwind()).await;
        life.stop_soft();
        if life.hard().run_until_cancelled(life.drained()).await.is_none()
            && tokio::time::timeout(CUT_LIMIT, life.drained()).await.is_err()
        {
            warn!(tasks = life.tasks(), "tasks did not stop in time");
        }
        ended
    };
    let ended = tokio::select! {
        ended = work => ended,
        never = deadline => match never {},
    };
    let cut = ended.is_none() || life.has_cut() || life.tasks() > 0;
    match ended {
        Some(Ok(result)) => result?,
        Some(Err(_)) => anyhow::bail!("the service panicked"),
        None => {}
    }
    if let Some(failure) = life.failure() {
        anyhow::bail!("{failure}");
    }
    anyhow::ensure!(!cut, "stopped before all work was done");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("installing the signal handlers");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The first signal begins the soft stop, the second the hard stop, also if the soft stop had begun by itself.
    async fn stop_on_signal(mut self, life: Life) {
        self.next().await;
        info!("stopping; a second signal stops at once");
        life.stop_soft();
        self.next().await;
        warn!(tasks = life.tasks(), "second signal: stopping at once");
        life.stop_hard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_succeeds_ends_the_service_successfully() {
        let life = Life::new();
        run_to_end(&life, async { Ok(()) }).await.unwrap();
        assert!(life.is_stopping());
    }

    #[tokio::test]
    async fn what_run_spawned_is_finished_after_run_returned() {
        let life = Life::new();
        let (done, mut seen) = tokio::sync::oneshot::channel();
        let task = life.clone();
        let run = async {
            life.spawn_work(async move {
                task.stopping().await;
                tokio::task::yield_now().await;
                let _ = done.send(());
            });
            Ok(())
        };
        run_to_end(&life, run).await.unwrap();
        seen.try_recv().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_past_its_limit_is_aborted_and_counts_as_failure() {
        let life = Life::new();
        life.spawn_work(std::future::pending());
        let began = tokio::time::Instant::now();
        life.stop_soft();
        let run_to_end = run_to_end(&life, async { Ok(()) });
        let ended =
            tokio::time::timeout(2 * DRAIN_LIMIT, run_to_end).await.expect("the hard stop did not happen");
        assert_eq!(began.elapsed().as_secs(), DRAIN_LIMIT.as_secs());
        assert_eq!(ended.unwrap_err().to_string(), "stopped before all work was done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_ignores_the_stop_is_aborted() {
        let life = Life::new();
        life.stop_soft();
        let run_to_end = run_to_end(&life, std::future::pending());
        tokio::time::timeout(2 * DRAIN_LIMIT, run_to_end)
            .await
            .expect("the hard stop did not happen")
            .unwrap_err();
        assert!(life.hard().is_cancelled());
    }

    #[tokio::test]
    async fn a_run_that_panics_is_a_failure() {
        let ended = run_to_end(&Life::new(), async { panic!("boom") }).await;
        assert_eq!(ended.unwrap_err().to_string(), "the service panicked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_background_task_is_the_services_failure() {
        let life = Life::new();
        life.spawn("feed", async {});
        let run = life.clone();
        let run = async move {
            run.stopping().await;
            Ok(())
        };
        let ended = tokio::time::timeout(DRAIN_LIMIT, run_to_end(&life, run))
            .await
            .expect("the service did not stop");
        assert_eq!(ended.unwrap_err().to_string(), "background task feed ended unexpectedly");
    }
}
