//! The registry of migrations: numbered SQL files, in order, each run once.

/// A numbered step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its place, from 1, without gaps.
    pub number: u32,
    /// Name of the file without number and extension.
    pub name: &'static str,
    /// One statement. `{database}` stands for the database.
    pub sql: &'static str,
}

/// Every migration, in order. A file that has been released is never edited: its checksum is recorded where it ran.
pub const MIGRATIONS: [Migration; 15] = [
    migration(1, "requests", include_str!("../../queries/schema/0001_requests.sql")),
    migration(2, "signals", include_str!("../../queries/schema/0002_signals.sql")),
    migration(3, "changes", include_str!("../../queries/schema/0003_changes.sql")),
    migration(4, "query_runs", include_str!("../../queries/schema/0004_query_runs.sql")),
    migration(5, "requests_by_minute", include_str!("../../queries/schema/0005_requests_by_minute.sql")),
    migration(6, "alert_transitions", include_str!("../../queries/schema/0006_alert_transitions.sql")),
    migration(7, "incidents", include_str!("../../queries/schema/0007_incidents.sql")),
    migration(8, "ingest_ledger", include_str!("../../queries/schema/0008_ingest_ledger.sql")),
    migration(9, "ingest_ledger_epoch", include_str!("../../queries/schema/0009_ingest_ledger_epoch.sql")),
    migration(10, "ingest_intents", include_str!("../../queries/schema/0010_ingest_intents.sql")),
    migration(11, "requests_attempts", include_str!("../../queries/schema/0011_requests_attempts.sql")),
    migration(
        12,
        "requests_by_minute_attempts",
        include_str!("../../queries/schema/0012_requests_by_minute_attempts.sql"),
    ),
    migration(13, "incidents_timeline", include_str!("../../queries/schema/0013_incidents_timeline.sql")),
    migration(14, "pages", include_str!("../../queries/schema/0014_pages.sql")),
    migration(15, "silences", include_str!("../../queries/schema/0015_silences.sql")),
];

const fn migration(number: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration { number, name, sql }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_and_files_are_the_same() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/schema");
        let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        let registry: Vec<(String, String)> =
            MIGRATIONS.iter().map(|m| (format!("{:04}_{}.sql", m.number, m.name), m.sql.to_owned())).collect();
        assert_eq!(files, registry);
    }

    #[test]
    fn numbers_have_no_gaps() {
        assert!(MIGRATIONS.iter().zip(1..).all(|(migration, number)| migration.number == number));
    }
}
