//! Why a question has no answer.

use super::estimate::Estimate;
use super::fence::FenceError;
use crate::guard::gate::Refusal;
use crate::store::StoreError;

/// A question that is not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Its text says what may not be said here.
    #[error("{0}")]
    Fence(#[from] FenceError),
    /// The guard does not let it run.
    #[error("{refusal}")]
    Guard {
        /// Why, and what to change.
        refusal: Refusal,
        /// What it would have cost.
        estimate: Option<Box<Estimate>>,
    },
    /// Too many questions are asked at once.
    #[error("{0}")]
    Busy(String),
    /// ClickHouse does not understand it, or it fails on its data.
    #[error("clickhouse: {message}")]
    Sql {
        /// ClickHouse's code.
        number: u32,
        /// Its words, as far as they may be told.
        message: String,
    },
    /// It has taken more than it may.
    #[error("{what}")]
    Limit {
        /// ClickHouse's code.
        number: u32,
        /// Which limit.
        what: String,
    },
    /// ClickHouse is away, or does not take questions as this user.
    #[error("{0}")]
    Storage(StoreError),
}

/// ClickHouse's codes of limits, and what was too much.
const LIMITS: [(u32, &str); 8] = [
    (158, "it reads more rows than it may"),
    (159, "it takes longer than it may"),
    (160, "it is too slow for what it has to read"),
    (161, "it has too many columns"),
    (191, "a set in it grows larger than it may"),
    (241, "it takes more memory than it may"),
    (307, "it reads more bytes than it may"),
    (396, "its answer is larger than it may be"),
];
/// Codes whose words tell of the text alone, never of a row.
const ABOUT_THE_TEXT: [u32; 17] = [20, 36, 42, 43, 46, 47, 60, 62, 63, 81, 115, 141, 164, 181, 207, 215, 497];
/// Codes that say that something is wrong with the server or with our user.
const NOT_THE_TEXT: [u32; 9] = [192, 193, 194, 202, 209, 210, 236, 452, 516];

impl QueryError {
    /// From what ClickHouse said. `is_restricted`: whoever asks may not see rows of others, and the words of an exception may
    /// hold some.
    pub(super) fn from_store(error: StoreError, is_restricted: bool) -> Self {
        let StoreError::Refused { number, message } = error else { return Self::Storage(error) };
        if let Some((_, what)) = LIMITS.iter().find(|(code, _)| *code == number) {
            return Self::Limit { number, what: (*what).to_owned() };
        }
        if NOT_THE_TEXT.contains(&number) {
            return Self::Storage(StoreError::Refused { number, message });
        }
        let message = match is_restricted && !ABOUT_THE_TEXT.contains(&number) {
            true => format!("the query failed on its data (code {number})"),
            false => plain(&message),
        };
        Self::Sql { number, message }
    }
}

/// The message without code and version, on one line, cut where it becomes long.
fn plain(message: &str) -> String {
    const CHARS_MAX: usize = 1_000;
    let text = message.split_once("DB::Exception: ").map_or(message, |(_, text)| text);
    let text = text.split(" (version ").next().unwrap_or(text);
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u32, message: &str, is_restricted: bool) -> QueryError {
        QueryError::from_store(StoreError::Refused { number, message: message.to_owned() }, is_restricted)
    }

    #[test]
    fn words_of_an_exception_do_not_show_rows_of_others() {
        let text =
            "Code: 6. DB::Exception: Cannot parse string 'globex' as UInt8. (CANNOT_PARSE_TEXT) (version 26.7.2.1)";
        assert!(!error(6, text, true).to_string().contains("globex"));
        assert_eq!(
            error(6, text, false).to_string(),
            "clickhouse: Cannot parse string 'globex' as UInt8. (CANNOT_PARSE_TEXT)"
        );
        let text = "Code: 47. DB::Exception: Unknown identifier `x`. (version 26.7)";
        assert_eq!(error(47, text, true).to_string(), "clickhouse: Unknown identifier `x`.");
        for number in [20, 141, 181, 497] {
            assert_eq!(error(number, text, true).to_string(), "clickhouse: Unknown identifier `x`.", "{number}");
        }
    }

    #[test]
    fn limits_and_failures_of_the_server_are_told_apart() {
        assert!(matches!(error(241, "", false), QueryError::Limit { .. }));
        assert!(matches!(error(202, "", false), QueryError::Storage(_)));
        // A text that sets what it may not: the server is well.
        assert!(matches!(error(164, "", false), QueryError::Sql { .. }));
    }
}
