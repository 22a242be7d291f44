//! The registry of named queries: the only place where questions to the stored tables are written down.
//!
//! A file of `queries/named` is a query that the command line, dashboards, rules and people share. Its parameters are
//! those that its text names, `{name:Type}`.

/// A query of `queries/named`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedQuery {
    /// Name of the file, without extension.
    pub name: &'static str,
    /// The text. `{database}` stands for the database.
    pub sql: &'static str,
    /// Its parameters: every one of them has to be given.
    pub parameters: &'static [Parameter],
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the text.
    pub name: &'static str,
    /// What it takes.
    pub kind: ParameterKind,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// A whole number from 0.
    Count,
    /// A moment, as ClickHouse writes it in UTC with milliseconds.
    Moment,
}

impl ParameterKind {
    /// ClickHouse's type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Count => "UInt32",
            Self::Moment => "DateTime64(3, 'UTC')",
        }
    }
}

/// Which offset ranges are not accounted for exactly once.
pub const LEDGER_PROOF: NamedQuery = NamedQuery {
    name: "ledger_proof",
    sql: include_str!("../../queries/named/ledger_proof.sql"),
    parameters: &[
        Parameter { name: "topic", kind: ParameterKind::Text },
        Parameter { name: "as_of", kind: ParameterKind::Moment },
        Parameter { name: "limit", kind: ParameterKind::Count },
    ],
};

/// What the ledger says of each partition.
pub const LEDGER_TOTALS: NamedQuery = NamedQuery {
    name: "ledger_totals",
    sql: include_str!("../../queries/named/ledger_totals.sql"),
    parameters: &[
        Parameter { name: "topic", kind: ParameterKind::Text },
        Parameter { name: "limit", kind: ParameterKind::Count },
    ],
};

/// The server's clock, as `as_of` of another query takes it.
pub const SERVER_TIME: NamedQuery =
    NamedQuery { name: "server_time", sql: include_str!("../../queries/named/server_time.sql"), parameters: &[] };

/// What was said of pages.
pub const PAGES_SAID: NamedQuery = NamedQuery {
    name: "pages_said",
    sql: include_str!("../../queries/named/pages_said.sql"),
    parameters: &[
        Parameter { name: "from", kind: ParameterKind::Moment },
        Parameter { name: "until", kind: ParameterKind::Moment },
        Parameter { name: "key", kind: ParameterKind::Text },
        Parameter { name: "limit", kind: ParameterKind::Count },
    ],
};

/// Requests by minute and by what a request is described with.
pub const TRAFFIC_BY_MINUTE: NamedQuery = NamedQuery {
    name: "traffic_by_minute",
    sql: include_str!("../../queries/named/traffic_by_minute.sql"),
    parameters: &[
        Parameter { name: "from", kind: ParameterKind::Moment },
        Parameter { name: "until", kind: ParameterKind::Moment },
        Parameter { name: "service", kind: ParameterKind::Text },
        Parameter { name: "limit", kind: ParameterKind::Count },
    ],
};

/// Every named query.
pub const NAMED_QUERIES: [NamedQuery; 5] = [LEDGER_PROOF, LEDGER_TOTALS, PAGES_SAID, SERVER_TIME, TRAFFIC_BY_MINUTE];

impl NamedQuery {
    /// The query of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMED_QUERIES.iter().find(|query| query.name == name)
    }
}
