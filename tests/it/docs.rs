//! The documentation says what is so: paths, commands, metrics, configuration keys, bounds and quoted output.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use floodmark::config::Format;
use floodmark::model::{AlertName, AttemptSource, RejectionCode};
use serde_json::Value;

use crate::config_files::schema_keys;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every document for people: name and text.
fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from).to_vec();
    for directory in ["docs", "docs/sources", "docs/status", "alerts/runbooks"] {
        let entries = std::fs::read_dir(root().join(directory)).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.path().is_file());
        paths.extend(files.map(|entry| Path::new(directory).join(entry.file_name())));
    }
    paths.sort();
    paths.into_iter().map(|path| (path.display().to_string(), read(&path))).collect()
}

/// Text between backticks, and the lines of code blocks.
fn code(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            pieces.push(line);
        } else {
            pieces.extend(line.split('`').skip(1).step_by(2));
        }
    }
    pieces
}

fn is_one_of(character: char, further: &str) -> bool {
    character.is_ascii_alphanumeric() || further.contains(character)
}

fn floodmark(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(arguments).env_remove("FLOODMARK_CONFIG");
    command
}

/// Cells of the table rows whose first cell begins with code; that code comes first.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    text.lines().filter(|line| line.starts_with("| `")).map(cells).collect()
}

fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("no section {title}"));
    rest.split("\n## ").next().unwrap_or(rest)
}

#[test]
fn the_map_names_what_there_is() {
    let architecture = read("ARCHITECTURE.md");
    let named: BTreeSet<String> = rows(section(&architecture, "Map"))
        .iter()
        .flat_map(|cells| code(&cells[0]).into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let absent: Vec<&String> = named.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(named.len() > 30 && absent.is_empty(), "the map names what is not there: {absent:?}");
    let mut present = Vec::new();
    for entry in std::fs::read_dir(root().join("src")).unwrap().map(Result::unwrap) {
        let name = format!("src/{}", entry.file_name().display());
        if entry.path().is_dir() {
            let inner = std::fs::read_dir(entry.path()).unwrap().map(Result::unwrap);
            let inner = inner.filter(|entry| entry.path().is_dir() && entry.file_name() != "snapshots");
            present.extend(inner.map(|entry| format!("{name}/{}/", entry.file_name().display())));
            present.push(format!("{name}/"));
        } else {
            present.push(name);
        }
    }
    let unnamed: Vec<&String> = present.iter().filter(|path| !named.contains(*path)).collect();
    assert!(unnamed.is_empty(), "the map does not name {unnamed:?}");
}

#[test]
fn links_lead_somewhere() {
    for (name, text) in documents() {
        let directory = Path::new(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            let elsewhere = link.starts_with("http") || target.is_empty();
            assert!(elsewhere || root().join(&directory).join(target).exists(), "{name} links to {link}");
        }
    }
}

/// The arguments of every `floodmark …` in the text, one list a command.
fn command_lines(text: &str) -> Vec<Vec<&str>> {
    let mut all = Vec::new();
    for piece in code(text).into_iter().flat_map(|line| line.split(['|', ';', '&', '('])) {
        let words: Vec<&str> = piece.split_whitespace().take_while(|word| !word.starts_with(['#', '>', '<'])).collect();
        // Variables may stand before it, as in a shell.
        let place = words.iter().position(|word| !word.contains('='));
        let is_program = |word: &str| word == "floodmark" || word.ends_with("/floodmark");
        if let Some(place) = place.filter(|place| is_program(words[*place])) {
            all.push(words[place + 1..].to_vec());
        }
    }
    all
}

#[test]
fn every_command_line_is_one() {
    let mut helps: BTreeMap<Vec<String>, String> = BTreeMap::new();
    let mut count = 0;
    for (name, text) in documents() {
        for words in command_lines(&text) {
            count += 1;
            let has_subcommands = [
                "alerts",
                "config",
                "dashboards",
                "dead-letters",
                "guard",
                "incidents",
                "ledger",
                "limits",
                "status",
                "token",
            ]
            .map(Some);
            let depth = if has_subcommands.contains(&words.first().copied()) { 2 } else { 1 };
            let path: Vec<String> =
                words.iter().take_while(|w| !w.starts_with('-')).take(depth).map(|w| (*w).to_owned()).collect();
            let help = helps.entry(path.clone()).or_insert_with(|| {
                let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
                arguments.push("--help");
                let output = floodmark(&arguments).output().unwrap();
                assert!(output.status.success(), "{name}: floodmark {words:?} is no command");
                String::from_utf8(output.stdout).unwrap()
            });
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap().trim_end_matches([',', '.', ')', ']']);
                assert!(help.contains(flag), "{name}: floodmark {words:?}: there is no {flag}");
            }
        }
    }
    assert!(count > 20, "only {count} command lines were found");
}

