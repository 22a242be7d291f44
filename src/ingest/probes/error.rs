//! Why a look at a target failed.

use std::time::Duration;

use crate::client_tls::TlsError;
use crate::config::SecretFileError;

/// Longest text of somebody else's that a message quotes, in characters.
const QUOTED_CHARACTERS_MAX: usize = 300;

/// A look that failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A file that holds a secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// A file of certificate authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No answer in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// No connection, or one that broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The target answered that it does not answer: a wrong password, a missing right, a 404.
    #[error("refused: {0}")]
    Refused(String),
    /// ClickHouse answered with an exception.
    #[error("ClickHouse error {code}: {message}")]
    ClickHouse {
        /// Its code.
        code: i32,
        /// The first line of its text, cut.
        message: String,
    },
    /// The answer is not what such a target says.
    #[error("not understood: {0}")]
    Protocol(String),
    /// The answer is longer than is read.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
}

impl ProbeError {
    /// The first line of what a target said, cut to what a message may quote.
    pub(super) fn quote(text: &[u8]) -> String {
        let text = String::from_utf8_lossy(&text[..text.len().min(4 * QUOTED_CHARACTERS_MAX)]);
        let first_line = text.lines().next().unwrap_or_default().trim();
        first_line.chars().take(QUOTED_CHARACTERS_MAX).collect()
    }
}
