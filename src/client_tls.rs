//! TLS towards other people's servers: whom to trust, in one place for all our clients but Kafka's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Most certificates that a file of authorities may hold: a system's own bundle has fewer than 200.
const AUTHORITIES_MAX: usize = 2_000;

/// A file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificate authorities in {path}: {reason}")]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// A client that trusts the authorities in `ca_file` alone, else those of the system.
///
/// # Errors
/// The file cannot be read, or holds no certificate. A system without authorities is no error: it then trusts nobody.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in read_authorities(path)? {
                let error = |error: rustls::Error| TlsError { path: path.to_owned(), reason: error.to_string() };
                roots.add(certificate).map_err(error)?;
            }
        }
        None => {
            // One certificate of the system's that cannot be read must not take the others along.
            let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    trusting(roots)
}

/// A client that trusts nobody: for a plain `http://` server, on machines without any authorities too.
///
/// # Errors
/// Never in practice: see [`client_config`].
pub fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError { path: PathBuf::new(), reason: error.to_string() })?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn read_authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError { path: path.to_owned(), reason };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let certificates: Vec<_> =
        read.take(AUTHORITIES_MAX).collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for (content, reason) in [(None, "ca.pem"), (Some("hello"), "no certificate")] {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn authorities_of_a_file_are_trusted_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
        std::fs::write(&path, authority.cert.pem()).unwrap();
        assert!(client_config(Some(&path)).is_ok());
        assert!(client_config(None).is_ok());
    }
}
