//! The built page: its files from a folder, its one document for `/` and `/docs`.

use std::path::Path;

use anyhow::Context;
use axum::{
    Router,
    response::{Html, IntoResponse},
    routing::{MethodRouter, any, get},
};
use base64::prelude::{BASE64_STANDARD, Engine};
use chassis::Prefix;
use http::{HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use super::fallback::unknown_path;

/// What the build leaves for the address that devices POST to.
const INGEST_PLACEHOLDER: &str = "%ROWCAST_INGEST%";

/// How the document names its files.
const ROOT_ASSETS: &str = "\"/assets/";

/// How the document names the path of its router.
const ROOT_BASENAME: &str = "\"basename\":\"/\"";

/// The files' names carry a hash of their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What the page may load: its own files and the scripts in its document, by their hashes.
fn policy(document: &str) -> String {
    let hashes: String = inline_scripts(document)
        .map(|script| format!(" 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(script))))
        .collect();
    format!(
        "default-src 'self'; script-src 'self'{hashes}; img-src 'self' data:; connect-src 'self'; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
}

/// The text of each script element that has one.
fn inline_scripts(document: &str) -> impl Iterator<Item = &str> {
    document.split("<script").skip(1).filter_map(|element| {
        let (attributes, rest) = element.split_once('>')?;
        let (text, _) = rest.split_once("</script>")?;
        (!attributes.contains(" src=") && !text.is_empty()).then_some(text)
    })
}

/// The document as it was built, for an address of ingest and a prefix. What it loads finds the rest
/// from its own address.
fn fill_in(document: &str, ingest_url: &str, prefix: &Prefix) -> String {
    let document = document.replace(INGEST_PLACEHOLDER, ingest_url);
    let prefix = prefix.to_string();
    if prefix.is_empty() {
        return document;
    }
    document
        .replace(ROOT_ASSETS, &format!("\"{prefix}/assets/"))
        .replace(ROOT_BASENAME, &format!("\"basename\":\"{prefix}\""))
}

/// Adds the page to the routes.
pub(crate) fn serve(
    router: Router,
    folder: &Path,
    ingest_url: &str,
    prefix: &Prefix,
) -> anyhow::Result<Router> {
    let document = folder.join("index.html");
    let document =
        std::fs::read_to_string(&document).with_context(|| format!("reading {}", document.display()))?;
    let document = fill_in(&document, ingest_url, prefix);
    let policy = HeaderValue::from_str(&policy(&document)).context("the page's policy")?;
    let index = get(move || {
        let document = document.clone();
        async move { ([(header::CACHE_CONTROL, "no-cache")], Html(document)).into_response() }
    });
    let fixed = |name: HeaderName, value| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let assets = Router::new()
        .fallback_service(files_of(&folder.join("assets")))
        .layer(fixed(header::CACHE_CONTROL, FOR_EVER));
    let files = files_of(folder);
    Ok(router
        .route("/", index.clone())
        .route("/docs", index)
        .nest("/assets", assets)
        .fallback_service(files)
        .layer(SetResponseHeaderLayer::if_not_present(header::CONTENT_SECURITY_POLICY, policy))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer")))
}

/// What is no file is not found, whatever the method.
fn files_of(folder: &Path) -> ServeDir<MethodRouter> {
    ServeDir::new(folder)
        .append_index_html_on_directories(false)
        .call_fallback_on_method_not_allowed(true)
        .fallback(any(unknown_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_under_a_prefix_loads_its_files_from_there() {
        let document =
            r#"<link href="/assets/a.css"/><script>c = {"basename":"/","u":"%ROWCAST_INGEST%"}</script>"#;
        assert_eq!(
            fill_in(document, "http://in", &Prefix::from("/a/b")),
            r#"<link href="/a/b/assets/a.css"/><script>c = {"basename":"/a/b","u":"http://in"}</script>"#
        );
        assert_eq!(fill_in(document, "%ROWCAST_INGEST%", &Prefix::default()), document);
    }

    #[test]
    fn only_scripts_that_stand_in_the_document_are_hashed() {
        let document = r#"<script src="/a.js"></script><script type="module">go()</script><script></script>"#;
        assert_eq!(inline_scripts(document).collect::<Vec<_>>(), ["go()"]);
        // printf 'go()' | openssl dgst -sha256 -binary | base64
        assert!(
            policy(document)
                .contains("script-src 'self' 'sha256-5KYv+PUboo5h+0+YAtGRPbwv5d/QxzHslP4YGnUaxRw='; "),
            "{}",
            policy(document)
        );
    }
}
