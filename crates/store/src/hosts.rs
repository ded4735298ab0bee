//! Several hosts in one URL, as in libpq: they are tried in order until one is reachable and fits `target_session_attrs`.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};

use crate::{
    deadline::within,
    error::{NoUsableHost, Result},
    fault::Fault,
};

/// What a host must be to be used: `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Any that answers.
    Any,
    /// A primary that is not made read-only.
    ReadWrite,
    /// A primary.
    Primary,
}

impl FromStr for Target {
    type Err = Fault;

    fn from_str(word: &str) -> std::result::Result<Self, Fault> {
        match word {
            "any" => Ok(Self::Any),
            "read-write" => Ok(Self::ReadWrite),
            "primary" => Ok(Self::Primary),
            _ => Err(Fault::Target),
        }
    }
}

impl Target {
    /// The query that checks it. It does not depend on what others have set in a session that a pooler shares.
    const fn check(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Primary => Some("select not pg_is_in_recovery()"),
            Self::ReadWrite => Some(
                "select not pg_is_in_recovery() and
                        (select reset_val = 'off' from pg_settings where name = 'default_transaction_read_only')",
            ),
        }
    }
}

/// Where the database may be.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// In the order in which they are tried; never empty.
    hosts: Vec<PgConnectOptions>,
    target: Target,
    /// The host to begin with where only one can fit: the last one that was tried, so that unreachable hosts cost no time.
    first: Arc<AtomicUsize>,
}

/// Why a host was not used.
enum Refusal {
    Failed(sqlx::Error),
    Unfit,
}

impl Hosts {
    /// By default a single host is used as it is, and of several the one that can be written to: after a failover the old
    /// primary returns as a standby.
    pub(crate) fn new(hosts: Vec<PgConnectOptions>, target: Option<Target>) -> Self {
        let target = target.unwrap_or(if hosts.len() > 1 { Target::ReadWrite } else { Target::Any });
        Self { hosts, target, first: Arc::default() }
    }

    pub(crate) fn try_map(
        self,
        change: impl Fn(PgConnectOptions) -> std::result::Result<PgConnectOptions, Fault>,
    ) -> std::result::Result<Self, Fault> {
        Ok(Self { hosts: self.hosts.into_iter().map(change).collect::<std::result::Result<_, _>>()?, ..self })
    }

    pub(crate) fn map(self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self { hosts: self.hosts.into_iter().map(change).collect(), ..self }
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> (&[PgConnectOptions], Target) {
        (&self.hosts, self.target)
    }

    /// The only host, where there is no choice to make.
    pub(crate) fn only(&self) -> Option<&PgConnectOptions> {
        match (self.hosts.as_slice(), self.target) {
            ([host], Target::Any) => Some(host),
            _ => None,
        }
    }

    /// A connection to the first host that is reachable and fits, within `limit`, which is divided among the hosts: one
    /// that does not respond must leave time for the others.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<(&PgConnectOptions, PgConnection)> {
        let share = limit / u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let first = if self.target == Target::Any { 0 } else { self.first.load(Ordering::Relaxed) };
        let mut refusals = Vec::new();
        for place in (0..self.hosts.len()).map(|n| (first + n) % self.hosts.len()) {
            self.first.store(place, Ordering::Relaxed);
            let host = &self.hosts[place];
            match self.try_one(host, share).await {
                Ok(connection) => return Ok((host, connection)),
                // the others would refuse it too, and repeated failures may lock the account
                Err(Refusal::Failed(error)) if self.hosts.len() == 1 || is_final(&error) => {
                    return Err(error.into());
                }
                Err(Refusal::Failed(error)) => refusals.push(format!("{}: {error}", name(host))),
                Err(Refusal::Unfit) => refusals.push(format!("{}: not writable", name(host))),
            }
        }
        Err(sqlx::Error::Configuration(Box::new(NoUsableHost(refusals.join("; ")))).into())
    }

    async fn try_one(
        &self,
        host: &PgConnectOptions,
        limit: Duration,
    ) -> std::result::Result<PgConnection, Refusal> {
        let reach = async {
            let mut connection = host.connect().await.map_err(Refusal::Failed)?;
            if let Some(check) = self.target.check() {
                let query = sqlx::raw_sql(check).fetch_one(&mut connection);
                let fits: bool = query.await.and_then(|row| row.try_get(0)).map_err(Refusal::Failed)?;
                if !fits {
                    return Err(Refusal::Unfit);
                }
            }
            Ok(connection)
        };
        within(limit, reach).await.map_err(|error| Refusal::Failed(error.0))?
    }
}

