//! Mutants of a rule: one change each that its tests must notice.

use serde::Serialize;
use serde_json::{Value, json};

use super::file::RuleKey;
use crate::alert::{Detect, Rule, Rules};
use crate::config::{FlowConfig, Span};
use crate::model::Severity;

/// A rule with one change.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// Where it was changed, e.g. `detect.restart_loop.within`.
    pub key: String,
    /// From what.
    pub from: String,
    /// To what.
    pub to: String,
    /// The changed rule; none: it was taken away.
    pub rule: Option<Rule>,
}

/// A change that is none, or that no rule file may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The rule.
    pub rule: RuleKey,
    /// What would have been changed, and how.
    pub change: String,
    /// Why it was not.
    pub reason: String,
}

/// What one number or span may be changed to, best first: twice it, or the way to its bound.
struct Direction {
    name: &'static str,
    numbers: fn(f64) -> [f64; 4],
    span: fn(i64) -> i64,
}

const DIRECTIONS: [Direction; 2] = [
    Direction {
        name: "raised",
        numbers: |v| [v * 2.0, f64::midpoint(v, 1.0), v * 1.5, v + 1.0],
        // A rule that waits for nothing has to be seen waiting.
        span: |ms| if ms == 0 { 60_000 } else { ms.saturating_mul(2) },
    },
    Direction { name: "lowered", numbers: |v| [v / 2.0, f64::midpoint(v, 1.0), v * 0.75, v - 1.0], span: |ms| ms / 2 },
];

/// Every mutant of `rule`, and what was left out with the reason.
#[must_use]
pub fn mutants(rule: &Rule) -> (Vec<Mutant>, Vec<Skipped>) {
    // Plain data with text keys: serialising it cannot fail.
    let rule = with_defaults(rule);
    let original = serde_json::to_value(&rule).unwrap_or_default();
    let mut found = Found { rule: &rule, original: &original, mutants: Vec::new(), skipped: Vec::new() };
    found.mutants.push(Mutant { key: "rule".to_owned(), from: "there".to_owned(), to: "gone".to_owned(), rule: None });
    found.swap_severity();
    for key in ["for", "keep_firing_for"] {
        found.change(&[key.to_owned()]);
    }
    let mut leaves = Vec::new();
    collect_leaves(&original["detect"], &mut vec!["detect".to_owned()], &mut leaves);
    for path in leaves {
        found.change(&path);
    }
    // Of these the other leaves are names, and what is asked of ClickHouse: no test case has that.
    for (block, keys) in
        [("threshold", &["value", "clear", "over", "samples_min"][..]), ("query", &["threshold", "clear"])]
    {
        for key in keys {
            found.change(&[block.to_owned(), (*key).to_owned()]);
        }
    }
    (found.mutants, found.skipped)
}

/// The same rule with what its threshold leaves to defaults written out: they decide as much as what is written.
fn with_defaults(rule: &Rule) -> Rule {
    match &rule.detect {
        Detect::Threshold(spec) => Rule { detect: Detect::Threshold(Box::new(spec.with_defaults())), ..rule.clone() },
        _ => rule.clone(),
    }
}

struct Found<'a> {
    rule: &'a Rule,
    original: &'a Value,
    mutants: Vec<Mutant>,
    skipped: Vec<Skipped>,
}

