//! The pure core does no I/O and reads no clock; ingest and store do not know each other.

use std::path::{Path, PathBuf};

/// Directories and files of the pure core, and what in them belongs to the shell.
const PURE: [&str; 11] = [
    "model",
    "decode",
    "flow",
    "detect",
    "incident",
    "alert",
    "limits",
    "drawing",
    "postmortem",
    "status",
    "pipeline.rs",
];
const SHELL_INSIDE: [&str; 3] = ["alert/notify", "alert/notify.rs", "limits/stored.rs"];
/// Crates that do I/O or give random numbers.
const CRATES_BANNED: [&str; 8] = ["tokio", "rdkafka", "clickhouse", "axum", "reqwest", "hyper", "rand", "rand_chacha"];
/// Clocks, also where they are not imported but named in full.
const CLOCKS_BANNED: [&str; 4] = ["SystemTime", "Instant::now", "Timestamp::now", "Zoned::now"];
/// Modules of the shell: the core must not reach I/O through them either.
const SHELL_MODULES: [&str; 9] = ["ingest", "store", "local", "api", "cli", "app", "sim", "alert::notify", "shutdown"];

fn source_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_rust = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
    paths.filter(is_rust).flat_map(|path| rust_files(&path)).collect()
}

/// Whether `line` names the path `module` as a path of its own (not as the end of a longer word).
fn names(line: &str, module: &str) -> bool {
    line.match_indices(&format!("{module}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    }) || line.trim_start().strip_prefix("use ").is_some_and(|rest| rest.trim_end_matches(';') == module)
}

/// What of `line` breaks purity, if anything. Comments may name what they like.
fn impurity(line: &str) -> Option<String> {
    let code = line.split("//").next().unwrap_or_default();
    let named_crate = CRATES_BANNED.into_iter().find(|banned| names(code, banned)).map(str::to_owned);
    let clock = || CLOCKS_BANNED.into_iter().find(|banned| code.contains(banned)).map(str::to_owned);
    let shell = || SHELL_MODULES.into_iter().map(|module| format!("crate::{module}")).find(|path| code.contains(path));
    named_crate.or_else(clock).or_else(shell)
}

fn violations(files: Vec<PathBuf>, check: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (line, number) in text.lines().zip(1..) {
            found.extend(check(line).map(|what| format!("{}:{number}: {what}", file.display())));
        }
    }
    found
}

#[test]
fn the_pure_core_does_no_io_and_reads_no_clock() {
    let source = source_directory();
    let mut files: Vec<PathBuf> = PURE.iter().flat_map(|part| rust_files(&source.join(part))).collect();
    files.retain(|file| !SHELL_INSIDE.iter().any(|inside| file.starts_with(source.join(inside))));
    assert!(files.len() >= 10, "the pure core was not found");
    assert_eq!(violations(files, impurity), [""; 0]);
}

#[test]
fn ingest_and_store_do_not_know_each_other() {
    let source = source_directory();
    let mentions = |path: &'static str| move |line: &str| line.contains(path).then(|| path.to_owned());
    let ingest = rust_files(&source.join("ingest"));
    let store = rust_files(&source.join("store"));
    assert!(!ingest.is_empty() && !store.is_empty());
    assert_eq!(violations(ingest, mentions("crate::store")), [""; 0]);
    assert_eq!(violations(store, mentions("crate::ingest")), [""; 0]);
}

#[test]
fn the_public_site_knows_files_and_the_listener_and_nothing_else() {
    let knows_more = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        let known = ["listener::", "status::render::"];
        let paths = code.split("crate::").skip(1);
        paths.map(str::to_owned).find(|path| !known.iter().any(|known| path.starts_with(known)))
    };
    let files = rust_files(&source_directory().join("public_site"));
    assert!(!files.is_empty() && knows_more("use crate::api::Tokens;").is_some());
    assert_eq!(violations(files, knows_more), [""; 0]);
}

#[test]
fn the_check_itself_sees_what_it_must() {
    for impure in [
        "use tokio::sync::mpsc;",
        "use rand;",
        "    let now = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "    clickhouse::Client::default()",
        "use crate::store::Writer;",
    ] {
        assert!(impurity(impure).is_some(), "{impure}");
    }
    for pure in ["// unlike tokio::spawn, this …", "use operand::X;", "let clickhouse = 1;", "use crate::model::Event;"]
    {
        assert!(impurity(pure).is_none(), "{pure}");
    }
}
