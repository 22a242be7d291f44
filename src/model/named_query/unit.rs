//! What the values of a column are counted in.

/// Unit of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Requests, attempts each counted.
    Requests,
    /// Requests in a second.
    RequestsPerSecond,
    /// Requests in a minute.
    RequestsPerMinute,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Days.
    Days,
    /// Bytes.
    Bytes,
    /// Rows.
    Rows,
    /// A share or a quotient: 0.5 is a half, or half as much.
    Ratio,
    /// A number of things that the column's name says.
    Count,
    /// A moment, in UTC.
    Time,
    /// A text.
    Text,
    /// A text that holds JSON.
    Json,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 13] = [
        Self::Requests,
        Self::RequestsPerSecond,
        Self::RequestsPerMinute,
        Self::Milliseconds,
        Self::Seconds,
        Self::Days,
        Self::Bytes,
        Self::Rows,
        Self::Ratio,
        Self::Count,
        Self::Time,
        Self::Text,
        Self::Json,
    ];

    /// As files and answers write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::RequestsPerSecond => "requests/s",
            Self::RequestsPerMinute => "requests/min",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Days => "d",
            Self::Bytes => "bytes",
            Self::Rows => "rows",
            Self::Ratio => "ratio",
            Self::Count => "1",
            Self::Time => "time",
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The unit of a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == text)
    }

    /// Whether its values are numbers.
    #[must_use]
    pub fn is_number(self) -> bool {
        !matches!(self, Self::Time | Self::Text | Self::Json)
    }
}
