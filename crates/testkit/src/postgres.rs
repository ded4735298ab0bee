//! A private Postgres from the system's packages.

use std::{
    fs,
    net::TcpListener,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::Signal,
    unistd::{Gid, Uid, User, chown, geteuid},
};
use tempfile::TempDir;

use crate::{
    process::{Program, find_program},
    server::Server,
};

/// Where Debian keeps the server's programs, newest first.
const PLACES: &[&str] = &[
    "/usr/lib/postgresql/18/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
];

/// The user that the server runs as if we are root: Postgres refuses to run as root.
const USER: &str = "postgres";

/// Which crashes it must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production: every commit waits for the disk.
    Disk,
    /// Survives a crash of its processes, not of the machine.
    Process,
}

/// A server of its own, with the superuser `postgres` and no password, on a loopback port.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    _scratch: Option<TempDir>,
}

impl Postgres {
    /// Whether the programs are installed.
    pub fn is_installed() -> bool {
        find_program("initdb", PLACES).is_some() && find_program("psql", PLACES).is_some()
    }

    /// Starts one with an empty data folder, which is removed with it.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further settings, `name=value`.
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        let scratch = TempDir::with_prefix("rowcast-postgres-")?;
        give_to_user(scratch.path())?;
        let data = scratch.path().join("data");
        let mut postgres = Self::start_at(&data, free_port()?, Durability::Process, settings)?;
        postgres._scratch = Some(scratch);
        Ok(postgres)
    }

    /// Starts one with an identity of its own: all others are copies of one data folder.
    pub fn start_as_another() -> Result<Self> {
        let scratch = TempDir::with_prefix("rowcast-postgres-")?;
        give_to_user(scratch.path())?;
        let data = scratch.path().join("data");
        initdb(&data)?;
        let mut postgres = Self::start_at(&data, free_port()?, Durability::Process, &[])?;
        postgres._scratch = Some(scratch);
        Ok(postgres)
    }

    /// Dumps the roles and a database, and restores them into another server, whose database of that name must be empty.
    pub fn dump_into(&self, database: &str, other: &Self) -> Result<()> {
        let file = tempfile::NamedTempFile::with_prefix("rowcast-dump-")?;
        let program = |name: &str| find_program(name, PLACES).with_context(|| format!("no {name}"));
        run(Command::new(program("pg_dumpall")?)
            .args(["--roles-only", "--dbname", &self.url(database), "--file"])
            .arg(file.path()))?;
        // the superuser exists already
        run(Command::new(program("psql")?)
            .args(["--quiet", "--dbname", &other.url(database), "--file"])
            .arg(file.path()))?;
        run(Command::new(program("pg_dump")?)
            .args(["--format=custom", "--dbname", &self.url(database), "--file"])
            .arg(file.path()))?;
        run(Command::new(program("pg_restore")?)
            .args(["--exit-on-error", "--dbname", &other.url(database)])
            .arg(file.path()))
    }

    /// Starts one on a data folder, which is created if it does not exist.
    pub fn start_in(data: &Path, port: u16, durability: Durability) -> Result<Self> {
        Self::start_at(data, port, durability, &[])
    }

    /// Starts a standby of this one, from a base backup, which follows it until it is promoted.
    pub fn start_standby(&self) -> Result<Self> {
        // it follows the server it was copied from
        self.start_backup(&["--write-recovery-conf"])
    }

    /// Starts another primary from a base backup: from now on the two differ.
    pub fn start_copy(&self) -> Result<Self> {
        self.start_backup(&[])
    }

    fn start_backup(&self, arguments: &[&str]) -> Result<Self> {
        let scratch = TempDir::with_prefix("rowcast-postgres-")?;
        give_to_user(scratch.path())?;
        let data = scratch.path().join("data");
        let backup = find_program("pg_basebackup", PLACES).context("Postgres is not installed")?;
        run(as_user(backup)
            .args(arguments)
            .args(["--checkpoint=fast", "--no-sync", "--dbname"])
            .arg(self.url(""))
            .arg("--pgdata")
            .arg(&data))?;
        let mut started = Self::start_at(&data, free_port()?, Durability::Process, &[])?;
        started._scratch = Some(scratch);
        Ok(started)
    }

    /// Makes a standby a primary.
    pub fn promote(&self) -> Result<()> {
        match self.psql("postgres", "select pg_promote()")?.as_str() {
            "t" => Ok(()),
            _ => bail!("the standby is not promoted:\n{}", self.process().tail()),
        }
    }

    fn start_at(data: &Path, port: u16, durability: Durability, further: &[&str]) -> Result<Self> {
        if !data.join("PG_VERSION").exists() {
            init(data)?;
        }
        let program = find_program("postgres", PLACES).context("Postgres is not installed")?;
        let log = data.with_extension("log");
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=300".to_owned(),
            "log_min_messages=fatal".to_owned(),
        ];
        if durability == Durability::Process {
            settings.extend(["fsync=off".to_owned(), "full_page_writes=off".to_owned()]);
        }
        settings.extend(further.iter().map(|&setting| setting.to_owned()));
        let args = ["-D".to_owned(), data.display().to_string()]
            .into_iter()
            .chain(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let program =
            Program { last_signal: "QUIT", user: Some(USER), ..Program::new(program, log) }.args(args);
        let server = Server::start(program, port, |port| psql(&url(port, "postgres"), "select 1").map(drop))?;
        Ok(Self { server, _scratch: None })
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        url(self.port(), database)
    }

    /// Runs SQL with `psql` in a database and gives what it printed, unaligned and without headers.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        psql(&self.url(database), sql)
    }

    /// Makes it speak TLS, know clients by an authority, and let in whom these lines of `pg_hba.conf` let in; all in PEM. The
    /// certificate's key is in the data folder afterwards, for the server's user alone.
    pub fn serve_tls(&self, certificate: &str, key: &str, authority: &str, rules: &str) -> Result<()> {
        let data = PathBuf::from(self.psql("postgres", "show data_directory")?);
        let files = [("server.crt", certificate), ("server.key", key), ("clients.crt", authority)];
        for (name, text) in files.into_iter().chain([("pg_hba.conf", rules)]) {
            let path = data.join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            give_to_user(&path)?;
        }
        for setting in [
            "ssl = on",
            "ssl_cert_file = 'server.crt'",
            "ssl_key_file = 'server.key'",
            "ssl_ca_file = 'clients.crt'",
        ] {
            self.psql("postgres", &format!("alter system set {setting}"))?;
        }
        self.psql("postgres", "select pg_reload_conf()").map(drop)
    }

    /// Ends it at once, as a crash would, and starts it again on the same data and port.
    pub fn crash_and_start(&mut self) -> Result<()> {
        self.server.end_and_start(Signal::SIGQUIT)
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

pub(crate) fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}

