//! The limits file: how many requests a subscription may make over a group of routes.

use serde::{Deserialize, Serialize};

use crate::config::Span;

/// Limits built into the binary.
const SHIPPED: &str = include_str!("../../../alerts/limits.toml");
/// Each limit keeps a counter per subscription and window.
const LIMITS_MAX: usize = 50;

/// All limits.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The limits, each with a name of its own.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Names the limit in alerts.
    pub name: String,
    /// Routes counted together; all routes when empty.
    #[serde(default)]
    pub routes: Vec<String>,
    /// At most this many requests of one subscription …
    pub requests: u64,
    /// … in any span of this length.
    pub per: Span,
}

/// A limits file that cannot be used: every problem, with file and key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct LimitsError(pub Vec<String>);

impl Limits {
    /// The limits built into the binary.
    ///
    /// # Errors
    /// Never, unless the binary was built from a broken file; a test reads it.
    pub fn shipped() -> Result<Self, LimitsError> {
        Self::parse(SHIPPED, "alerts/limits.toml")
    }

    /// Reads and checks a limits file; `origin` names it in errors.
    ///
    /// # Errors
    /// Syntax, an unknown key, or values that do not fit (all of them).
    pub fn parse(text: &str, origin: &str) -> Result<Self, LimitsError> {
        let at = |message: &str| format!("{origin}: {message}");
        let limits: Self = toml::from_str(text).map_err(|e| LimitsError(vec![at(e.to_string().trim_end())]))?;
        let problems = limits.problems();
        if problems.is_empty() {
            return Ok(limits);
        }
        Err(LimitsError(problems.iter().map(|problem| at(problem)).collect()))
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.limits.len() > LIMITS_MAX {
            problems.push(format!("more than {LIMITS_MAX} limits"));
        }
        for (i, limit) in self.limits.iter().enumerate() {
            let at = format!("limits[{i}]");
            if limit.name.is_empty() || self.limits[..i].iter().any(|other| other.name == limit.name) {
                problems.push(format!("{at}.name: must not be empty and must be different from all others"));
            }
            if limit.requests == 0 {
                problems.push(format!("{at}.requests: must be at least 1"));
            }
            let per_ms = limit.per.as_millis();
            if !(10_000..=3_600_000).contains(&per_ms) || per_ms % 5_000 != 0 {
                // Counting is by window: a shorter span would be mostly rounding.
                problems.push(format!("{at}.per: must lie between 10s and 1h, in steps of 5s"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_kameleos_limit() {
        let limits = Limits::shipped().unwrap();
        assert_eq!(limits.limits[0].requests, 1_200);
        assert_eq!(limits.limits[0].routes, ["SearchFingerprints", "CreateProfile", "StartProfile"]);
    }

    #[test]
    fn mistakes_are_reported_together() {
        let text = "[[limits]]\nname='a'\nrequests=0\nper='2h'\n[[limits]]\nname='a'\nrequests=1\nper='1m'\n";
        let problems = Limits::parse(text, "my.toml").unwrap_err().0;
        let keys: Vec<&str> = problems.iter().map(|p| p.split(": ").nth(1).unwrap()).collect();
        assert_eq!(keys, ["limits[0].requests", "limits[0].per", "limits[1].name"]);
        assert!(problems.iter().all(|problem| problem.starts_with("my.toml: ")));
    }
}
