//! The registry of the guard's statements: every file of `queries/guard`, each once.

/// What ended around a restart.
pub const ENDED_SINCE: &str = include_str!("../../queries/guard/ended_since.sql");
/// Kills one query.
pub const KILL: &str = include_str!("../../queries/guard/kill.sql");
/// Ends the reading query of a client that has gone.
pub const KILL_LEFT: &str = include_str!("../../queries/guard/kill_left.sql");
/// The server's memory limit and cores.
pub const LIMITS: &str = include_str!("../../queries/guard/limits.sql");
/// What runs.
pub const PROCESSES: &str = include_str!("../../queries/guard/processes.sql");
/// How the server is.
pub const SERVER: &str = include_str!("../../queries/guard/server.sql");
/// Which settings may be given as a user.
pub const SETTABLE: &str = include_str!("../../queries/guard/settable.sql");
/// What the dashboards of the trial ask.
pub const TRIAL_DASHBOARD: &str = include_str!("../../queries/guard/trial_dashboard.sql");
/// What the trial writes.
pub const TRIAL_INSERT: &str = include_str!("../../queries/guard/trial_insert.sql");
/// A report of the trial that takes much memory.
pub const TRIAL_REPORT_PAYLOADS: &str = include_str!("../../queries/guard/trial_report_payloads.sql");
/// Another one.
pub const TRIAL_REPORT_SESSIONS: &str = include_str!("../../queries/guard/trial_report_sessions.sql");
/// Fills the table of the trial.
pub const TRIAL_SEED: &str = include_str!("../../queries/guard/trial_seed.sql");
/// The table of the trial.
pub const TRIAL_TABLE: &str = include_str!("../../queries/guard/trial_table.sql");
/// The workloads there are.
pub const WORKLOADS: &str = include_str!("../../queries/guard/workloads.sql");

/// Names of the files, without extension, and their texts.
pub const ALL: &[(&str, &str)] = &[
    ("ended_since", ENDED_SINCE),
    ("kill", KILL),
    ("kill_left", KILL_LEFT),
    ("limits", LIMITS),
    ("processes", PROCESSES),
    ("server", SERVER),
    ("settable", SETTABLE),
    ("trial_dashboard", TRIAL_DASHBOARD),
    ("trial_insert", TRIAL_INSERT),
    ("trial_report_payloads", TRIAL_REPORT_PAYLOADS),
    ("trial_report_sessions", TRIAL_REPORT_SESSIONS),
    ("trial_seed", TRIAL_SEED),
    ("trial_table", TRIAL_TABLE),
    ("workloads", WORKLOADS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_and_files_are_the_same() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/guard");
        let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_stem().unwrap().display().to_string(), std::fs::read_to_string(&path).unwrap()))
            .collect();
        files.sort();
        let registered: Vec<(String, String)> =
            ALL.iter().map(|(name, sql)| ((*name).to_owned(), (*sql).to_owned())).collect();
        assert_eq!(files, registered);
    }
}
