//! The errors of the database, and whether a retry can help.

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of Postgres, of the connection, or of a statement.
#[derive(Debug, thiserror::Error)]
#[error("{}", summary(.0))]
pub struct Error(#[from] pub(crate) sqlx::Error);

impl Error {
    /// Whether the statement's data is invalid: the database works, and a retry fails again.
    pub fn is_data_error(&self) -> bool {
        self.class().is_some_and(|class| class == "22" || class == "23")
    }

    /// Whether a row with the same key exists already.
    pub(crate) fn is_conflict(&self) -> bool {
        self.0.as_database_error().is_some_and(|e| e.is_unique_violation())
    }

    /// Whether the database failed, and not the data or the expectation of it: also no row, a reading's id that is taken
    /// and two that share one are answers.
    pub(crate) fn is_failure(&self) -> bool {
        const ANSWERS: [&str; 3] = ["22", "23", "RC"];
        !matches!(self.0, sqlx::Error::RowNotFound)
            && self.class().is_none_or(|class| !ANSWERS.contains(&class.as_str()))
    }

    /// Whether another transaction held for too long what the statement needs.
    pub fn is_lock_timeout(&self) -> bool {
        self.code().as_deref() == Some("55P03")
    }

    /// Whether the server cancelled the statement because it took too long.
    pub fn is_timeout(&self) -> bool {
        self.0.as_database_error().is_some_and(|e| e.code().as_deref() == Some("57014"))
    }

    /// Whether the same statement with the same values will fail again: its values or its text are at fault, or what
    /// this user may do.
    pub fn is_permanent(&self) -> bool {
        const PERMANENT: [&str; 4] = ["0A", "22", "23", "42"];
        self.class().is_some_and(|class| PERMANENT.contains(&class.as_str()))
    }

    /// Whether the server sent this error on a connection that still works.
    pub(crate) fn is_answer(&self) -> bool {
        // 57P0x: the server closes the connection after this error
        self.code().is_some_and(|code| !code.starts_with("57P"))
    }

    /// The constraint that the data violates.
    pub fn constraint(&self) -> Option<&str> {
        self.0.as_database_error()?.constraint()
    }

    pub(crate) fn code(&self) -> Option<String> {
        Some(self.0.as_database_error()?.code()?.into_owned())
    }

    /// The first two characters of the SQLSTATE.
    fn class(&self) -> Option<String> {
        self.code()?.get(..2).map(str::to_owned)
    }
}

/// Why each of several hosts could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoUsableHost(pub(crate) String);

/// What a failure means to an operator; the driver's error follows as the source.
pub(crate) fn summary(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Io(why) if is_unknown_name(why) => "database host not found",
        sqlx::Error::Io(_) => "database unreachable",
        sqlx::Error::PoolTimedOut => "database not responding",
        sqlx::Error::Configuration(why) if why.is::<NoUsableHost>() => "no usable database host",
        sqlx::Error::Tls(_) => "TLS connection to the database failed",
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01" | "28000") => "database authentication failed",
            Some("3D000") => "database does not exist",
            Some("42501") => "permission denied by the database",
            Some("53300") => "too many connections to the database",
            // a prepared statement of another client, or one that was prepared in another session
            Some("26000" | "42P05") => "a pooler shares sessions: database.pooler must be transaction",
            _ => "database error",
        },
        _ => "database error",
    }
}

/// The resolver's errors have no `ErrorKind` of their own.
fn is_unknown_name(why: &std::io::Error) -> bool {
    why.to_string().starts_with("failed to lookup address information")
}
