//! `rowcast token`: signs a trial token with the secret of an issuer.

use access::trial::{Claims, TrialIssuer};
use serde_json::json;

use crate::{
    args::{Format, Token},
    instant, output,
};

pub(crate) fn run(options: Token) -> anyhow::Result<()> {
    let Token { issuers_file, issuer, subject, read, write, life, output: format } = options;
    let issuer = TrialIssuer::find(&issuers_file, issuer.as_deref())?;
    let id = format!("{:032x}", rand::random::<u128>());
    let claims = Claims { subject, id, read, write, now: instant::now(), life };
    let signed = issuer.sign(&claims)?;
    let expires_at = instant::text(signed.expires_at);
    match format {
        Format::Json => output::line(
            &json!({
                "token": signed.token,
                "issuer": issuer.name(),
                "subject": claims.subject,
                "jti": claims.id,
                "read": claims.read,
                "write": claims.write,
                "expires_at": expires_at,
            })
            .to_string(),
        )?,
        Format::Text => {
            output::line(&signed.token)?;
            output::note(&format!("it expires at {expires_at}; its jti is {}", claims.id));
        }
    }
    Ok(())
}
