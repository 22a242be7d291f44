//! How the guarded server is reached: as the guard's own user, and over TLS with the authority that the policy names.

use std::sync::Arc;
use std::time::Duration;

use super::GuardPolicy;
use crate::client_tls::{self, TlsError};
use crate::config::{Secret, SecretFileError};
use crate::store::Endpoint;

/// A file that says how to reach the guarded server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerAccessError {
    /// The password.
    #[error("server.password_file: {0}")]
    Password(#[from] SecretFileError),
    /// The certificate authorities.
    #[error("server.ca_file: {0}")]
    Authorities(#[from] TlsError),
}

impl GuardPolicy {
    /// The guarded server, as the guard's own user.
    ///
    /// # Errors
    /// The file of its password, or of its authorities, cannot be used.
    pub fn endpoint(&self, timeout: Duration) -> Result<Endpoint, ServerAccessError> {
        let server = &self.server;
        let password = Secret::resolve(server.password.as_ref(), server.password_file.as_deref())?.unwrap_or_default();
        let tls = server.ca_file.as_deref().map(|path| client_tls::client_config(Some(path))).transpose()?;
        Ok(Endpoint {
            url: server.url.clone(),
            // Not used: the guard's statements name their tables.
            database: "system".to_owned(),
            user: server.user.clone(),
            password,
            timeout,
            tls: tls.map(Arc::new),
        })
    }
}
