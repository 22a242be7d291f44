//! The tables that a question may read: those of our schema, and which of them say whose each row is.

/// Column that says whose a row is.
pub const SUBSCRIPTION_COLUMN: &str = "subscription";

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Whether each of its rows is of one subscription.
    pub has_subscription: bool,
}

const fn shared(name: &'static str) -> Table {
    Table { name, has_subscription: false }
}

const fn owned(name: &'static str) -> Table {
    Table { name, has_subscription: true }
}

/// All of them. The schema is held to it.
pub const TABLES: [Table; 11] = [
    shared("alert_transitions"),
    shared("changes"),
    shared("incidents"),
    shared("ingest_intents"),
    shared("ingest_ledger"),
    shared("pages"),
    owned("query_runs"),
    owned("requests"),
    owned("requests_by_minute"),
    shared("signals"),
    shared("silences"),
];

/// Tables of `system` that everybody may read: they hold nothing.
pub(super) const SYSTEM_FOR_ALL: [&str; 3] = ["system.one", "system.numbers", "system.numbers_mt"];
/// And those that say what tables there are: rows of our database only, and for those who see all of it.
pub(super) const SYSTEM_CATALOGUE: [&str; 2] = ["system.columns", "system.tables"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_table_of_the_schema_is_here_and_says_whether_its_rows_are_somebodys() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/schema");
        let mut schema = BTreeMap::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let Some((_, rest)) = text.split_once("CREATE TABLE {database}.") else { continue };
            let name = rest.split_whitespace().next().unwrap().to_owned();
            schema.insert(name, rest.contains(&format!("\n    {SUBSCRIPTION_COLUMN} String")));
        }
        let listed: BTreeMap<String, bool> =
            TABLES.iter().map(|table| (table.name.to_owned(), table.has_subscription)).collect();
        assert_eq!(listed, schema);
        assert_eq!(listed.len(), TABLES.len());
    }
}