fn runbooks() -> Vec<(String, String)> {
    documents().into_iter().filter(|(name, _)| name.starts_with("alerts/runbooks/")).collect()
}

/// Words between quotes are one.
fn unquoted(words: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for word in words {
        let text = word.replace('"', "");
        match all.last_mut().filter(|_| open) {
            Some(last) => last.extend([" ", text.as_str()]),
            None => all.push(text),
        }
        open ^= word.matches('"').count() % 2 == 1;
    }
    all
}

#[test]
fn commands_in_runbooks_can_be_typed_as_they_stand() {
    let mut count = 0;
    for (name, text) in runbooks() {
        // What a shell puts in is not looked at.
        for words in command_lines(&text)
            .into_iter()
            .filter(|words| !words.is_empty() && !words.iter().any(|word| word.contains('$')))
        {
            let words = unquoted(&words);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let refused = floodmark::cli::check_usage(&words).err();
            // A sentence may name a command without what it takes.
            let is_name = words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            let refused = refused.filter(|error| !(is_name && error.contains("required arguments")));
            assert_eq!(refused, None, "{name}: floodmark {words:?}");
            count += 1;
        }
    }
    assert!(count >= 15, "only {count} command lines were found");
}

#[test]
fn every_rule_has_a_runbook_and_every_runbook_looks_closer() {
    for rule in floodmark::alert::Rules::shipped().unwrap().rules {
        let runbook = read(&rule.annotations.runbook_url);
        assert!(runbook.contains(rule.alert.as_str()), "{} does not name {}", rule.annotations.runbook_url, rule.alert);
        let closer = section(&runbook, "Look closer");
        assert!(closer.contains(&format!("alert={}", rule.alert)) || closer.contains("/api/v1/incidents"), "{closer}");
        assert!(!command_lines(&runbook).is_empty(), "{} has no command of ours", rule.annotations.runbook_url);
    }
}

#[test]
fn columns_and_fields_that_runbooks_name_exist() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for directory in ["queries/schema", "alerts/rules", "src/model", "queries/probes"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                let text = read(entry.path());
                known.extend(text.split(|c: char| !is_one_of(c, "_")).map(str::to_owned));
            }
        }
    }
    // The counters of caches are read where they are used.
    known.extend(
        read("src/detect/calls/cache_collapse/cache.rs").split(|c: char| !is_one_of(c, "_")).map(str::to_owned),
    );
    let mut count = 0;
    for (name, text) in runbooks() {
        for piece in code(&text).into_iter().filter(|piece| piece.contains('_') && !piece.starts_with("floodmark_")) {
            let is_name = piece.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            assert!(!is_name || known.contains(piece), "{name} names {piece}");
            count += u32::from(is_name);
        }
    }
    assert!(count > 15, "only {count} names were found");
}

/// Objects of ClickHouse that the guard makes: they begin like its metrics, and are none.
const GUARD_OBJECTS: [&str; 5] = [
    "floodmark_guard",
    "floodmark_guard_CLASS",
    "floodmark_guard_TENANT",
    "floodmark_guard_reads",
    "floodmark_guard_query",
];

#[test]
fn every_metric_is_served() {
    // A scrape leaves out what has not happened yet; this snapshot, which a unit test holds to the code, has them all.
    let served =
        read("src/metrics/snapshots/floodmark__metrics__tests__every_metric_has_a_name_a_type_and_a_help_text.snap");
    let is_served = |name: &str| served.contains(&format!("# TYPE {name} "));
    let mut count = 0;
    for (document, text) in documents() {
        for (at, _) in text.match_indices("floodmark_") {
            let name: String = text[at..].chars().take_while(|c| is_one_of(*c, "_")).collect();
            if GUARD_OBJECTS.contains(&name.as_str()) {
                continue;
            }
            let family = name.strip_suffix("_total").or_else(|| name.strip_suffix("_info"));
            assert!(is_served(&name) || family.is_some_and(is_served), "{document} names {name}");
            count += 1;
        }
    }
    assert!(count > 5, "only {count} metrics are named");
}

