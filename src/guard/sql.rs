//! The registry of the guard's statements: every file of `queries/guard`, each once.

/// What ended around a restart.
pub const ENDED_SINCE: &str = include_str!("../../queries/guard/ended_since.sql");
/// How runs ended whose answers did not tell it.
pub const ENDS_TOLD: &str = include_str!("../../queries/guard/ends_told.sql");
/// Kills one query.
pub const KILL: &str = include_str!("../../queries/guard/kill.sql");
/// Ends the reading query of a client that has gone.
pub const KILL_LEFT: &str = include_str!("../../queries/guard/kill_left.sql");
/// The server's memory limit and cores.
pub const LIMITS: &str = include_str!("../../queries/guard/limits.sql");
/// What a policy is compiled for.
pub const POLICY_FACTS: &str = include_str!("../../queries/guard/policy_facts.sql");
/// Grants of the guard's roles and of its users.
pub const POLICY_GRANTS: &str = include_str!("../../queries/guard/policy_grants.sql");
/// Settings of the guard's profiles and of its users.
pub const POLICY_PROFILE_SETTINGS: &str = include_str!("../../queries/guard/policy_profile_settings.sql");
/// The guard's settings profiles.
pub const POLICY_PROFILES: &str = include_str!("../../queries/guard/policy_profiles.sql");
/// The guard's quotas with their limits.
pub const POLICY_QUOTAS: &str = include_str!("../../queries/guard/policy_quotas.sql");
/// All resources.
pub const POLICY_RESOURCES: &str = include_str!("../../queries/guard/policy_resources.sql");
/// Who holds roles.
pub const POLICY_ROLE_GRANTS: &str = include_str!("../../queries/guard/policy_role_grants.sql");
/// The guard's roles.
pub const POLICY_ROLES: &str = include_str!("../../queries/guard/policy_roles.sql");
/// Settings of the server itself that the guard cannot change with SQL.
pub const POLICY_SERVER_SETTINGS: &str = include_str!("../../queries/guard/policy_server_settings.sql");
/// Names of all settings that the server knows.
pub const POLICY_SETTINGS: &str = include_str!("../../queries/guard/policy_settings.sql");
/// The users of a policy that exist.
pub const POLICY_USERS: &str = include_str!("../../queries/guard/policy_users.sql");
/// All workloads.
pub const POLICY_WORKLOADS: &str = include_str!("../../queries/guard/policy_workloads.sql");
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
/// What the machine or the container allows, for a server without a limit of its own; the probes ask the same.
pub const MEMORY_TOTAL: &str = include_str!("../../queries/probes/memory_total.sql");

/// Names of the files, without extension, and their texts.
pub const ALL: &[(&str, &str)] = &[
    ("ended_since", ENDED_SINCE),
    ("ends_told", ENDS_TOLD),
    ("kill", KILL),
    ("kill_left", KILL_LEFT),
    ("limits", LIMITS),
    ("policy_facts", POLICY_FACTS),
    ("policy_grants", POLICY_GRANTS),
    ("policy_profile_settings", POLICY_PROFILE_SETTINGS),
    ("policy_profiles", POLICY_PROFILES),
    ("policy_quotas", POLICY_QUOTAS),
    ("policy_resources", POLICY_RESOURCES),
    ("policy_role_grants", POLICY_ROLE_GRANTS),
    ("policy_roles", POLICY_ROLES),
    ("policy_server_settings", POLICY_SERVER_SETTINGS),
    ("policy_settings", POLICY_SETTINGS),
    ("policy_users", POLICY_USERS),
    ("policy_workloads", POLICY_WORKLOADS),
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
