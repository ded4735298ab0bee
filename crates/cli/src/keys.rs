//! `rowcast keys`: makes, lists and ends device keys, by SQL.

mod import;
mod line;
mod print;

use anyhow::{anyhow, ensure};
use auth::{KeyId, KeyRecord, KeyText, Secrets, new_key};
use store::keys::{Keys, StoredKey};

use self::line::KeyLine;
use crate::{
    args::{Common, Create, Format, KeysVerb},
    database, instant, output,
};

/// Keys of one page of a list.
const PAGE: i64 = 200;

pub(crate) async fn run(
    verb: KeysVerb,
    Common { database_url, output: format }: Common,
) -> anyhow::Result<()> {
    let connect = async || database::keys(database_url.as_deref()).await;
    match verb {
        KeysVerb::Create(options) if options.hash_only => {
            let (key, record) = new(&options)?;
            output::line(&print::new_key(format, &key, &record, true))?;
            output::note("nothing is stored: rowcast keys import takes the hash");
            Ok(())
        }
        KeysVerb::Create(options) => {
            let (key, record) = new(&options)?;
            connect().await?.create(&record).await?;
            show_stored(format, &key, &record)
        }
        KeysVerb::List => list(&mut connect().await?, |key| print::listed(format, key)).await,
        KeysVerb::Rotate(named) => {
            let key = KeyText::new(named.id, rand::random());
            let stored = connect().await?.rotate(named.id, key.hash()).await?;
            show_stored(format, &key, &stored.record)
        }
        KeysVerb::Retire(named) => {
            let done = connect().await?.retire(named.id).await?;
            told(done, format!("the older secret of {} has ended", named.id), "it has one secret")
        }
        KeysVerb::Revoke(named) => {
            let done = connect().await?.revoke(named.id).await?;
            told(done, format!("{} is revoked", named.id), "it was revoked before")
        }
        KeysVerb::Import(options) => {
            let records = import::read(&options.file)?;
            let imported = connect().await?.import(&records).await?;
            Ok(output::line(&print::imported(format, imported))?)
        }
        KeysVerb::Export => list(&mut connect().await?, exported).await,
    }
}

/// A new key, as the options say.
fn new(options: &Create) -> anyhow::Result<(KeyText, KeyRecord)> {
    let name = &options.name;
    let length = name.chars().count();
    ensure!((1..=100).contains(&length) && !name.contains(char::is_control), line::BAD_NAME);
    let (write, read) = options.scopes()?;
    let (key, hash) = new_key(rand::random(), rand::random());
    let record = KeyRecord {
        id: key.id(),
        name: name.clone(),
        write,
        read,
        limits: options.limits.limits()?,
        expires_at: options.expires.or(options.expires_in.map(instant::after)),
        is_revoked: false,
        secrets: Secrets::one(hash),
    };
    Ok((key, record))
}

/// Prints a key that is stored. One that nobody has seen should not stay valid.
fn show_stored(format: Format, key: &KeyText, record: &KeyRecord) -> anyhow::Result<()> {
    // without its source: also a reader that has left is a failure here
    output::line(&print::new_key(format, key, record, false)).map_err(|error| {
        anyhow!("the key was stored but could not be printed ({error}): rowcast keys revoke {}", key.id())
    })?;
    output::note("the key is printed this once: only the hash of its secret is stored");
    Ok(())
}

/// What was done, or why there was nothing to do.
fn told(done: bool, what: String, why_not: &str) -> anyhow::Result<()> {
    if done {
        output::line(&what)?;
    } else {
        output::note(&format!("nothing to do: {why_not}"));
    }
    Ok(())
}

/// Prints every key that has something to print.
async fn list(keys: &mut Keys, print: impl Fn(&StoredKey) -> Option<String>) -> anyhow::Result<()> {
    let mut after: Option<KeyId> = None;
    loop {
        let page = keys.list(after, PAGE).await?;
        for line in page.iter().filter_map(&print) {
            output::line(&line)?;
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = Some(last.record.id),
            _ => return Ok(()),
        }
    }
}

/// The line for an import; none for a key that was revoked, which must not come to life elsewhere.
fn exported(key: &StoredKey) -> Option<String> {
    (!key.record.is_revoked).then(|| KeyLine::with_hashes(&key.record).json())
}
