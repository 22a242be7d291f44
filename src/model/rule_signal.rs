//! How what a `query` rule finds becomes signals: the sources and metrics by which the shell tells the core.
//!
//! An evaluation that worked gives, all of one moment, a signal [`ROWS_METRIC`] of the source `rule/NAME`, and for each row
//! one of `rule/NAME/subscription=org-1,service=api` whose metric is the column. Labels are in the source because a source
//! is what a signal is told apart by, in the log as in memory.

use super::{Dimension, Dimensions, Text};

/// Rows of an evaluation that worked: they are all there is.
pub const ROWS_METRIC: &str = "rule_evaluation_rows";
/// Counter of evaluations that failed, since the start of the process.
pub const FAILURES_METRIC: &str = "rule_evaluation_failures_total";
/// Evaluations that failed since the last one that worked.
pub const FAILURES_IN_A_ROW_METRIC: &str = "rule_evaluation_failures_in_a_row";

const PREFIX: &str = "rule/";

/// The source of what is said of a rule itself: `rule/NAME`.
#[must_use]
pub fn rule_source(name: &str) -> Text {
    Text::from(format!("{PREFIX}{name}"))
}

/// The source of a row: `rule/NAME/subscription=org-1,service=api`.
#[must_use]
pub fn rule_row_source(name: &str, labels: &Dimensions) -> Text {
    let escaped = |text: &str| text.replace('%', "%25").replace(',', "%2C");
    let pairs = labels.0.iter().map(|(dimension, text)| format!("{}={}", dimension.as_str(), escaped(text)));
    Text::from(format!("{PREFIX}{name}/{}", pairs.collect::<Vec<_>>().join(",")))
}

/// The labels of a row of the rule `name`, given its source.
#[must_use]
pub fn rule_row_labels(name: &str, source: &str) -> Option<Dimensions> {
    let pairs = source.strip_prefix(PREFIX)?.strip_prefix(name)?.strip_prefix('/')?;
    let pair = |pair: &str| {
        let (dimension, text) = pair.split_once('=')?;
        let dimension = Dimension::ALL.into_iter().find(|known| known.as_str() == dimension)?;
        Some((dimension, Text::from(text.replace("%2C", ",").replace("%25", "%"))))
    };
    let pairs: Option<Vec<_>> = pairs.split(',').filter(|text| !text.is_empty()).map(pair).collect();
    pairs.map(Dimensions::new)
}

/// Whether a source is a row of a rule: none of the platform's own.
#[must_use]
pub fn is_rule_row(source: &str) -> bool {
    source.strip_prefix(PREFIX).is_some_and(|rest| rest.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_from_the_source_whatever_they_hold() {
        let pairs = [(Dimension::Subscription, "a,b=c/%2C"), (Dimension::Route, "GET /v1/things")];
        let labels = Dimensions::new(pairs.map(|(dimension, text)| (dimension, Text::from(text))));
        let source = rule_row_source("TooMany", &labels);
        assert_eq!(source, "rule/TooMany/subscription=a%2Cb=c/%252C,route=GET /v1/things");
        assert_eq!(rule_row_labels("TooMany", &source), Some(labels));
        assert_eq!(rule_row_labels("TooMany", "rule/TooMany/"), Some(Dimensions::default()));
        for other in ["rule/TooMany", "rule/TooManyMore/", "rule/TooMany/colour=red", "redis/main"] {
            assert_eq!(rule_row_labels("TooMany", other), None, "{other}");
        }
        assert!(is_rule_row(&source) && is_rule_row("rule/TooMany/") && !is_rule_row("rule/TooMany"));
    }
}
