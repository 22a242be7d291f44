//! The registry of the guard's statements: every file of `queries/guard`, each once.

/// How the server is.
pub const SERVER: &str = include_str!("../../queries/guard/server.sql");
/// What runs.
pub const PROCESSES: &str = include_str!("../../queries/guard/processes.sql");
/// Kills one query.
pub const KILL: &str = include_str!("../../queries/guard/kill.sql");
/// What ended around a restart.
pub const ENDED_SINCE: &str = include_str!("../../queries/guard/ended_since.sql");

/// Names of the files, without extension, and their texts.
pub const ALL: &[(&str, &str)] =
    &[("ended_since", ENDED_SINCE), ("kill", KILL), ("processes", PROCESSES), ("server", SERVER)];

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
