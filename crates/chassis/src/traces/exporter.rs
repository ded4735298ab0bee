//! The exporter of spans, over gRPC or HTTP, in the clear or by TLS.

use std::fs;
use std::path::Path;

use anyhow::Context;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};

use super::settings::{Protocol, Settings};

/// An exporter that connects when there is something to send: an unreachable collector loses spans and does not prevent the
/// start.
pub(super) fn exporter(settings: &Settings) -> anyhow::Result<SpanExporter> {
    match settings.protocol {
        Protocol::Grpc => {
            let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(&settings.endpoint);
            if settings.endpoint.starts_with("https:") {
                exporter = exporter.with_tls_config(grpc_tls(settings)?);
            }
            exporter.build()
        }
        Protocol::HttpProtobuf => {
            let client = http_client(settings)?;
            SpanExporter::builder()
                .with_http()
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_endpoint(&settings.endpoint)
                .with_http_client(client)
                .build()
        }
    }
    .context("the exporter of traces is not usable")
}

fn grpc_tls(settings: &Settings) -> anyhow::Result<ClientTlsConfig> {
    let mut tls = ClientTlsConfig::new();
    tls = match &settings.certificate {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
        None => tls.with_native_roots(),
    };
    if let Some((own, key)) = &settings.client {
        tls = tls.identity(Identity::from_pem(read(own)?, read(key)?));
    }
    Ok(tls)
}

/// The batches are sent from a thread of the SDK, which blocks.
fn http_client(settings: &Settings) -> anyhow::Result<reqwest::blocking::Client> {
    let mut client = reqwest::blocking::Client::builder();
    if let Some(path) = &settings.certificate {
        let own = reqwest::Certificate::from_pem_bundle(&read(path)?)
            .with_context(|| format!("{} is no PEM file", path.display()))?;
        client = client.tls_certs_only(own);
    }
    if let Some((own, key)) = &settings.client {
        let pem = [read(own)?, read(key)?].concat();
        client = client.identity(reqwest::Identity::from_pem(&pem).context("the client's certificate")?);
    }
    // it has a runtime of its own, which must not be started from within another
    let client = std::thread::spawn(move || client.build());
    client
        .join()
        .map_err(|_panic| anyhow::anyhow!("starting the HTTP client panicked"))?
        .context("the HTTP client")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}
