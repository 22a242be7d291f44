//! What can go wrong between here and ClickHouse, and whether to try again: decided in this one place.

use std::time::Duration;

/// A statement failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke.
    #[error("clickhouse is unreachable: {0}")]
    Unreachable(String),
    /// No answer in time. An insert may have been done all the same.
    #[error("clickhouse did not answer within {0:?}")]
    TimedOut(Duration),
    /// ClickHouse refused the statement.
    #[error("clickhouse refused: {message}")]
    Refused {
        /// ClickHouse's error code.
        number: u32,
        /// ClickHouse's message.
        message: String,
    },
    /// The answer is not what was asked for, or the client cannot do this.
    #[error("clickhouse answered with something unexpected: {0}")]
    Protocol(String),
}

/// ClickHouse's error codes that mean something here: number, name, whether waiting may help.
const KNOWN_REFUSALS: [(u32, &str, bool); 26] = [
    (16, "unknown_column", false),
    (20, "column_count", false),
    (27, "unparsable_input", false),
    (47, "unknown_identifier", false),
    (53, "type_mismatch", false),
    (60, "unknown_table", false),
    (62, "syntax", false),
    (70, "cannot_convert_type", false),
    (81, "unknown_database", false),
    (117, "incorrect_data", false),
    (159, "server_timeout", true),
    (164, "readonly", false),
    (201, "quota_exceeded", true),
    (202, "too_many_queries", true),
    (209, "socket_timeout", true),
    (210, "server_network", true),
    (236, "server_stopping", true),
    (241, "memory_limit", true),
    (242, "table_readonly", true),
    (243, "disk_full", true),
    (252, "too_many_parts", true),
    (319, "unknown_insert_status", true),
    (394, "killed", true),
    (497, "access_denied", false),
    (516, "authentication_failed", false),
    (999, "keeper", true),
];

impl StoreError {
    /// From the client library's error. Server errors arrive as text (`Code: 241. DB::Exception: …`).
    pub(super) fn from_client(error: clickhouse::error::Error, timeout: Duration) -> Self {
        use clickhouse::error::Error;
        match error {
            Error::Network(source) => Self::Unreachable(chain(source.as_ref())),
            Error::TimedOut => Self::TimedOut(timeout),
            Error::BadResponse(message) => Self::from_response(message),
            other => Self::Protocol(chain(&other)),
        }
    }

    fn from_response(message: String) -> Self {
        let number = message
            .split_once("Code: ")
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
            .and_then(|digits| digits.parse().ok());
        match number {
            Some(number) => Self::Refused { number, message },
            // A proxy or a load balancer answered in ClickHouse's place (502, 503, 504 and the like).
            None => Self::Unreachable(message),
        }
    }

    /// The class of the error, from a bounded set: for metrics, health and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut(_) => "timed_out",
            Self::Refused { number, .. } => refusal(*number).map_or("refused", |(name, _)| name),
            Self::Protocol(_) => "protocol",
        }
    }

    /// Whether the same statement may succeed later without anybody doing anything about it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Refused { number, .. } => refusal(*number).is_some_and(|(_, retryable)| retryable),
            Self::Protocol(_) => false,
        }
    }
}

fn refusal(number: u32) -> Option<(&'static str, bool)> {
    KNOWN_REFUSALS.iter().find(|(known, ..)| *known == number).map(|(_, name, retryable)| (*name, *retryable))
}

/// The error and what it comes from, in one line: the outer message alone says only "client error (Connect)".
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(message: &str) -> StoreError {
        StoreError::from_response(message.to_owned())
    }

    #[test]
    fn overload_is_tried_again_and_a_wrong_schema_is_not() {
        let memory = response("Code: 241. DB::Exception: (total) memory limit exceeded");
        assert_eq!((memory.code(), memory.is_retryable()), ("memory_limit", true));
        let column = response("Code: 16. DB::Exception: No such column attempt in table t.requests");
        assert_eq!((column.code(), column.is_retryable()), ("unknown_column", false));
        let unknown = response("Code: 48. DB::Exception: not implemented");
        assert_eq!((unknown.code(), unknown.is_retryable()), ("refused", false));
    }

    #[test]
    fn an_answer_of_a_proxy_is_an_outage() {
        assert!(response("502 Bad Gateway").is_retryable());
    }

    #[test]
    fn known_refusals_are_sorted_and_unique() {
        assert!(KNOWN_REFUSALS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
