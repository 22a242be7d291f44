//! Query parameters, read strictly: an unknown name, a repeat or a bad value is an error that names it.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::problem::{ParameterError, Problem};
use crate::model::{AlertName, Severity, Timestamp, Transition, TransitionEvent};

/// Filters of `/api/v1/alerts`; an absent one lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// `alert=RetryAmplification`
    pub alert: Option<AlertName>,
    /// `severity=critical`
    pub severity: Option<Severity>,
    /// `state=firing`
    pub state: Option<AlertState>,
}

/// States an alert can be listed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Not yet for long enough.
    Pending,
    /// Firing.
    Firing,
}

impl AlertFilter {
    /// From the query part of `uri`.
    ///
    /// # Errors
    /// Every parameter that is unknown, repeated or has a value that is none.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let mut filter = Self::default();
        let mut errors = Vec::new();
        for (name, value) in pairs(uri)? {
            let outcome = match name.as_str() {
                "alert" => set_alert(&mut filter.alert, &value),
                "severity" => set(&mut filter.severity, &value),
                "state" => set(&mut filter.state, &value),
                _ => Err("unknown parameter, expected one of `alert`, `severity`, `state`".to_owned()),
            };
            if let Err(message) = outcome {
                errors.push(ParameterError { parameter: name, message });
            }
        }
        if errors.is_empty() { Ok(filter) } else { Err(Problem::parameters(errors)) }
    }

    /// Whether the alert is asked for.
    #[must_use]
    pub fn matches(&self, alert: &Transition) -> bool {
        let state = match alert.event {
            TransitionEvent::Pending => Some(AlertState::Pending),
            TransitionEvent::Firing => Some(AlertState::Firing),
            TransitionEvent::Resolved => None,
        };
        self.alert.is_none_or(|name| name == alert.alert)
            && self.severity.is_none_or(|severity| severity == alert.severity)
            && (self.state.is_none() || self.state == state)
    }
}

/// Filters of `/api/v1/alerts/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// To before this one.
    pub until: Option<Timestamp>,
    /// Of this page only.
    pub key: Option<String>,
    /// No more rows.
    pub limit: Option<u32>,
}

impl HistoryFilter {
    /// From the query part of `uri`.
    ///
    /// # Errors
    /// Every parameter that is unknown, repeated or has a value that is none.
    pub fn parse(uri: &Uri) -> Result<Self, Problem> {
        let mut filter = Self::default();
        let mut errors = Vec::new();
        for (name, value) in pairs(uri)? {
            let outcome = match name.as_str() {
                "since" => set(&mut filter.since, &value),
                "until" => set(&mut filter.until, &value),
                "key" => set(&mut filter.key, &value),
                "limit" => value.parse().map_err(|_| "must be a whole number".to_owned()).map(|limit| {
                    filter.limit = Some(limit);
                }),
                _ => Err("unknown parameter, expected one of `since`, `until`, `key`, `limit`".to_owned()),
            };
            if let Err(message) = outcome {
                errors.push(ParameterError { parameter: name, message });
            }
        }
        if errors.is_empty() { Ok(filter) } else { Err(Problem::parameters(errors)) }
    }
}

/// Refuses any query parameter.
///
/// # Errors
/// Every parameter there is.
pub fn none(uri: &Uri) -> Result<(), Problem> {
    let unknown = |(parameter, _)| ParameterError { parameter, message: "this path takes no parameter".to_owned() };
    let errors: Vec<ParameterError> = pairs(uri)?.into_iter().map(unknown).collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::parameters(errors)) }
}

/// The parameters of an address by name.
///
/// # Errors
/// Every parameter that is there twice.
pub fn unique_pairs(uri: &Uri) -> Result<BTreeMap<String, String>, Problem> {
    let mut by_name = BTreeMap::new();
    let mut errors = Vec::new();
    for (parameter, value) in pairs(uri)? {
        if by_name.insert(parameter.clone(), value).is_some() {
            errors.push(ParameterError { parameter, message: "given more than once".to_owned() });
        }
    }
    if errors.is_empty() { Ok(by_name) } else { Err(Problem::parameters(errors)) }
}

fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).map_err(|error| {
        Problem::parameters(vec![ParameterError { parameter: String::new(), message: error.body_text() }])
    })
}

/// A stranger's text must not become a name that is kept, so it is looked up only.
fn set_alert(place: &mut Option<AlertName>, value: &str) -> Result<(), String> {
    if place.is_some() {
        return Err("given more than once".to_owned());
    }
    let known = || AlertName::ALL.map(|alert| format!("`{alert}`")).join(", ");
    *place = Some(
        AlertName::known(value)
            .ok_or_else(|| format!("unknown alert `{value}`, expected one of {} or a rule's own", known()))?,
    );
    Ok(())
}

fn set<'de, T: Deserialize<'de>>(place: &mut Option<T>, value: &'de str) -> Result<(), String> {
    if place.is_some() {
        return Err("given more than once".to_owned());
    }
    let deserializer: StrDeserializer<'de, ValueError> = value.into_deserializer();
    *place = Some(T::deserialize(deserializer).map_err(|error| error.to_string())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    fn parse(query: &str) -> Result<AlertFilter, Problem> {
        AlertFilter::parse(&format!("/api/v1/alerts{query}").parse().unwrap())
    }

    #[test]
    fn filters_are_read_and_applied_together() {
        let alert = samples::transition();
        for (query, expected) in [
            ("", true),
            ("?alert=RetryAmplification&severity=critical&state=firing", true),
            ("?alert=RestartLoop", false),
            ("?severity=warning", false),
            ("?state=pending", false),
        ] {
            assert_eq!(parse(query).unwrap().matches(&alert), expected, "{query}");
        }
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let problem = parse("?severity=loud&state=firing&state=pending&color=red").unwrap_err();
        let text = format!("{problem:?}");
        for part in ["severity", "expected one of `info`, `warning`, `critical`", "more than once", "color"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
