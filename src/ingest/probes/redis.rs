//! Redis: one `INFO` a look, on a connection of its own.
//!
//! The protocol is spoken by hand: two commands and three kinds of reply are less than a client library's pools,
//! reconnection and dependencies, and here the reply is bounded while it is read.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{BufReader, BufStream};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ProbeError, Reading, redis_info};
use crate::client_tls;
use crate::config::{RedisProbeConfig, Secret};
use crate::model::Timestamp;

/// Longest `INFO` that is read: it takes about 6 KiB, more with many databases.
const INFO_BYTES_MAX: usize = 1_024 * 1_024;
/// Longest line before a reply's body: a length, `+OK`, or an error.
const LINE_BYTES_MAX: u64 = 1_024;

/// A Redis server and how to reach it.
#[derive(Debug)]
pub(super) struct RedisProbe {
    source: String,
    address: String,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<Arc<rustls::ClientConfig>>,
    timeout: Duration,
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<C: AsyncRead + AsyncWrite + Unpin + Send> Connection for C {}

impl RedisProbe {
    /// Reads the files that the configuration names.
    pub fn new(config: &RedisProbeConfig) -> Result<Self, ProbeError> {
        let tls = config.tls.then(|| client_tls::client_config(config.ca_file.as_deref())).transpose()?;
        Ok(Self {
            source: format!("redis/{}", config.name),
            address: config.address.clone(),
            user: config.user.clone(),
            password: config.secret()?,
            tls: tls.map(Arc::new),
            timeout: config.timeout.0,
        })
    }

    /// Asks once.
    pub async fn look(&self, now: Timestamp) -> Result<Reading, ProbeError> {
        let asked = tokio::time::timeout(self.timeout, self.info());
        let info = asked.await.map_err(|_| ProbeError::TimedOut(self.timeout))??;
        let events = redis_info::signals(&info, &self.source, now);
        if events.is_empty() {
            return Err(ProbeError::Protocol("INFO holds none of the known fields".to_owned()));
        }
        Ok(Reading { events, note: None })
    }

    async fn info(&self) -> Result<String, ProbeError> {
        let mut connection = BufStream::new(self.connect().await?);
        connection.write_all(&self.commands()).await.map_err(broken)?;
        connection.flush().await.map_err(broken)?;
        let mut replies = BufReader::new(connection);
        if self.password.is_some() {
            read_reply(&mut replies).await.map_err(without_quotes)?;
        }
        let info = read_reply(&mut replies).await?;
        String::from_utf8(info).map_err(|_| ProbeError::Protocol("INFO is not UTF-8".to_owned()))
    }

    async fn connect(&self) -> Result<Box<dyn Connection>, ProbeError> {
        let plain = TcpStream::connect(&self.address).await.map_err(broken)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(plain)) };
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| ProbeError::Protocol(format!("{host} is no name that a certificate can have")))?;
        let connected = TlsConnector::from(Arc::clone(tls)).connect(name, plain).await.map_err(broken)?;
        Ok(Box::new(connected))
    }

    /// `AUTH` when there is a password, then `INFO`, sent together.
    fn commands(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(password) = &self.password {
            let words = ["AUTH"].into_iter().chain(self.user.as_deref()).chain([password.expose()]);
            command(&mut bytes, &words.collect::<Vec<_>>());
        }
        command(&mut bytes, &["INFO"]);
        bytes
    }
}

fn command(bytes: &mut Vec<u8>, words: &[&str]) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

// Taken by value because that is what `map_err` gives.
fn broken(error: std::io::Error) -> ProbeError {
    ProbeError::Unreachable(error.to_string())
}

/// What a reply to `AUTH` says may repeat the password (`unknown command 'AUTH', with args beginning with: …`): of a
/// refusal only the kind is kept, which is its first word, in capitals.
fn without_quotes(error: ProbeError) -> ProbeError {
    match error {
        ProbeError::Refused(text) => {
            let kind = text.split_whitespace().next().filter(|word| word.bytes().all(|byte| byte.is_ascii_uppercase()));
            ProbeError::Refused(kind.unwrap_or("AUTH").to_owned())
        }
        ProbeError::Protocol(_) => ProbeError::Protocol("the answer to AUTH is none of Redis".to_owned()),
        other => other,
    }
}

/// One reply: a status (`+OK`), an error (`-ERR …`) or a text with its length (`$12`).
async fn read_reply(replies: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>, ProbeError> {
    let mut line = Vec::new();
    replies.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(broken)?;
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(ProbeError::Unreachable("the connection ended before the answer".to_owned()));
    };
    match line.split_first() {
        Some((b'+', status)) => Ok(status.to_vec()),
        Some((b'-', error)) => Err(ProbeError::Refused(ProbeError::quote(error))),
        Some((b'$', length)) => {
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse::<usize>().ok());
            let length = length.ok_or_else(|| ProbeError::Protocol("a reply without a length".to_owned()))?;
            if length > INFO_BYTES_MAX {
                return Err(ProbeError::TooLarge(INFO_BYTES_MAX));
            }
            let mut body = vec![0; length + 2];
            replies.read_exact(&mut body).await.map_err(broken)?;
            body.truncate(length);
            Ok(body)
        }
        _ => Err(ProbeError::Protocol(format!("this is no Redis: {}", ProbeError::quote(line)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reply(bytes: &[u8]) -> Result<Vec<u8>, ProbeError> {
        let mut bytes = bytes;
        read_reply(&mut bytes).await
    }

    #[tokio::test]
    async fn a_reply_to_auth_that_repeats_the_password_is_not_quoted() {
        for (answer, kept) in [
            ("-ERR unknown command 'AUTH', with args beginning with: 'hunter2'\r\n", "ERR"),
            ("-WRONGPASS invalid username-password pair\r\n", "WRONGPASS"),
            ("-hunter2 is wrong\r\n", "AUTH"),
            ("hunter2\r\n", "AUTH"),
        ] {
            let error = without_quotes(reply(answer.as_bytes()).await.unwrap_err()).to_string();
            assert!(error.contains(kept) && !error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn replies_are_read_and_bounded() {
        assert_eq!(reply(b"+OK\r\n").await.unwrap(), b"OK");
        assert_eq!(reply(b"$5\r\na\r\nbc\r\n").await.unwrap(), b"a\r\nbc");
        assert!(matches!(reply(b"-NOAUTH Authentication required.\r\n").await, Err(ProbeError::Refused(_))));
        assert!(matches!(reply(b"$99999999\r\n").await, Err(ProbeError::TooLarge(_))));
        assert!(matches!(reply(b"$-1\r\n").await, Err(ProbeError::Protocol(_))));
        assert!(matches!(reply(b"HTTP/1.1 400 Bad Request\r\n").await, Err(ProbeError::Protocol(_))));
        assert!(matches!(reply(b"").await, Err(ProbeError::Unreachable(_))));
        assert!(matches!(reply(&[b'x'; 5_000]).await, Err(ProbeError::Unreachable(_))));
        assert!(matches!(reply(b"$5\r\nab").await, Err(ProbeError::Unreachable(_))));
    }
}
