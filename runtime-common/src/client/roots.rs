//! Whom a client trusts: PEM files, or what the system has.

use std::fs;
use std::sync::Arc;

use roomwire_core::client::route::Tls;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::settings::Roots;
use crate::error::RunError;
use crate::tls::CertificateError;

/// How TLS is spoken with `host`: 1.2 and 1.3, ALPN `http/1.1`.
///
/// # Errors
/// Names the file, and what it should hold.
pub(crate) fn tls(roots: &Roots, host: &str) -> Result<Tls, RunError> {
    let wrong = |file: &str, what: String| {
        let file = file.to_owned();
        RunError::Certificate(CertificateError { file, what })
    };
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Files(files) => {
            for file in files {
                let name = file.display().to_string();
                let pem = fs::read(file);
                let pem = pem.map_err(|error| wrong(&name, format!("cannot be read: {error}")))?;
                add(&mut store, &pem).map_err(|what| wrong(&name, what))?;
            }
        }
        Roots::Pem(pem) => add(&mut store, pem).map_err(|what| wrong("roots", what))?,
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // Some systems list authorities that nobody can use; one that can is enough.
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let why = found.errors.first().map(|error| format!(": {error}"));
                let why = why.unwrap_or_default();
                let what = format!(
                    "there are no authorities to trust{why}; name a PEM file that holds some"
                );
                return Err(wrong("the system's", what));
            }
        }
    }
    if store.is_empty() {
        return Err(wrong(
            "roots",
            "no file with authorities is named".to_owned(),
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|error| wrong("TLS", error.to_string()))?;
    let mut config = config.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| wrong("TLS", format!("{host:?} is no name for TLS")))?;
    let config = Arc::new(config);
    Ok(Tls { config, name })
}

fn add(store: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let before = store.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.len() == before {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(())
}
