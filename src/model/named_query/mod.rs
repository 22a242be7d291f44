//! The registry of named queries: the only place where questions to the stored tables are written down.
//!
//! A file of `queries/named` is a query that the command line, the API, the console, dashboards, rules and people share.
//! What it is called, what it takes and what it gives stands in the comments at its top (`header`).

mod bind;
mod budget;
mod header;
mod unit;

use std::sync::LazyLock;

pub use bind::{BindError, BindProblem, Bound, PARAMETER_BYTES_MAX};
pub use budget::{BudgetClass, BudgetLimits};
pub use header::{HeaderMistake, read_header};
pub use unit::Unit;

/// A query of `queries/named`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedQuery {
    /// Name of the file, without extension.
    pub name: &'static str,
    /// The file, comments included. `{database}` stands for the database.
    pub sql: &'static str,
    /// What it is called.
    pub title: String,
    /// What it answers, what to do with the answer, what it costs.
    pub description: String,
    /// Who looks after it.
    pub owner: String,
    /// What it may cost.
    pub budget: BudgetClass,
    /// Its parameters, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// What its answer consists of, in the order of the answer.
    pub columns: Vec<Column>,
}

/// A parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the text.
    pub name: String,
    /// What it takes.
    pub kind: ParameterKind,
    /// What it is when nobody says otherwise; without one it has to be given.
    pub default: Option<String>,
    /// What it means.
    pub description: String,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What its values are counted in.
    pub unit: Unit,
    /// What it means.
    pub description: String,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// Any text.
    Text,
    /// A whole number from 0.
    Count,
    /// A finite number.
    Number,
    /// A moment.
    Moment,
}

impl ParameterKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Text, Self::Count, Self::Number, Self::Moment];

    /// ClickHouse's type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Count => "UInt32",
            Self::Number => "Float64",
            Self::Moment => "DateTime64(3, 'UTC')",
        }
    }

    /// What it takes, for people.
    #[must_use]
    pub fn takes(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Count => "a whole number from 0",
            Self::Number => "a number",
            Self::Moment => "a moment: RFC 3339, `now`, or `now-5m`",
        }
    }
}

/// Name and text of each file.
macro_rules! files {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), include_str!(concat!("../../../queries/named/", stringify!($name), ".sql")))),*]
    };
}

const FILES: [(&str, &str); 27] = files![
    alerts_between,
    amplification_by_client_version,
    change_impact,
    changes_between,
    customers_on_version,
    error_budget_state,
    growth_forecast,
    incidents_between,
    ledger_proof,
    ledger_totals,
    limit_exceeded,
    memory_over_time,
    pages_said,
    pools_over_time,
    query_fingerprints_heaviest,
    query_fingerprints_slowest,
    query_runs_over_time,
    route_latency_over_time,
    server_time,
    subscription_day,
    subscriptions_top_errors,
    subscriptions_top_load,
    subscriptions_top_retries,
    traffic_by_minute,
    traffic_over_time,
    versions_over_time,
    wasteful_callers,
];

static REGISTRY: LazyLock<Vec<NamedQuery>> = LazyLock::new(|| {
    let queries = FILES.iter().map(|(name, sql)| {
        // The files are part of the binary, and a test reads the header of each.
        read_header(name, sql).unwrap_or_else(|mistakes| panic!("queries/named/{name}.sql: {mistakes:?}"))
    });
    queries.collect()
});

impl NamedQuery {
    /// Every named query, by name.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &REGISTRY
    }

    /// The query of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|query| query.name == name)
    }

    /// The parameter of a name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

/// A query that code asks for by name.
pub type Known = LazyLock<&'static NamedQuery>;

macro_rules! known {
    ($($(#[$meta:meta])* $constant:ident = $name:ident;)*) => {
        $($(#[$meta])* pub static $constant: Known = LazyLock::new(|| {
            // It is in the list above: a test asks for each.
            NamedQuery::find(stringify!($name)).unwrap_or_else(|| panic!("no {} in the registry", stringify!($name)))
        });)*
    };
}

known! {
    /// Which offset ranges are not accounted for exactly once.
    LEDGER_PROOF = ledger_proof;
    /// What the ledger says of each partition.
    LEDGER_TOTALS = ledger_totals;
    /// What was said of pages.
    PAGES_SAID = pages_said;
    /// The server's clock, as `as_of` of another query takes it.
    SERVER_TIME = server_time;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn directory() -> &'static str {
        concat!(env!("CARGO_MANIFEST_DIR"), "/queries/named")
    }

    #[test]
    fn registry_and_files_are_the_same() {
        let paths = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
        // Their budgets are beside them.
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sql"));
        let named = |path: std::path::PathBuf| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
        };
        let files: BTreeSet<(String, String)> = paths.map(named).collect();
        let registry: BTreeSet<(String, String)> =
            NamedQuery::all().iter().map(|query| (query.name.to_owned(), query.sql.to_owned())).collect();
        assert_eq!(files, registry);
        assert_eq!(registry.len(), FILES.len(), "a name is there twice");
        assert!(FILES.is_sorted(), "they are listed by name");
    }

    #[test]
    fn every_file_has_a_header_without_mistakes() {
        for (name, sql) in FILES {
            read_header(name, sql).unwrap();
        }
    }

    #[test]
    fn what_code_asks_for_is_there() {
        for (known, name) in [
            (&LEDGER_PROOF, "ledger_proof"),
            (&LEDGER_TOTALS, "ledger_totals"),
            (&PAGES_SAID, "pages_said"),
            (&SERVER_TIME, "server_time"),
        ] {
            assert_eq!(known.name, name);
        }
    }

    #[test]
    fn every_default_is_what_its_parameter_takes() {
        let now = crate::model::Timestamp::from_millis(1_767_225_600_000);
        for query in NamedQuery::all() {
            let mut given = std::collections::BTreeMap::new();
            for parameter in query.parameters.iter().filter(|parameter| parameter.default.is_none()) {
                given.insert(parameter.name.clone(), "1".to_owned());
            }
            let refused = query.bind(&given, now).err();
            // Of those without a default only moments cannot be `1`.
            let moments = query.parameters.iter().any(|p| p.default.is_none() && p.kind == ParameterKind::Moment);
            assert_eq!(refused.is_some(), moments, "{}: {refused:?}", query.name);
        }
    }
}
