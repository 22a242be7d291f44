//! Test files: which rule, what comes in, what must come out. Unknown keys are errors with their line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_saphyr::Spanned;

use super::generate::Entry;
use crate::alert::Rule;
use crate::config::Span;
use crate::model::{AlertName, Dimension, Severity, TransitionEvent};

/// Test files of one run.
const FILES_MAX: usize = 500;

/// How far off an expected time may be said to be.
const WITHIN_MAX_MS: i64 = 3_600_000;

/// One test file: the cases of one rule.
#[derive(Debug, Clone)]
pub struct TestFile {
    /// Name, for messages.
    pub name: String,
    /// The rule it tests.
    pub rule: RuleKey,
    /// Limits file in TOML instead of the one built in.
    pub limits: Option<String>,
    /// The cases, each with the events that all share.
    pub cases: Vec<Case>,
}

/// Which rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleKey {
    /// Alert name.
    pub alert: AlertName,
    /// Severity.
    pub severity: Severity,
    /// The service level objective it watches over, where it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
}

impl RuleKey {
    /// What a test file calls a rule.
    #[must_use]
    pub fn of(rule: &Rule) -> Self {
        let objective = rule.detect.objective().map(ToString::to_string);
        Self { alert: rule.alert, severity: rule.labels.severity, objective }
    }
}

impl std::fmt::Display for RuleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.alert, self.severity.as_str())?;
        self.objective.as_ref().map_or(Ok(()), |objective| write!(f, ", objective {objective}"))?;
        f.write_str(")")
    }
}

/// What a case is there to show. Every shipped rule has the first four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It fires, and resolves.
    Fires,
    /// It does not fire.
    Quiet,
    /// Events that come after their window is decided neither fire nor resolve.
    Late,
    /// Silence neither fires nor resolves.
    Absent,
    /// Just below or just above a bound.
    Boundary,
}

impl Kind {
    /// What every shipped rule needs one of.
    pub const NEEDED: [Self; 4] = [Self::Fires, Self::Quiet, Self::Late, Self::Absent];

    /// As test files spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fires => "fires",
            Self::Quiet => "quiet",
            Self::Late => "late",
            Self::Absent => "absent",
            Self::Boundary => "boundary",
        }
    }
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name for people, unique in its file.
    pub name: String,
    /// What it is there to show.
    pub kind: Kind,
    /// Line in the file, from 1.
    pub line: u64,
    pub(super) source: CaseSource,
    /// Transitions that must come, and no others. Pending ones count only where one is expected.
    pub(super) expect: Vec<Expected>,
}

/// Where the events of a case come from.
#[derive(Debug, Clone)]
pub(super) enum CaseSource {
    Entries(Vec<Spanned<Entry>>),
    Scenario(ScenarioSource),
}

/// A simulated platform.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScenarioSource {
    /// A built-in scenario, or a path.
    pub name: String,
    #[serde(default)]
    pub amplitude: Option<f64>,
    #[serde(default)]
    pub seed: Option<u64>,
    /// Only the first so much of it.
    #[serde(default)]
    pub until: Option<Span>,
}

/// A transition that must come.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// Event time since the start.
    pub at: Span,
    pub event: TransitionEvent,
    /// The rule's, when left out.
    #[serde(default)]
    pub alert: Option<AlertName>,
    /// The rule's, when left out.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Labels that it must have; others may be there.
    #[serde(default)]
    pub labels: BTreeMap<Dimension, String>,
    /// How far off `at` may be.
    #[serde(default = "exactly")]
    pub within: Span,
}

fn exactly() -> Span {
    Span::from_secs(0)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    rule: RuleKey,
    #[serde(default)]
    limits: Option<String>,
    /// Events that every case has, unless it says `background: false`.
    #[serde(default)]
    background: Vec<Spanned<Entry>>,
    cases: Vec<Spanned<CaseText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    kind: Kind,
    #[serde(default = "yes")]
    background: bool,
    #[serde(default)]
    scenario: Option<ScenarioSource>,
    #[serde(default)]
    events: Vec<Spanned<Entry>>,
    #[serde(default)]
    expect: Vec<Expected>,
    #[serde(default)]
    expect_none: bool,
}

fn yes() -> bool {
    true
}

/// Test files that cannot be used: every problem, with file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct TestFileError(pub Vec<String>);

impl Case {
    /// The same events, all in time: what a late case must fire on, or its lateness shows nothing.
    #[must_use]
    pub fn in_time(&self) -> Self {
        let mut case = self.clone();
        if let CaseSource::Entries(entries) = &mut case.source {
            entries.iter_mut().for_each(|entry| entry.value.come_in_time());
        }
        // A late case without late events has a problem of its own.
        case.kind = Kind::Boundary;
        case
    }
}

