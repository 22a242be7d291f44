//! What rules of all files must be together.

use super::Rule;
use super::file::RuleFile;
use crate::model::Severity;

/// Takes the rules of a file in, and tells what is wrong with them.
pub(super) fn collect(name: &str, file: RuleFile, rules: &mut Vec<Rule>, problems: &mut Vec<String>) {
    for group in file.groups {
        for rule in group.rules {
            let at = format!("{name}: group {}, alert {}", group.name, rule.alert);
            if rule.alert != rule.detect.alert() {
                problems.push(format!("{at}: this detector raises {}", rule.detect.alert()));
            }
            if let Some(problem) = rule.detect.problem() {
                problems.push(format!("{at}: {problem}"));
            }
            if rule.labels.severity == Severity::Info {
                problems.push(format!("{at}: severity must be critical or warning"));
            }
            let twice = rules.iter().any(|r: &Rule| r.alert == rule.alert && r.labels == rule.labels);
            if twice {
                problems.push(format!("{at}: a second {} rule for this alert", rule.labels.severity.as_str()));
            }
            rules.push(rule);
        }
    }
}
