//! The database users of the programs: each has the group role of its program, and no other right.

use anyhow::Result;
use testkit::Postgres;

/// The programs that connect as a user of their own, and the group role of each.
const ROLES: [(&str, &str); 4] = [
    ("ingest", "rowcast_ingest"),
    ("ws-gateway", "rowcast_gateway"),
    ("notify-listener", "rowcast_listener"),
    ("rowcast", "rowcast_keys"),
];

/// Makes the users, and the group roles where no migration has made them yet.
pub fn create(postgres: &Postgres) -> Result<()> {
    for (program, role) in ROLES {
        let user = name(program);
        postgres.psql(
            "template1",
            &format!(
                "do $$ begin
                     if to_regrole('{role}') is null then create role {role} nologin; end if;
                     if to_regrole('{user}') is null then create role {user} login in role {role}; end if;
                 end $$"
            ),
        )?;
    }
    Ok(())
}

/// The user of a program; `migrate` has the owner's.
pub fn name(program: &str) -> String {
    let role = ROLES.iter().find(|(name, _)| *name == program);
    role.map_or_else(|| "postgres".to_owned(), |(_, role)| format!("{role}_user"))
}

/// All of them, for a pooler that must know its users.
pub fn all() -> Vec<String> {
    ROLES.iter().map(|(program, _)| name(program)).collect()
}

/// A URL of the owner as that of a program's user.
pub fn url(owner: &str, program: &str) -> String {
    owner.replacen("://postgres", &format!("://{}", name(program)), 1)
}
