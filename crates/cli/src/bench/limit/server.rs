//! A bare server in a thread of its own.

/// Runs a server on a thread of its own, as the real one has its own process.
pub(super) fn serve<F: Future<Output = anyhow::Result<()>> + 'static>(
    server: impl FnOnce() -> F + Send + 'static,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<()>>> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, server())
    };
    Ok(std::thread::Builder::new().name("bare-server".to_owned()).spawn(run)?)
}
