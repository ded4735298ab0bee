//! The generated files.
pub(crate) fn write(_: &crate::workspace::Workspace) -> anyhow::Result<()> {
    Ok(())
}
