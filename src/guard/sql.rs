//! The registry of the guard's statements: every file of `queries/guard`, each once.

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
/// What the machine or the container allows, for a server without a limit of its own; the probes ask the same.
pub const MEMORY_TOTAL: &str = include_str!("../../queries/probes/memory_total.sql");

/// Names of the files, without extension, and their texts.
pub const ALL: &[(&str, &str)] = &[
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
