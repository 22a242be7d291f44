//! What is asked: a limit that is not there yet, for whom, over what, and how clients are taken to behave.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::keys::By;
use super::limiter::Algorithm;
use super::rate::{Rate, RateRange};
use crate::config::Span;
use crate::model::{Text, Timestamp};

/// Routes, exempt subscriptions or plans of one question.
const NAMES_MAX: usize = 1_000;
/// Subscriptions that a plan map names.
const PLAN_SUBSCRIPTIONS_MAX: usize = 200_000;
/// Dimensions of a key: more would be one key a request.
const BY_MAX: usize = 3;
/// How far back is looked without a word.
const SINCE: &str = "1d";
/// Rates of a sweep, about; each is a limiter of its own.
pub const SWEEP_POINTS: usize = 24;

/// What clients do when a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Retries {
    /// Everything counts that was sent, repeats included, and nothing more is sent
    #[default]
    AsLogged,
    /// Only first attempts count: what would be left if no client repeated anything
    None,
    /// As logged; and what is refused but was answered well then comes again after 1, 2 and 4 s, at most three times
    Client,
}

impl Retries {
    /// Spelling in arguments and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsLogged => "as-logged",
            Self::None => "none",
            Self::Client => "client",
        }
    }
}

/// Which table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Every request where all of the span is there and it is not too much, else counts by minute
    #[default]
    Auto,
    /// Every request
    Requests,
    /// Counts by minute
    Minutes,
}

/// A question as it comes from a command line or over HTTP.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Question {
    /// `1200/min`.
    pub limit: String,
    /// Routes counted together; all when empty.
    pub routes: Vec<String>,
    /// Who has a count of its own; the subscription when empty.
    pub by: Vec<By>,
    /// See [`super::Limiter::new`].
    pub burst: Option<u64>,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// Subscriptions that have no limit.
    pub exempt: Vec<String>,
    /// What clients do when a request is refused.
    pub retries: Retries,
    /// Rates to try as well: `100/min..5000/min`.
    pub sweep: Option<String>,
    /// Subscriptions of each plan, for a proposal a plan.
    pub plans: BTreeMap<String, Vec<String>>,
    /// From when, of what is stored: a time, or how long ago. A day ago without it.
    pub since: Option<String>,
    /// Until when; now without it.
    pub until: Option<String>,
    /// Which table is read.
    pub precision: Precision,
}

/// What is wrong with a question: field and message of each mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|(field, message)| format!("{field}: {message}")).collect::<Vec<_>>().join("\n"))]
pub struct SpecError(pub Vec<(&'static str, String)>);

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The limit.
    pub rate: Rate,
    /// Routes counted together; all when empty.
    pub routes: FxHashSet<Text>,
    /// Who has a count of its own.
    pub by: Vec<By>,
    /// See [`super::Limiter::new`].
    pub burst: Option<u64>,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// Subscriptions that have no limit.
    pub exempt: FxHashSet<Text>,
    /// What clients do when a request is refused.
    pub retries: Retries,
    /// Rates to try as well.
    pub sweep: Option<RateRange>,
    /// Plan of each subscription.
    pub plans: FxHashMap<Text, Text>,
}

impl Question {
    /// Checks the question.
    ///
    /// # Errors
    /// Every mistake.
    pub fn spec(&self) -> Result<Spec, SpecError> {
        let mut problems = Vec::new();
        let rate = self.limit.parse::<Rate>().map_err(|error| problems.push(("limit", error.to_string()))).ok();
        let sweep = self.sweep.as_deref().map(str::parse::<RateRange>).transpose();
        let sweep = sweep.map_err(|error| problems.push(("sweep", error.to_string()))).ok().flatten();
        let mut require = |holds: bool, field, message: &str| {
            if !holds {
                problems.push((field, message.to_owned()));
            }
        };
        require(self.routes.len() <= NAMES_MAX, "routes", "must be at most 1000");
        require(self.exempt.len() <= NAMES_MAX, "exempt", "must be at most 1000");
        require(self.plans.len() <= NAMES_MAX, "plans", "must be at most 1000");
        let in_plans: usize = self.plans.values().map(Vec::len).sum();
        require(in_plans <= PLAN_SUBSCRIPTIONS_MAX, "plans", "must name at most 200000 subscriptions");
        let mut by = if self.by.is_empty() { vec![By::Subscription] } else { self.by.clone() };
        by.sort_unstable();
        by.dedup();
        require(by.len() <= BY_MAX, "by", "must be at most 3 dimensions");
        require(
            self.burst.is_none_or(|burst| burst <= super::rate::RATE_REQUESTS_MAX),
            "burst",
            "must be at most 10,000,000",
        );
        require(
            self.algorithm != Algorithm::TokenBucket || self.burst != Some(0),
            "burst",
            "is the size of the bucket and must be at least 1: an empty one passes nothing",
        );
        let spans = rate.zip(sweep).is_none_or(|(rate, sweep)| rate.per_ms == sweep.from.per_ms);
        require(spans, "sweep", "must have the span of the limit");
        match rate {
            Some(rate) if problems.is_empty() => Ok(self.with(rate, sweep, by)),
            _ => Err(SpecError(problems)),
        }
    }

    /// From when to before when.
    ///
    /// # Errors
    /// A text that is no time, or an end that is not after the beginning.
    pub fn span(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), SpecError> {
        let mut problems = Vec::new();
        let mut at = |field, text: Option<&str>, without: &str| {
            moment(text.unwrap_or(without), now).map_err(|message| problems.push((field, message))).ok()
        };
        let (from, until) = (at("since", self.since.as_deref(), SINCE), at("until", self.until.as_deref(), "0s"));
        match from.zip(until) {
            Some((from, until)) if from < until => Ok((from, until)),
            Some((from, until)) => Err(SpecError(vec![("until", format!("{until} must be after since, {from}"))])),
            None => Err(SpecError(problems)),
        }
    }

    fn with(&self, rate: Rate, sweep: Option<RateRange>, by: Vec<By>) -> Spec {
        let texts = |names: &[String]| names.iter().map(Text::from).collect();
        let members = self.plans.iter().flat_map(|(plan, members)| members.iter().map(move |member| (member, plan)));
        Spec {
            rate,
            routes: texts(&self.routes),
            by,
            burst: self.burst,
            algorithm: self.algorithm,
            exempt: texts(&self.exempt),
            retries: self.retries,
            sweep,
            plans: members.map(|(member, plan)| (Text::from(member), Text::from(plan))).collect(),
        }
    }
}

/// A time in RFC 3339, or how long before `now`.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(ago) = text.parse::<Span>() {
        return Ok(now.plus(-ago.as_millis()).max(Timestamp::MIN));
    }
    let quoted: String = text.chars().take(60).collect();
    Timestamp::parse_rfc3339(text)
        .map_err(|_| format!("\"{quoted}\" is neither a time (2026-03-01T00:00:00Z) nor a duration (30d)"))
}

