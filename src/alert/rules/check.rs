//! Rule files read together: what is wrong with any of them, or with all of them side by side.

use std::path::Path;

use serde_json::Value as Json;

use super::annotation::unknown_place;
use super::shipped::is_shipped_runbook;
use super::{Annotations, Detect, Rule};
use crate::alert::yaml::{self, FileProblem, Node, SchemaCheck};
use crate::config::Span;
use crate::detect::SpecProblem;
use crate::model::{AlertName, did_you_mean};

/// Each rule runs a detector of its own over every window.
pub(in crate::alert) const RULES_MAX: usize = 100;

/// A condition that is waited for longer is one that never fires, or never ends.
const TIMING_MAX: Span = Span::from_days(30);

/// Takes rule files in, one after the other.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The rules so far, those with mistakes left out.
    pub rules: Vec<Rule>,
    /// Every mistake so far.
    pub problems: Vec<FileProblem>,
    /// Where each of the rules stands.
    places: Vec<String>,
    /// Rules written, those with mistakes included; at most [`RULES_MAX`].
    written: usize,
}

impl Collector {
    /// Takes in a file, given what a rule file looks like.
    pub fn file(&mut self, file: &str, text: &str, schema: &Json) {
        let tree = match yaml::parse(file, text) {
            Ok(tree) => tree,
            Err(problem) => return self.problems.push(problem),
        };
        let first = self.problems.len();
        let shape = SchemaCheck::problems(file, &tree, schema);
        self.problems.extend(empty(&tree).map(|(key, at)| {
            let problem = FileProblem::new(file, at, key, "holds no rule");
            problem.hint("nothing would alert")
        }));
        self.problems.extend(misnamed_groups(file, &tree));
        let rules = rules(&tree);
        if self.fits(file, &rules) {
            for (key, rule) in &rules {
                self.problems.extend(not_one_condition(file, rule, key));
                if !shape.iter().any(|problem| is_within(&problem.key, key)) {
                    self.rule(file, rule, key);
                }
            }
        }
        self.problems.extend(shape);
        self.problems[first..].sort_by_key(|problem| (problem.line, problem.column));
    }

    /// Counts a file's rules. Too many are one mistake, not each of them: a program has written them.
    fn fits(&mut self, file: &str, rules: &[(String, &Node)]) -> bool {
        if let Some((key, rule)) = rules.get(RULES_MAX - self.written) {
            let message = format!("is rule number {}: at most {RULES_MAX} are taken, over all files", RULES_MAX + 1);
            self.problems.push(FileProblem::new(file, rule.at, key, message));
            return false;
        }
        self.written += rules.len();
        true
    }

