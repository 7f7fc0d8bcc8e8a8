//! Certificates: PEM files, one certificate for each name that clients ask for (SNI), and reading them again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

/// A certificate and its key, in PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "cli", serde(deny_unknown_fields))]
pub struct CertificateFiles {
    /// The certificate, and those that lead from it to a root.
    pub cert: PathBuf,
    /// Its key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// What is wrong with the files of a certificate.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct CertificateError {
    /// Which file.
    pub file: String,
    /// What is wrong with it, and what it should hold.
    pub what: String,
}

/// The certificates of a server. Clones are the same certificates.
#[derive(Clone, Debug)]
pub struct Certificates {
    files: Arc<[CertificateFiles]>,
    shelf: Arc<Shelf>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the files, of which there must be some. The first certificate is for clients that name none of the
    /// others.
    ///
    /// # Errors
    /// Names the file, and what it should hold.
    pub fn load(files: &[CertificateFiles]) -> Result<Self, CertificateError> {
        let provider = Arc::new(default_provider());
        let shelf = Arc::new(Shelf(RwLock::new(Arc::new(read(files, &provider)?))));
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions();
        let config = config.map_err(|error| CertificateError {
            file: "TLS".to_owned(),
            what: error.to_string(),
        })?;
        let resolver = Arc::clone(&shelf) as Arc<dyn ResolvesServerCert>;
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // What is sent before the handshake is over can be played again.
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 1;
        Ok(Self {
            files: files.into(),
            shelf,
            config: Arc::new(config),
        })
    }

    /// Reads the files again: for handshakes from now on. If anything is wrong with them, nothing changes.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn reload(&self) -> Result<(), CertificateError> {
        let store = read(&self.files, self.config.crypto_provider())?;
        let mut place = self.shelf.0.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(store);
        Ok(())
    }

    /// How connections are made with them: TLS 1.2 and 1.3, ALPN `http/1.1`.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

#[derive(Debug)]
struct Shelf(RwLock<Arc<Store>>);

#[derive(Debug)]
struct Store {
    first: Arc<CertifiedKey>,
    /// By name in lower case; `*.example.com` for every name with one label more.
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl Store {
    fn find(&self, name: &str) -> Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        let wild = || {
            let (_, parent) = name.split_once('.')?;
            self.names.get(&format!("*.{parent}"))
        };
        let found = self.names.get(&name).or_else(wild);
        Arc::clone(found.unwrap_or(&self.first))
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let store = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let name = hello.server_name().unwrap_or_default();
        Some(store.find(name))
    }
}

fn read(files: &[CertificateFiles], provider: &CryptoProvider) -> Result<Store, CertificateError> {
    let mut names = HashMap::new();
    let mut first = None;
    for pair in files {
        let certified = Arc::new(read_pair(pair, provider)?);
        for name in names_of(&certified, &pair.cert)? {
            names.entry(name).or_insert_with(|| Arc::clone(&certified));
        }
        first.get_or_insert(certified);
    }
    let first = first.ok_or_else(|| CertificateError {
        file: "TLS".to_owned(),
        what: "there is no certificate: --tls-cert and --tls-key name one".to_owned(),
    })?;
    Ok(Store { first, names })
}

fn read_pair(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let pem = read_file(&files.cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| wrong(&files.cert, error))?;
    if chain.is_empty() {
        return Err(wrong(&files.cert, "it holds no certificate in PEM"));
    }
    let pem = read_file(&files.key)?;
    // What the reader says of a key must not repeat any of it.
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let key = key.map_err(|_| wrong(&files.key, "it holds no private key in PEM"))?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| {
        let what = "its key cannot be used: allowed are RSA, ECDSA (P-256, P-384) and Ed25519";
        wrong(&files.key, what)
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => Err(wrong(
            &files.key,
            format_args!("its key is not that of {}", files.cert.display()),
        )),
    }
}

fn names_of(certified: &CertifiedKey, file: &Path) -> Result<Vec<String>, CertificateError> {
    let certificate = certified.end_entity_cert();
    let certificate = certificate.map_err(|error| wrong(file, error))?;
    let certificate = EndEntityCert::try_from(certificate);
    let certificate = certificate.map_err(|error| wrong(file, format_args!("{error:?}")))?;
    let names = certificate.valid_dns_names();
    Ok(names.map(str::to_ascii_lowercase).collect())
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|error| wrong(path, error))
}

fn wrong(file: &Path, what: impl ToString) -> CertificateError {
    CertificateError {
        file: file.display().to_string(),
        what: what.to_string(),
    }
}

#[cfg(test)]
mod tests;