/// Whether trying another host is useless: the password is wrong, or the database does not exist.
fn is_final(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28") || code == "3D000")
}

fn name(host: &PgConnectOptions) -> String {
    match host.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", host.get_host(), host.get_port()),
    }
}

/// The address of a host.
struct Address {
    /// As it is written in a URL.
    host: String,
    /// The folder of a socket instead.
    socket: Option<String>,
    port: Option<u16>,
}

/// The hosts of a URL, separated by commas in the authority or in `?host=…&port=…`. The driver supports one host only.
pub(crate) fn of_url(url: &str) -> std::result::Result<Hosts, Fault> {
    let rest =
        url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")).ok_or(Fault::Url)?;
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let (mut named, mut ports, mut target, mut kept) = (None, None, None, Vec::new());
    for pair in query.split('&') {
        let Some((key, value)) = url::form_urlencoded::parse(pair.as_bytes()).next() else { continue };
        match &*key {
            "host" | "hostaddr" => named = Some(value.into_owned()),
            "port" => ports = Some(value.into_owned()),
            "target_session_attrs" => target = Some(value.parse()?),
            _ => kept.push(pair),
        }
    }
    let mut addresses = match &named {
        Some(named) => named.split(',').map(Address::named).collect(),
        None => hosts.split(',').map(Address::in_url).collect::<std::result::Result<Vec<_>, _>>()?,
    };
    if let Some(ports) = ports {
        set_ports(&mut addresses, &ports)?;
    }
    let rest = format!("{path}?{}", kept.join("&"));
    let options = addresses.into_iter().map(|address| address.options(&user, &rest));
    Ok(Hosts::new(options.collect::<std::result::Result<_, _>>()?, target))
}

/// A host of the configuration, or the folder of a socket.
pub(crate) fn at(pg: PgConnectOptions, host: &str) -> PgConnectOptions {
    if host.starts_with('/') { pg.socket(host) } else { pg.host(unbracketed(host)) }
}

impl Address {
    /// From the value of a parameter.
    fn named(host: &str) -> Self {
        let (host, socket) = match unbracketed(host) {
            folder if folder.starts_with('/') => ("localhost".to_owned(), Some(folder.to_owned())),
            address if address.contains(':') => (format!("[{address}]"), None),
            name => (name.to_owned(), None),
        };
        Self { host, socket, port: None }
    }

    fn in_url(text: &str) -> std::result::Result<Self, Fault> {
        let (host, port) = match text.rsplit_once(':') {
            // the end of an IPv6 address
            Some((_, end)) if end.ends_with(']') => (text, ""),
            Some(parts) => parts,
            None => (text, ""),
        };
        Ok(Self { host: host.to_owned(), socket: None, port: port_of(port)? })
    }

    fn options(self, user: &str, rest: &str) -> std::result::Result<PgConnectOptions, Fault> {
        let port = self.port.map_or(String::new(), |port| format!(":{port}"));
        let url = format!("postgres://{user}{}{port}{rest}", self.host);
        let pg = PgConnectOptions::from_str(&url).map_err(|_| Fault::Url)?;
        if let Some(folder) = self.socket {
            return Ok(pg.socket(folder));
        }
        let bare = unbracketed(pg.get_host()).to_owned();
        Ok(if bare == pg.get_host() { pg } else { pg.host(&bare) })
    }
}

/// A single port is that of all hosts.
fn set_ports(addresses: &mut [Address], ports: &str) -> std::result::Result<(), Fault> {
    let ports: Vec<&str> = ports.split(',').collect();
    if ports.len() != 1 && ports.len() != addresses.len() {
        return Err(Fault::Ports);
    }
    for (address, port) in addresses.iter_mut().zip(ports.into_iter().cycle()) {
        address.port = port_of(port)?;
    }
    Ok(())
}

fn port_of(text: &str) -> std::result::Result<Option<u16>, Fault> {
    match text {
        "" => Ok(None),
        port => port.parse().map(Some).map_err(|_| Fault::Url),
    }
}

/// The driver keeps the brackets of an IPv6 address, which no resolver accepts.
fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}
