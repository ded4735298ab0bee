//! Programs of the frontend as child processes that take one command per line.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// A program in `frontend/e2e` that takes one command per line.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts it.
    pub fn start(script: &str, env: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../frontend/e2e");
        let node = std::env::var("ROWCAST_NODE").unwrap_or_else(|_| "node".to_owned());
        let mut child = Command::new(node)
            .arg(folder.join(script))
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let stdin = child.stdin.take().expect("its input is piped");
        let stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, stdin, stdout }
    }

    /// Sends a command and waits for its answer, which must report success.
    #[track_caller]
    pub fn call(&mut self, command: Value) -> Value {
        writeln!(self.stdin, "{command}").expect("the program takes commands");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the program answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        assert_eq!(answer["ok"], true, "{command}: {line}");
        answer
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page in a browser, through `frontend/e2e/page.mjs`.
#[derive(Debug)]
pub struct Browser(Driver);

impl Browser {
    /// Starts a browser for the page at this address; it is opened by the command `open`.
    pub fn start(page: &str) -> Self {
        Self(Driver::start("page.mjs", &[("ROWCAST_PAGE_URL", page)]))
    }

    /// A command of `page.mjs` and its answer.
    #[track_caller]
    pub fn call(&mut self, command: Value) -> Value {
        self.0.call(command)
    }

    /// Waits until the page shows this connection status.
    #[track_caller]
    pub fn wait_status(&mut self, text: &str) {
        self.call(json!({"cmd": "wait_text", "testid": "status", "text": text, "timeout_ms": 40_000}));
    }

    /// Waits until exactly these readings have arrived.
    #[track_caller]
    pub fn wait_ids(&mut self, ids: &[i64]) {
        self.call(json!({"cmd": "wait_ids", "ids": ids, "timeout_ms": 40_000}));
    }
}