impl Found<'_> {
    fn swap_severity(&mut self) {
        let (from, to) = match self.rule.labels.severity {
            Severity::Critical => (Severity::Critical, Severity::Warning),
            other => (other, Severity::Critical),
        };
        let path = ["labels".to_owned(), "severity".to_owned()];
        self.try_one(&path, "swapped", from.as_str().into(), &[to.as_str().into()]);
    }

    /// Changes the leaf at `path` in each way that its kind has.
    fn change(&mut self, path: &[String]) {
        let Some(leaf) = at(self.original, path).cloned() else { return };
        match &leaf {
            Value::Bool(value) => self.try_one(path, "flipped", leaf.clone(), &[json!(!value)]),
            Value::Number(number) => {
                let (value, whole) = (number.as_f64().unwrap_or(0.0), number.is_u64() || number.is_i64());
                for direction in &DIRECTIONS {
                    let raised = direction.name == "raised";
                    let candidates = (direction.numbers)(value)
                        .into_iter()
                        .map(|candidate| if whole { candidate.trunc() } else { candidate })
                        .filter(|candidate| if raised { *candidate > value } else { *candidate < value });
                    #[allow(clippy::cast_possible_truncation)] // truncated above
                    let candidates: Vec<Value> =
                        candidates.map(|c| if whole { json!(c as i64) } else { json!(c) }).collect();
                    self.try_one(path, direction.name, leaf.clone(), &candidates);
                }
            }
            Value::String(text) => {
                let Ok(span) = serde_json::from_value::<Span>(json!(text)) else { return };
                for direction in &DIRECTIONS {
                    let changed_ms = (direction.span)(span.as_millis());
                    let is_timing = path.len() == 1;
                    if is_timing && in_windows(changed_ms) == in_windows(span.as_millis()) {
                        let reason = "as many windows: no change".to_owned();
                        self.skip(path, direction.name, reason);
                        continue;
                    }
                    let candidates = [changed_ms, (changed_ms + span.as_millis()) / 2];
                    let candidates = candidates.map(|ms| json!(Span::from_millis(ms.unsigned_abs()).to_string()));
                    self.try_one(path, direction.name, leaf.clone(), &candidates);
                }
            }
            _ => {}
        }
    }

    /// The first of `candidates` that a rule file may hold and that changes the rule.
    fn try_one(&mut self, path: &[String], how: &str, from: Value, candidates: &[Value]) {
        let mut reason = "no value in that direction".to_owned();
        for candidate in candidates {
            let mut changed = self.original.clone();
            let Some(leaf) = at_mut(&mut changed, path) else { return };
            *leaf = candidate.clone();
            match parsed(&changed) {
                Ok(rule) if rule != *self.rule => {
                    let (key, from, to) = (path.join("."), plain(&from), plain(candidate));
                    self.mutants.push(Mutant { key, from, to, rule: Some(rule) });
                    return;
                }
                Ok(_) => "no change".clone_into(&mut reason),
                Err(problem) => reason = problem,
            }
        }
        self.skip(path, how, reason);
    }

    fn skip(&mut self, path: &[String], how: &str, reason: String) {
        let rule = RuleKey::of(self.rule);
        self.skipped.push(Skipped { rule, change: format!("{} {how}", path.join(".")), reason });
    }
}

/// States change at the ends of windows: a span counts in whole ones.
fn in_windows(span_ms: i64) -> i64 {
    let window_ms = FlowConfig::default().window.as_millis();
    (span_ms + window_ms - 1) / window_ms
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The rule, if a rule file may hold it. JSON is YAML.
fn parsed(rule: &Value) -> Result<Rule, String> {
    let text = json!({ "groups": [{ "name": "mutants", "rules": [rule] }] }).to_string();
    let rules = Rules::parse(&[("mutant".to_owned(), text)]);
    let rules = rules.map_err(|error| error.to_string().replace("mutant: group mutants, ", ""))?;
    rules.rules.into_iter().next().ok_or_else(|| "no rule".to_owned())
}

fn collect_leaves(value: &Value, path: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
    let mut inside = |name: String, value: &Value| {
        path.push(name);
        collect_leaves(value, path, leaves);
        path.pop();
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| inside(name.clone(), value)),
        Value::Array(values) => values.iter().enumerate().for_each(|(i, value)| inside(i.to_string(), value)),
        _ => leaves.push(path.clone()),
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(values) => values.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    })
}

fn at_mut<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(values) => values.get_mut(name.parse::<usize>().ok()?),
        _ => value.get_mut(name),
    })
}
