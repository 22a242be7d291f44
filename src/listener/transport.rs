//! A connection as it comes, or over TLS. The handshake happens when the connection is first read or written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::config::TlsConfig;

/// Certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{key} {path}: {reason}")]
    File {
        /// Key of the configuration.
        key: String,
        /// As configured.
        path: String,
        /// Why.
        reason: String,
    },
    /// They do not fit together.
    #[error("{section}: certificate and key cannot be used: {source}")]
    Unusable {
        /// Of the configuration.
        section: &'static str,
        /// Why.
        source: tokio_rustls::rustls::Error,
    },
}

/// Reads certificate and key of a section of the configuration. They are not read again: a new certificate needs a restart.
///
/// # Errors
/// See [`TlsError`].
pub fn tls_acceptor(section: &'static str, config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let certificate_error = |reason: String| TlsError::File {
        key: format!("{section}.certificate_file"),
        path: config.certificate_file.display().to_string(),
        reason,
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate_file)
        .and_then(Iterator::collect)
        .map_err(|error| certificate_error(error.to_string()))?;
    if certificates.is_empty() {
        return Err(certificate_error("holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|error| TlsError::File {
        key: format!("{section}.key_file"),
        path: config.key_file.display().to_string(),
        reason: error.to_string(),
    })?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|server| server.with_no_client_auth().with_single_cert(certificates, key));
    let mut server = server.map_err(|source| TlsError::Unusable { section, source })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// One connection.
pub(super) enum Transport {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn new(stream: TcpStream, tls: Option<&TlsAcceptor>) -> Self {
        match tls {
            Some(acceptor) => Self::Handshake(Box::new(acceptor.accept(stream))),
            None => Self::Plain(stream),
        }
    }

    /// The stream, once a handshake that is under way has ended.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Duplex>>> {
        if let Self::Handshake(accept) = self {
            let stream = ready!(Pin::new(accept.as_mut()).poll(context))?;
            *self = Self::Tls(Box::new(stream));
        }
        match self {
            Self::Plain(stream) => Poll::Ready(Ok(Pin::new(stream))),
            Self::Tls(stream) => Poll::Ready(Ok(Pin::new(stream.as_mut()))),
            // Replaced above.
            Self::Handshake(_) => Poll::Pending,
        }
    }
}

/// What both kinds of stream are.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A client that never finished its handshake is owed no farewell.
        if matches!(*self, Self::Handshake(_)) {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_open(context))?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        // TLS gathers the slices itself.
        true
    }
}