impl Spec {
    /// Whether the limit counts requests of this route and subscription.
    #[must_use]
    pub fn counts(&self, route: &str, subscription: &str) -> bool {
        (self.routes.is_empty() || self.routes.contains(route)) && !self.exempt.contains(subscription)
    }

    /// Whether the rollup by minute can answer it: spans of whole minutes, and no client that answers a refusal.
    ///
    /// # Errors
    /// Why not.
    pub fn answerable_by_minute(&self) -> Result<(), &'static str> {
        if self.rate.per_ms % 60_000 != 0 {
            return Err("the limit's span is not whole minutes, and the rollup knows nothing shorter");
        }
        if self.retries == Retries::Client {
            return Err(
                "whether a client repeats depends on how its request was answered, which the rollup does not tell",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_field() {
        let question = Question {
            limit: "many".to_owned(),
            sweep: Some("9/min..1/min".to_owned()),
            burst: Some(0),
            algorithm: Algorithm::TokenBucket,
            by: vec![By::Route, By::Client, By::Service, By::Subscription],
            ..Question::default()
        };
        let fields: Vec<&str> = question.spec().unwrap_err().0.into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["limit", "sweep", "by", "burst"]);
    }

    #[test]
    fn spans_are_moments_or_how_long_ago() {
        let now = Timestamp::parse_rfc3339("2026-03-02T00:00:00Z").unwrap();
        let span = |since: &str, until: Option<&str>| {
            let (since, until) = (Some(since.to_owned()), until.map(str::to_owned));
            Question { since, until, ..Question::default() }.span(now).map(|(a, b)| (a.to_string(), b.to_string()))
        };
        let expected = ("2026-03-01T00:00:00Z".to_owned(), "2026-03-02T00:00:00Z".to_owned());
        assert_eq!(span("1d", None), Ok(expected));
        let fields = |result: Result<_, SpecError>| result.unwrap_err().0.into_iter().map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(fields(span("soon", Some("later"))), ["since", "until"]);
        assert_eq!(fields(span("1d", Some("2d"))), ["until"]);
    }

    #[test]
    fn what_a_limit_counts() {
        let question = Question {
            limit: "1200/min".to_owned(),
            routes: vec!["StartProfile".to_owned()],
            exempt: vec!["ours".to_owned()],
            ..Question::default()
        };
        let spec = question.spec().unwrap();
        assert!(spec.counts("StartProfile", "anybody"));
        assert!(!spec.counts("GetProfile", "anybody"));
        assert!(!spec.counts("StartProfile", "ours"));
        assert_eq!(spec.by, [By::Subscription]);
        assert!(spec.answerable_by_minute().is_ok());
    }
}
