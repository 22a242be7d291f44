//! What is true about a scenario: what should be said about it, and what should not.

use serde::Deserialize;

use crate::config::{Problem, Span};
use crate::model::{AlertName, Dimension, Dimensions, Severity, Text};

/// The truth about a scenario, for `floodmark evaluate`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthSpec {
    /// Nothing in it should wake anybody.
    #[serde(default)]
    pub quiet: bool,
    /// When the trouble begins, after the start.
    pub onset: Option<Span>,
    /// The onset comes out of the simulation: the first ten seconds after `onset` in which attempts beyond the third are
    /// this share of the load (5 %: the least that is an impact). Attempts must be logged.
    pub onset_retry_share: Option<f64>,
    /// When it ends; absent: with the scenario.
    pub end: Option<Span>,
    /// Alerts that must fire, the one that matters first.
    #[serde(default)]
    pub expected: Vec<ExpectedAlert>,
    /// Alerts that may fire as well, and are right: consequences, and tickets.
    #[serde(default)]
    pub also: Vec<AllowedAlert>,
    /// What must come first among the causes: one of these, each with all its dimensions.
    #[serde(default)]
    pub cause: Vec<Dimensions>,
    /// Words that must stand in the candidates that the incident refuses, each in one of them.
    #[serde(default)]
    pub red_herrings: Vec<Text>,
}

/// An alert that must fire.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAlert {
    /// Its name.
    #[serde(deserialize_with = "AlertName::deserialize_of_contract")]
    pub alert: AlertName,
    /// At least as severe.
    pub severity: Severity,
    /// With these labels, among others.
    #[serde(default)]
    pub labels: Dimensions,
}

/// An alert that may fire.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedAlert {
    /// Its name.
    #[serde(deserialize_with = "AlertName::deserialize_of_contract")]
    pub alert: AlertName,
    /// At most as severe.
    pub severity: Severity,
}

impl TruthSpec {
    /// Checks what types cannot say; `duration` is the scenario's.
    pub(in crate::sim) fn problems(&self, duration: Span) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, key: &str, message: &str| {
            if !holds {
                problems.push(Problem { key: format!("truth.{key}"), message: message.to_owned() });
            }
        };
        if self.quiet {
            require(self.expected.is_empty(), "expected", "must be empty in a quiet scenario");
            let no_page = self.also.iter().all(|allowed| allowed.severity < Severity::Critical);
            require(no_page, "also", "must allow no critical alert in a quiet scenario");
        } else {
            require(!self.expected.is_empty(), "expected", "must name an alert, or quiet = true");
            require(self.onset.is_some(), "onset", "must say when the trouble begins");
        }
        let (onset, end) = (self.onset.unwrap_or(Span::from_secs(0)), self.end.unwrap_or(duration));
        require(onset < end && end <= duration, "onset", "must lie before the end, and that in the scenario");
        let share_fits = self.onset_retry_share.is_none_or(|share| share > 0.0 && share < 1.0);
        require(share_fits, "onset_retry_share", "must lie between 0 and 1");
        let causes_say_something = self.cause.iter().all(|dimensions| !dimensions.is_empty());
        require(causes_say_something, "cause", "must name a dimension in each");
        problems
    }

    /// Whether labels or a cause's dimensions have everything that is asked for.
    #[must_use]
    pub fn matches(asked: &Dimensions, given: &Dimensions) -> bool {
        asked.0.iter().all(|(dimension, value): (&Dimension, &Text)| given.0.get(dimension) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(text: &str) -> TruthSpec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_truth_must_say_something() {
        let hour = Span::from_secs(3_600);
        let good = "onset = '10m'\nexpected = [{ alert = 'PoolLeak', severity = 'critical' }]\n\
                    cause = [{ source = 'pool/sessions' }]";
        assert_eq!(truth(good).problems(hour), []);
        assert_eq!(truth("quiet = true").problems(hour), []);
        let keys = |text: &str| truth(text).problems(hour).into_iter().map(|p| p.key).collect::<Vec<_>>();
        assert_eq!(keys(""), ["truth.expected", "truth.onset"]);
        assert_eq!(keys("quiet = true\nalso = [{ alert = 'PoolLeak', severity = 'critical' }]"), ["truth.also"]);
        assert_eq!(keys("quiet = true\nonset = '2h'\ncause = [{}]"), ["truth.onset", "truth.cause"]);
        assert!(toml::from_str::<TruthSpec>("expected = [{ alert = 'PoolLaek', severity = 'critical' }]").is_err());
    }

    #[test]
    fn more_dimensions_than_asked_for_match() {
        let of = |pairs: &[(Dimension, &str)]| Dimensions::new(pairs.iter().map(|(d, v)| (*d, Text::from(*v))));
        let asked = of(&[(Dimension::ClientVersion, "4.0.0")]);
        assert!(TruthSpec::matches(&asked, &of(&[(Dimension::Client, "cli"), (Dimension::ClientVersion, "4.0.0")])));
        assert!(!TruthSpec::matches(&asked, &of(&[(Dimension::ClientVersion, "3.4.1")])));
        assert!(!TruthSpec::matches(&asked, &of(&[])));
    }
}