#[test]
fn every_configuration_key_is_one() {
    let keys = schema_keys();
    let is_section = |name: &str| keys.contains(name);
    let mut count = 0;
    for (document, text) in documents() {
        let from_environment = text.match_indices("FLOODMARK__").map(|(at, prefix)| {
            let name = text[at + prefix.len()..].chars().take_while(|c| is_one_of(*c, "_"));
            let name = name.collect::<String>().to_ascii_lowercase();
            // A number names one of a list of sections.
            let parts = name.split("__").filter(|part| part.parse::<usize>().is_err());
            parts.collect::<Vec<_>>().join(".")
        });
        let dotted = code(&text).into_iter().filter_map(|piece| {
            let key = piece.split(" = ").next().unwrap_or(piece);
            let (section, rest) = key.split_once('.')?;
            // Elastic and OpenTelemetry have names that begin like a section of ours.
            let foreign = section == "http" && document.starts_with("docs/sources/");
            let plain = !foreign && is_section(section) && !rest.is_empty() && rest.chars().all(|c| is_one_of(c, "_."));
            plain.then(|| key.to_owned())
        });
        for key in from_environment.chain(dotted).filter(|key| *key != "section.key") {
            let known = keys.contains(&key) || key.starts_with("kafka.properties");
            assert!(known, "{document} names {key}");
            count += 1;
        }
    }
    assert!(count > 15, "only {count} keys are named");
}

#[test]
fn every_bound_has_the_value_it_is_said_to_have() {
    let architecture = read("ARCHITECTURE.md");
    let mut count = 0;
    for cells in rows(section(&architecture, "Bounds")) {
        let (name, [.., file, value, _]) = (code(&cells[0])[0], cells.as_slice()) else { panic!("{cells:?}") };
        let source = read(code(file)[0]);
        let lines = || source.lines().filter(|line| line.contains(name));
        assert!(lines().next().is_some(), "{name} is not in {file}");
        if value.chars().all(|c| c.is_ascii_digit() || c == ',') {
            let digits = value.replace(',', "");
            let holds = lines().any(|line| line.replace('_', "").contains(&format!(" {digits}")));
            assert!(holds, "{name} in {file} is not {value}");
        }
        count += 1;
    }
    assert!(count > 30, "only {count} bounds were found");
}

#[test]
fn every_format_and_every_source_of_an_attempt_has_its_place() {
    let (index, full) = (read("docs/sources/README.md"), read("config/full.toml"));
    for format in Format::value_variants() {
        let name = format.as_str();
        if *format != Format::Native {
            assert!(index.contains(&format!("`{name}`")), "docs/sources/README.md does not name {name}");
        }
        assert!(full.contains(&format!("\"{name}\"")), "config/full.toml does not name {name}");
        let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(target.exists(), "{name} is not fuzzed");
    }
    for source in AttemptSource::ALL {
        assert!(index.contains(&format!("`{}`", source.as_str())), "{}", source.as_str());
    }
}

#[test]
fn the_contracts_name_every_alert_and_every_reason() {
    let (readme, events) = (read("README.md"), read("docs/events.md"));
    for alert in AlertName::ALL {
        assert!(section(&readme, "What it detects").contains(&format!("`{alert}`")), "{alert}");
    }
    for code in RejectionCode::ALL {
        assert!(events.contains(&format!("| `{}` |", code.as_str())), "{}", code.as_str());
    }
}

/// What `floodmark simulate kameleo-retry-storm | floodmark replay -` prints.
fn replayed_storm() -> Vec<Value> {
    let mut simulate = floodmark(&["simulate", "kameleo-retry-storm"]).stdout(Stdio::piped()).spawn().unwrap();
    let events = simulate.stdout.take().unwrap();
    let replayed = floodmark(&["replay", "-"]).stdin(events).output().unwrap();
    assert!(simulate.wait().unwrap().success() && replayed.status.success());
    String::from_utf8(replayed.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn quoted_output_is_what_the_scenario_gives_and_every_field_of_it_is_explained() {
    let (outputs, readme, contract) = (replayed_storm(), read("README.md"), read("docs/output.md"));
    let said: BTreeSet<String> = outputs
        .iter()
        .filter(|output| output["event"] == "firing")
        .map(|output| {
            let text = |name: &str| output[name].as_str().unwrap();
            format!("{} CRITICAL {}: {}", &text("at")[11..19], text("alert"), text("summary"))
        })
        .collect();
    let quoted: Vec<&str> = code(&readme).into_iter().filter(|line| line.contains(" CRITICAL ")).collect();
    let wrong: Vec<&&str> = quoted.iter().filter(|line| !said.contains(**line)).collect();
    assert!(quoted.len() >= 2 && wrong.is_empty(), "README quotes {wrong:#?}, but there is {said:#?}");

    let incident =
        outputs.iter().find(|output| output["event"] == "incident" && output["severity"] == "critical").unwrap();
    let evidence = incident["causes"][0]["evidence"].as_str().unwrap();
    assert!(readme.contains(evidence), "README does not quote the evidence: {evidence}");

    for output in &outputs {
        for field in output.as_object().unwrap().keys() {
            assert!(contract.contains(&format!("| `{field}` |")), "docs/output.md does not explain `{field}`");
        }
    }
}
