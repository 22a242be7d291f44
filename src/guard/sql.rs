//! The registry of the guard's statements: every file of `queries/guard`, each once.

/// Ends the reading query of a client that has gone.
pub const KILL_LEFT: &str = include_str!("../../queries/guard/kill_left.sql");
/// The server's memory limit.
pub const MEMORY_LIMIT: &str = include_str!("../../queries/guard/memory_limit.sql");
/// Which settings may be given as a user.
pub const SETTABLE: &str = include_str!("../../queries/guard/settable.sql");
/// The workloads there are.
pub const WORKLOADS: &str = include_str!("../../queries/guard/workloads.sql");

/// Names of the files, without extension, and their texts.
pub const ALL: &[(&str, &str)] = &[
    ("kill_left", KILL_LEFT),
    ("memory_limit", MEMORY_LIMIT),
    ("settable", SETTABLE),
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
