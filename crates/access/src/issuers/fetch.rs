//! Where an issuer's keys come from: a fixed file or a fixed URL. Nothing in a token can name another.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Certificate, Client, redirect::Policy};
use url::Url;

use super::jwks::MAX_BYTES;

/// From the request to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Where an issuer's keys come from.
pub(crate) enum Source {
    /// A file, which may be replaced.
    File(PathBuf),
    /// A server.
    Url(Url, Client),
    /// The configuration.
    Fixed,
}

impl Source {
    /// A server with a certificate of the system's authorities, or of these.
    pub(crate) fn url(url: Url, ca: Option<&Path>) -> Result<Self, String> {
        let mut client =
            Client::builder().https_only(true).redirect(Policy::none()).timeout(LIMIT).user_agent("rowcast");
        if let Some(path) = ca {
            let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let pem = fs::read(path).map_err(|error| unreadable(&error))?;
            let own = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(&error))?;
            client = client.tls_certs_only(own);
        }
        let client = client.build().map_err(|error| format!("no client for {url}: {error}"))?;
        Ok(Self::Url(url, client))
    }

    /// The set as it is now; none where it is fixed.
    pub(crate) async fn read(&self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Fixed => Ok(None),
            Self::File(path) => {
                let json = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                if json.len() > MAX_BYTES { Err(too_large()) } else { Ok(Some(json)) }
            }
            Self::Url(url, client) => get(url, client).await.map(Some),
        }
    }
}

async fn get(url: &Url, client: &Client) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| chassis::chain(&error).to_string();
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("{url} answers {}", response.status()));
    }
    let mut json = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if json.len() + chunk.len() > MAX_BYTES {
            return Err(too_large());
        }
        json.extend_from_slice(&chunk);
    }
    Ok(json)
}

fn too_large() -> String {
    format!("it has more than {MAX_BYTES} bytes")
}
