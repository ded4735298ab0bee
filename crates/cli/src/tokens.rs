//! `rowcast tokens`: refuses tokens before they expire, by SQL.

use anyhow::{Context, ensure};
use auth::{Revocation, Revoked};
use serde_json::json;

use crate::{
    args::{Common, Format, Revoke, TokensVerb, Which},
    database, instant, output,
};

/// Revocations of one page of a list.
const PAGE: i64 = 1_000;

pub(crate) async fn run(
    verb: TokensVerb,
    Common { database_url, output: format }: Common,
) -> anyhow::Result<()> {
    let mut keys = database::keys(database_url.as_deref()).await?;
    match verb {
        TokensVerb::Revoke(options) => {
            let revocation = revocation(options)?;
            let changed = keys.revoke_token(&revocation).await?;
            if !changed {
                output::note("nothing to do: it is refused for as long or longer already");
            }
            Ok(output::line(&line(format, &revocation))?)
        }
        TokensVerb::Restore(which) => {
            let (issuer, of) = named(which)?;
            ensure!(keys.restore_token(&issuer, &of).await?, "there is no such revocation in force");
            Ok(output::line("restored")?)
        }
        TokensVerb::List => {
            let mut after: Option<Revocation> = None;
            loop {
                let mut page = keys.revocations(after.as_ref(), PAGE).await?;
                for revocation in &page {
                    output::line(&line(format, revocation))?;
                }
                match page.pop() {
                    Some(last) if page.len() as i64 + 1 == PAGE => after = Some(last),
                    _ => return Ok(()),
                }
            }
        }
    }
}

fn revocation(Revoke { which, until, span }: Revoke) -> anyhow::Result<Revocation> {
    let (issuer, of) = named(which)?;
    let until = until.or(span.map(instant::after)).context("neither --until nor --for")?;
    ensure!(until > instant::now(), "--until must be in the future");
    Ok(Revocation { issuer, of, until })
}

fn named(Which { issuer, jti, subject }: Which) -> anyhow::Result<(String, Revoked)> {
    let of =
        jti.map(Revoked::Token).or(subject.map(Revoked::Subject)).context("neither --jti nor --subject")?;
    Ok((issuer, of))
}

fn line(format: Format, Revocation { issuer, of, until }: &Revocation) -> String {
    let (kind, value) = match of {
        Revoked::Token(jti) => ("jti", jti),
        Revoked::Subject(subject) => ("subject", subject),
    };
    let until = instant::text(*until);
    match format {
        Format::Json => json!({"issuer": issuer, kind: value, "until": until}).to_string(),
        Format::Text => {
            format!("{issuer}  {kind} {value}  refused until {until}").replace(char::is_control, "\u{fffd}")
        }
    }
}