impl TestFile {
    /// Reads the text of a test file.
    ///
    /// # Errors
    /// Every problem, with `name` and the line.
    pub fn parse(name: &str, text: &str) -> Result<Self, TestFileError> {
        let file: FileText = serde_saphyr::from_str(text).map_err(|error| {
            // What could be allowed in the code is nothing that a person can do about the file.
            let error = error.to_string().replace(", set DuplicateKeyPolicy in Options if acceptable", "");
            TestFileError(vec![format!("{name}: {}", error.replace("<input>", name))])
        })?;
        let mut problems = Vec::new();
        let mut cases: Vec<Case> = Vec::new();
        let own = file.cases.iter().flat_map(|case| &case.value.events);
        for entry in file.background.iter().chain(own) {
            if let Err(problem) = entry.value.check() {
                problems.push(format!("{name}: line {}: {problem}", entry.referenced.line()));
            }
        }
        for case in file.cases {
            let (line, case) = (case.referenced.line(), case.value);
            if let Err(problem) = check(&case, &file.background) {
                problems.push(format!("{name}:{line}: case \"{}\": {problem}", case.name));
            }
            if cases.iter().any(|other| other.name == case.name) {
                problems.push(format!("{name}:{line}: a second case \"{}\"", case.name));
            }
            let source = match case.scenario {
                Some(scenario) => CaseSource::Scenario(scenario),
                None if case.background => {
                    CaseSource::Entries(file.background.iter().cloned().chain(case.events).collect())
                }
                None => CaseSource::Entries(case.events),
            };
            cases.push(Case { name: case.name, kind: case.kind, line, source, expect: case.expect });
        }
        if cases.is_empty() {
            problems.push(format!("{name}: no cases"));
        }
        if !problems.is_empty() {
            return Err(TestFileError(problems));
        }
        Ok(Self { name: name.to_owned(), rule: file.rule, limits: file.limits, cases })
    }

    /// Reads test files, and of directories every `*.yaml` and `*.yml` but `survivors.yaml`.
    ///
    /// # Errors
    /// Unreadable, none at all, or problems in any of them, all together.
    pub fn load(paths: &[PathBuf]) -> Result<Vec<Self>, TestFileError> {
        let unreadable = |path: &Path, error: &std::io::Error| format!("{}: {error}", path.display());
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for path in expanded(paths)? {
            match std::fs::read_to_string(&path) {
                Ok(text) => match Self::parse(&path.display().to_string(), &text) {
                    Ok(file) => files.push(file),
                    Err(error) => problems.extend(error.0),
                },
                Err(error) => problems.push(unreadable(&path, &error)),
            }
        }
        if files.is_empty() && problems.is_empty() {
            problems.push("no test file".to_owned());
        }
        if problems.is_empty() { Ok(files) } else { Err(TestFileError(problems)) }
    }
}

fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, TestFileError> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries =
            std::fs::read_dir(path).map_err(|error| TestFileError(vec![format!("{}: {error}", path.display())]))?;
        let mut inside: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        inside.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
        inside.retain(|path| path.file_stem().is_some_and(|stem| stem != "survivors"));
        inside.sort();
        all.extend(inside);
    }
    if all.len() > FILES_MAX {
        return Err(TestFileError(vec![format!("{} test files; at most {FILES_MAX} are read", all.len())]));
    }
    Ok(all)
}

/// Whether time goes on without records, or without some of them.
fn falls_silent(case: &CaseText) -> bool {
    let ends = || case.events.iter().map(|entry| entry.value.ends_ms());
    case.events.iter().any(|entry| entry.value.is_silence()) || ends().min() < ends().max()
}

fn check(case: &CaseText, background: &[Spanned<Entry>]) -> Result<(), String> {
    if case.expect.is_empty() != case.expect_none {
        return Err("give `expect`, or `expect_none: true`".to_owned());
    }
    if case.scenario.is_some() && !case.events.is_empty() {
        return Err("give `scenario` or `events`, not both".to_owned());
    }
    let background = if case.background { background } else { &[] };
    let brings_records = case.events.iter().chain(background).any(|entry| !entry.value.is_silence());
    if !brings_records && case.scenario.is_none() && case.kind != Kind::Absent {
        return Err("nothing comes in: give `events` or `scenario`".to_owned());
    }
    if case.expect.iter().any(|expected| expected.within.as_millis() > WITHIN_MAX_MS) {
        return Err("`within` is at most 1h: further off is another time".to_owned());
    }
    let fires = case.expect.iter().any(|expected| expected.event == TransitionEvent::Firing);
    match case.kind {
        Kind::Fires if !fires => Err("a case that fires expects `event: firing`".to_owned()),
        Kind::Quiet if fires => Err("a quiet case expects no `event: firing`".to_owned()),
        Kind::Late if !case.events.iter().any(|entry| entry.value.is_late()) => {
            Err("a late case has events with `late_by`".to_owned())
        }
        Kind::Absent if !falls_silent(case) => {
            Err("an absent case has events of `type: watermark`, or some that end while others go on".to_owned())
        }
        _ => Ok(()),
    }
}