    /// Takes in a rule of the right shape.
    fn rule(&mut self, file: &str, node: &Node, key: &str) {
        if not_one_condition(file, node, key).is_some() {
            return;
        }
        let rule: Rule = match serde_json::from_value(node.to_json()) {
            Ok(rule) => rule,
            Err(error) => return self.problems.push(FileProblem::new(file, node.at, key, error.to_string())),
        };
        let tell =
            |path: &str, message: String| FileProblem::new(file, node.place(path), format!("{key}.{path}"), message);
        let (alert, severity) = (rule.alert, rule.labels.severity.as_str());
        self.problems.extend(misnamed(&rule).map(|(path, message, hint)| tell(path, message).hint(hint)));
        for problem in rule.detect.problems() {
            let path = format!("detect.{}.{}", rule.detect.name(), problem.key);
            self.problems.push(tell(&path, problem.message.to_owned()));
        }
        for (path, span) in [("for", rule.r#for), ("keep_firing_for", rule.keep_firing_for)] {
            if span > TIMING_MAX {
                self.problems.push(tell(path, format!("must be at most {TIMING_MAX}")));
            }
        }
        self.problems.extend(wordless(&rule).into_iter().map(|(path, message, hint)| {
            let problem = tell(path, message);
            FileProblem { hint: hint.map(ToOwned::to_owned), ..problem }
        }));
        let own = match &rule.detect {
            Detect::Threshold(spec) => spec.problems(),
            Detect::Query(spec) => spec.problems(),
            _ => Vec::new(),
        };
        for SpecProblem { key, message, hint } in own {
            let problem = tell(&format!("{}.{key}", rule.detect.name()), message);
            self.problems.push(FileProblem { hint, ..problem });
        }
        if let Some(first) = self.rules.iter().position(|known| known.key() == rule.key()) {
            let message = format!("is a second {severity} rule for {alert}; the first is at {}", self.places[first]);
            self.problems.push(FileProblem::new(file, node.at, key, message).hint("an alert has one rule a severity"));
        }
        if let Some(first) = self.rules.iter().position(|known| asks_otherwise(known, &rule)) {
            let message = format!("asks something else than the rule of {alert} at {}", self.places[first]);
            let problem = tell("query", message);
            self.problems.push(problem.hint("rules of one alert differ in `op`, `threshold` and `clear` only"));
        }
        if !has_runbook(file, &rule.annotations.runbook_url) {
            let problem = tell("annotations.runbook_url", "there is no such runbook".to_owned());
            self.problems.push(problem.hint("a URL, a shipped runbook, or a path from this file's directory"));
        }
        self.places.push(format!("{file}:{}", node.at.0));
        self.rules.push(rule);
    }
}

/// A rule that says in no way what it looks for, or in several.
fn not_one_condition(file: &str, rule: &Node, key: &str) -> Option<FileProblem> {
    let conditions = ["detect", "threshold", "query"];
    let given: Vec<&str> = conditions.into_iter().filter(|name| rule.get(name).is_some()).collect();
    let hint = "`detect` names a detector, `threshold` a series, `query` a named query";
    let message = match given[..] {
        [_] => return None,
        [] => "must have one of `detect`, `threshold` and `query`".to_owned(),
        [first, second, ..] => format!("has `{first}` and `{second}`: exactly one says what the rule looks for"),
    };
    Some(FileProblem::new(file, rule.at, key, message).hint(hint))
}

/// A rule whose alert is not one that it can raise: path, message and hint.
fn misnamed(rule: &Rule) -> Option<(&'static str, String, String)> {
    let alert = rule.alert;
    let contract = || AlertName::ALL.into_iter().map(AlertName::as_str);
    match rule.detect.alert() {
        None if alert.is_custom() => None,
        None => {
            let message = format!("`{alert}` is what a detector raises");
            Some(("alert", message, format!("a rule with `{}` needs a name of its own", rule.detect.name())))
        }
        Some(raised) if alert == raised => None,
        Some(_) if let (true, Some(meant)) = (alert.is_custom(), did_you_mean(alert.as_str(), contract())) => {
            Some(("alert", format!("`{alert}` is not known"), format!("did you mean `{meant}`?")))
        }
        Some(raised) => {
            Some(("detect", format!("this detector raises {raised}, not {alert}"), format!("write `alert: {raised}`")))
        }
    }
}

/// Whether two rules of one alert ask ClickHouse differently: what they find has the same name.
fn asks_otherwise(known: &Rule, rule: &Rule) -> bool {
    let both = known.query().zip(rule.query()).filter(|_| known.alert == rule.alert);
    both.is_some_and(|(known, query)| !known.asks_the_same(query))
}

/// Words of a rule that would say nothing, or not what its author thinks: path, message and hint.
fn wordless(rule: &Rule) -> Vec<(&'static str, String, Option<&'static str>)> {
    let Annotations { summary, description, runbook_url } = &rule.annotations;
    let mut problems = Vec::new();
    if summary.trim().is_empty() {
        problems.push(("annotations.summary", "is empty".to_owned(), None));
    }
    let description = description.as_deref().unwrap_or_default();
    for (path, text) in [("annotations.summary", summary.as_str()), ("annotations.description", description)] {
        let hint = "places are `{{ $value }}` and `{{ $labels.NAME }}` with the name of an event's field";
        let unknown = unknown_place(text);
        problems.extend(unknown.map(|inner| (path, format!("nothing is known of the place `{inner}`"), Some(hint))));
    }
    if runbook_url.contains("{{") {
        let hint = "name one runbook, which says what to do for each label";
        problems.push(("annotations.runbook_url", "is one place for all alerts of the rule".to_owned(), Some(hint)));
    }
    problems
}

/// Groups without a name, and second ones of a name: Prometheus takes neither, and people look for a rule by its group.
fn misnamed_groups(file: &str, tree: &Node) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (g, group) in tree.get("groups").into_iter().flat_map(Node::elements).enumerate() {
        let Some((node, name)) = group.get("name").and_then(|node| Some((node, node.text()?))) else { continue };
        let key = format!("groups[{g}].name");
        if name.trim().is_empty() {
            problems.push(FileProblem::new(file, node.at, key, "is empty").hint("say what the rules are about"));
        } else if seen.contains(&name) {
            let problem = FileProblem::new(file, node.at, key, format!("`{name}` is there twice in this file"));
            problems.push(problem.hint("put the two lists of rules together"));
        } else {
            seen.push(name);
        }
    }
    problems
}

/// Lists that should hold rules and hold nothing, with their places.
fn empty(tree: &Node) -> impl Iterator<Item = (String, (u64, u64))> {
    let groups = tree.get("groups");
    let lists = groups.into_iter().flat_map(Node::elements).enumerate();
    let lists = lists.filter_map(|(g, group)| Some((format!("groups[{g}].rules"), group.get("rules")?)));
    let all = groups.map(|groups| ("groups".to_owned(), groups)).into_iter().chain(lists);
    all.filter(|(_, list)| list.is_empty_list()).map(|(key, list)| (key, list.at))
}

/// The rules of a file with their keys.
fn rules(tree: &Node) -> Vec<(String, &Node)> {
    let groups = tree.get("groups").into_iter().flat_map(Node::elements).enumerate();
    let rules = groups.flat_map(|(g, group)| {
        let rules = group.get("rules").into_iter().flat_map(Node::elements).enumerate();
        rules.map(move |(r, rule)| (format!("groups[{g}].rules[{r}]"), rule))
    });
    rules.collect()
}

/// Whether a key is `path` or lies below it.
fn is_within(key: &str, path: &str) -> bool {
    key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether a runbook can be found: a page that says what to do is half of an alert.
fn has_runbook(file: &str, url: &str) -> bool {
    let is_page = url.starts_with("https://") || url.starts_with("http://");
    let beside = || Path::new(file).parent().is_some_and(|directory| !url.is_empty() && directory.join(url).is_file());
    is_page || is_shipped_runbook(url) || beside()
}
