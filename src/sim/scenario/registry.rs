//! The scenarios built into the binary.

macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        /// Names of the built-in scenarios.
        pub const NAMES: &[&str] = &[$($name),*];

        /// Text of a built-in scenario.
        #[must_use]
        pub fn embedded(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../../scenarios/", $name, ".toml"))),)*
                _ => None,
            }
        }
    };
}

scenarios!(
    "bot-served",
    "clock-skew",
    "flash-crowd",
    "harmless-deploy",
    "kameleo-retry-storm",
    "kameleo-unmarked-storm",
    "kameleoon-cache-loss",
    "kameleoon-query-blowup",
    "late-and-missing",
    "latency-after-deploy",
    "marketing-peak",
    "metastable-loop",
    "nightly-backfill",
    "oom-loop",
    "outage-compliant-retries",
    "plain-leak",
    "query-regression",
    "quiet-bursty-week",
    "quiet-day",
    "quiet-platform-week",
    "quiet-weeks",
    "rapidapi-memory-growth",
    "rapidapi-network-ceiling",
    "rapidapi-slow-burn",
    "slow-pool",
    "steel-pool-leak",
    "storm-beside-leak",
    "version-migration",
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::sim::ScenarioFile;

    #[test]
    fn registry_and_directory_are_a_bijection_and_all_are_valid() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let names: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(files, names);
        assert_eq!(names.len(), NAMES.len(), "a name twice");
        for name in NAMES {
            let scenario = ScenarioFile::load(name, None).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(scenario.name(), *name, "the name is the file's");
            assert!(scenario.truth().is_some(), "{name} says what is true about it");
            for amplitude in scenario.amplitude().map(crate::sim::AmplitudeSpec::all).unwrap_or_default() {
                ScenarioFile::load(name, Some(amplitude)).unwrap_or_else(|e| panic!("{e}"));
            }
        }
    }
}