/// Runs SQL with `psql` and gives what it printed, unaligned and without headers.
pub fn psql(url: &str, sql: &str) -> Result<String> {
    let program = find_program("psql", PLACES).context("psql is not installed")?;
    let ran = Command::new(program)
        .args([url, "--no-psqlrc", "-qtA", "-v", "ON_ERROR_STOP=1", "-c", sql])
        .output()
        .context("cannot run psql")?;
    if !ran.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).trim_end().to_owned())
}

/// A port that was free a moment ago and that this process has not returned before. It is below the range from
/// which the kernel takes the ports of outgoing connections: one of those could have it when it is needed.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        // processes start far apart
        let place = std::process::id().wrapping_mul(997).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + place % COUNT)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from {FIRST} on is free")
}

/// Creates a data folder as a copy of one that initdb created before: initdb takes two seconds, a copy a tenth of one.
fn init(data: &Path) -> Result<()> {
    let template = template()?;
    run(Command::new("cp").arg("-a").arg(&template).arg(data))
}

fn template() -> Result<PathBuf> {
    let program = find_program("initdb", PLACES).context("Postgres is not installed")?;
    let version = Command::new(&program).arg("--version").output().context("cannot run initdb")?.stdout;
    let version =
        String::from_utf8_lossy(&version).replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    let template = std::env::temp_dir().join(format!("rowcast-{}-{version}", geteuid()));
    if template.exists() {
        return Ok(template);
    }
    let scratch = TempDir::with_prefix("rowcast-initdb-")?;
    give_to_user(scratch.path())?;
    let fresh = scratch.path().join("data");
    initdb(&fresh)?;
    // several test programs may get here at once; the first rename wins
    match fs::rename(&fresh, &template) {
        Err(error) if !template.exists() => Err(error).context("cannot keep the data folder's template"),
        _ => Ok(template),
    }
}

fn initdb(data: &Path) -> Result<()> {
    let initdb = find_program("initdb", PLACES).context("Postgres is not installed")?;
    run(as_user(initdb)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(data))
}

/// A program that runs as the server's user, if we are root.
fn as_user(program: PathBuf) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]).arg(program);
    command
}

/// Makes the server's user the owner of a folder, if we are root.
pub(crate) fn give_to_user(folder: &Path) -> Result<()> {
    if geteuid().is_root() {
        let user = User::from_name(USER)?.with_context(|| format!("there is no user {USER}"))?;
        chown(folder, Some(Uid::from_raw(user.uid.as_raw())), Some(Gid::from_raw(user.gid.as_raw())))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let ran = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !ran.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}
