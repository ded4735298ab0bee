//! A transaction that stays open.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::stack::{DATABASE, Stack};

/// A psql with a transaction open.
#[derive(Debug)]
pub struct Session {
    child: std::process::Child,
}

impl Session {
    /// Begins the transaction.
    pub fn begin(stack: &Stack) -> Result<Self> {
        let child = Command::new("psql")
            .args([&stack.postgres.url(DATABASE), "--no-psqlrc", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting psql")?;
        let mut session = Self { child };
        session.run("begin;")?;
        Ok(session)
    }

    /// Sends a statement, without waiting for its end.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("psql has no input")?;
        writeln!(stdin, "{sql}")?;
        Ok(stdin.flush()?)
    }

    /// Commits and waits for psql's end; a server that crashed meanwhile has rolled back.
    pub fn commit(mut self) -> Result<()> {
        self.run("commit;\n\\q")?;
        self.child.wait()?;
        Ok(())
    }
}
