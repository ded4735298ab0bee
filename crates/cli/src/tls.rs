//! TLS towards Rowcast: rustls with aws-lc, the system's certificates, and one more from a file.

use std::{path::Path, sync::Arc};

use anyhow::{Context, ensure};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Which servers are trusted. Plain connections need no certificates on this machine.
pub(crate) fn config(encrypted: bool, ca: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let roots = if encrypted { roots(ca)? } else { RootCertStore::empty() };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS setup failed")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca {
        let fault = || format!("{} has no certificates in PEM", file.display());
        let given = CertificateDer::pem_file_iter(file).with_context(fault)?;
        for certificate in given {
            roots.add(certificate.with_context(fault)?).with_context(fault)?;
        }
        ensure!(!roots.is_empty(), "{}", fault());
    }
    // a system may have some that rustls cannot parse
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(!roots.is_empty(), "no certificates are installed; give one with --ca");
    Ok(roots)
}

#[cfg(test)]
mod tests;
