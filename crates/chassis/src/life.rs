//! The life cycle of a service: its tasks and the two stages of its shutdown.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error};

/// A handle on the life cycle, cheap to clone. Soft stop: accept no new work, finish what was begun. Hard stop: every
/// task is dropped at its next await.
#[derive(Clone, Default)]
pub struct Life(Arc<Inner>);

#[derive(Default)]
struct Inner {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    failure: OnceLock<String>,
    /// Whether the hard stop found a task that had not ended.
    cut: AtomicBool,
}

impl Life {
    /// A life cycle without tasks, running.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled from the soft stop on.
    pub fn soft(&self) -> &CancellationToken {
        &self.0.soft
    }

    /// Cancelled from the hard stop on.
    pub fn hard(&self) -> &CancellationToken {
        &self.0.hard
    }

    /// Whether the soft stop has begun; it stays true from then on.
    pub fn is_stopping(&self) -> bool {
        self.0.soft.is_cancelled()
    }

    /// Ends when the soft stop begins.
    pub async fn stopping(&self) {
        self.0.soft.cancelled().await;
    }

    /// Ends at the hard stop.
    pub async fn cut(&self) {
        self.0.hard.cancelled().await;
    }

    /// Begins the soft stop; more calls change nothing.
    pub fn stop_soft(&self) {
        self.0.soft.cancel();
    }

    /// Begins the hard stop, and the soft one if it had not begun.
    pub fn stop_hard(&self) {
        self.0.soft.cancel();
        self.0.hard.cancel();
    }

    /// Starts a background task that the service cannot run without: if it panics, or ends before the soft stop,
    /// the service stops softly and exits as failed. It is waited for in the drain and dropped at the hard stop.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_fallible(name, task.map(Ok));
    }

    /// As [`Life::spawn`], for a task that may fail: `Err` fails the service, also during the drain.
    pub fn spawn_fallible<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.spawn_work(self.clone().watch(name, task));
    }

    /// As [`Life::spawn`], on a thread and an event loop of its own: the task does not wait behind the service's
    /// connections. Tasks that it spawns run there too, and end with it at the latest.
    ///
    /// # Errors
    /// When the system cannot create a thread.
    pub fn spawn_on_own_thread<F>(&self, name: &'static str, task: F) -> std::io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counted = self.0.tasks.token();
        let work = self.clone().cuttable(self.clone().watch(name, task.map(Ok)));
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(work);
            drop(counted);
        })?;
        Ok(())
    }

    async fn watch<F>(self, name: &'static str, task: F)
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        match AssertUnwindSafe(task).catch_unwind().await {
            Ok(Ok(())) if self.is_stopping() => {}
            Ok(Ok(())) => self.fail(name, "ended unexpectedly"),
            Ok(Err(cause)) => self.fail(name, &format!("failed: {cause:#}")),
            Err(_) => self.fail(name, "panicked"),
        }
    }

    /// Starts a task that may end at any time (a connection, a session). It is waited for in the drain and
    /// dropped at the hard stop; a panic ends it alone.
    pub fn spawn_work<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.tasks.spawn(self.clone().cuttable(task).in_current_span());
    }

    async fn cuttable<F: Future<Output = ()>>(self, task: F) {
        // a child token for each task: it is polled with the task, and a shared one would be contended by all threads
        if self.hard().child_token().run_until_cancelled(task).await.is_none() {
            self.0.cut.store(true, Ordering::Relaxed);
        }
    }

    /// Tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.0.tasks.len()
    }

    /// Why the service failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.0.failure.get().map(String::as_str)
    }

    /// Whether the hard stop dropped unfinished work.
    pub(crate) fn has_cut(&self) -> bool {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// Ends when no task is left.
    pub(crate) async fn drained(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn fail(&self, task: &'static str, how: &str) {
        error!(task, how, "background task lost; the service stops");
        // The first failure is the cause; later ones follow from it.
        let _ = self.0.failure.set(format!("background task {task} {how}"));
        self.stop_soft();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Waits for an expected event; time is paused, so that a missing one fails the test at once.
    async fn soon<T>(event: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(1), event).await.expect("the event does not occur")
    }

    #[tokio::test(start_paused = true)]
    async fn a_background_task_that_ends_unexpectedly_fails_the_service() {
        let life = Life::new();
        life.spawn("feed", async {});
        soon(life.stopping()).await;
        assert_eq!(life.failure(), Some("background task feed ended unexpectedly"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_background_task_that_panics_fails_the_service() {
        let life = Life::new();
        life.spawn("feed", async { panic!("boom") });
        soon(life.stopping()).await;
        assert_eq!(life.failure(), Some("background task feed panicked"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_background_task_with_an_error_fails_the_service_with_that_error() {
        let life = Life::new();
        life.spawn_fallible("feed", async { Err(anyhow::anyhow!("no route").context("reading")) });
        soon(life.stopping()).await;
        assert_eq!(life.failure(), Some("background task feed failed: reading: no route"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_background_task_that_ends_after_the_soft_stop_is_no_failure() {
        let life = Life::new();
        let (task, seen) = (life.clone(), life.clone());
        life.spawn("feed", async move { task.stopping().await });
        life.stop_soft();
        soon(life.drained()).await;
        assert_eq!(seen.failure(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn work_may_end_and_panic_without_ending_the_service() {
        let life = Life::new();
        life.spawn_work(async {});
        life.spawn_work(async { panic!("one session only") });
        soon(life.drained()).await;
        assert!(!life.is_stopping());
        assert_eq!(life.failure(), None);
    }

    #[tokio::test]
    async fn a_task_on_its_own_thread_is_waited_for() {
        let life = Life::new();
        let task = life.clone();
        let (done, mut seen) = tokio::sync::oneshot::channel();
        life.spawn_on_own_thread("apart", async move {
            task.stopping().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            let _ = done.send(std::thread::current().name().map(str::to_owned));
        })
        .unwrap();
        life.stop_soft();
        soon(life.drained()).await;
        assert_eq!(seen.try_recv().unwrap().as_deref(), Some("apart"));
        assert_eq!(life.failure(), None);
    }

    #[tokio::test]
    async fn a_task_on_its_own_thread_that_ends_unexpectedly_fails_the_service() {
        let life = Life::new();
        life.spawn_on_own_thread("apart", async {}).unwrap();
        soon(life.stopping()).await;
        assert_eq!(life.failure(), Some("background task apart ended unexpectedly"));
    }

    #[tokio::test]
    async fn a_hard_stop_drops_a_task_on_its_own_thread() {
        let life = Life::new();
        life.spawn_on_own_thread("apart", std::future::pending()).unwrap();
        life.stop_hard();
        soon(life.drained()).await;
        assert!(life.has_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hard_stop_drops_tasks_that_still_wait() {
        let life = Life::new();
        life.spawn_work(std::future::pending());
        life.stop_hard();
        soon(life.drained()).await;
        assert!(life.is_stopping());
        assert_eq!(life.tasks(), 0);
    }
}
