//! Entries that say something else than was meant: fields of another type of event, shares in percent, lonely keys.

use super::generate::Entry;
use crate::model::FIELDS_BY_TYPE;

/// How long after its start a case may go on: every window of it is closed, also those in which nothing comes.
const LASTS_MS_MAX: i64 = 100 * 86_400_000;

impl Entry {
    /// What cannot be meant like this.
    ///
    /// # Errors
    /// The first such thing.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_fields()?;
        if self.lasts_ms() > LASTS_MS_MAX {
            return Err("a case lasts at most 100d: each five seconds of it are gone through".to_owned());
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(format!("`jitter: {}`: a share of `every` is from 0 to 1", self.jitter));
        }
        let lonely = [
            ("attempt_pause", self.attempt_pause.is_some()),
            ("attempts_in_vain", self.attempts_in_vain),
            ("unmarked", self.unmarked),
        ];
        if let Some((key, _)) = lonely.iter().find(|(_, given)| *given && self.attempts.is_none()) {
            return Err(format!("`{key}` says nothing without `attempts`"));
        }
        if self.attempts.is_some() && self.kind != "request" {
            return Err(format!("only a request has `attempts`, not a {}", self.kind));
        }
        for (name, value) in self.fields.iter().map(|(name, value)| (name.as_str(), value)) {
            value.check().map_err(|problem| format!("`{name}`: {problem}"))?;
        }
        self.attempts.as_ref().map_or(Ok(()), |attempts| attempts.check().map_err(|said| format!("`attempts`: {said}")))
    }

    fn check_fields(&self) -> Result<(), String> {
        let Some((_, fields)) = FIELDS_BY_TYPE.iter().find(|(kind, _)| *kind == self.kind) else {
            return Err(format!("`type: {}`: it is request, signal, change, query or watermark", self.kind));
        };
        let Some(name) = self.fields.keys().find(|name| !fields.contains(&name.as_str())) else { return Ok(()) };
        let owners = FIELDS_BY_TYPE.iter().filter(|(_, fields)| fields.contains(&name.as_str()));
        let owners: Vec<&str> = owners.map(|(kind, _)| *kind).collect();
        Err(format!("a {} has no `{name}`: is `type: {}` meant?", self.kind, owners.join("` or `type: ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let entry: Entry = serde_saphyr::from_str(text).unwrap();
        entry.check().err().unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        assert_eq!(said("{ metric: m, source: a, value: 5 }"), "a request has no `metric`: is `type: signal` meant?");
        assert_eq!(
            said("{ type: signal, source: a, metric: m, value: 1, subscription: x }"),
            "a signal has no `subscription`: is `type: request` or `type: query` meant?"
        );
        assert!(said("{ status: { usual: 200, other: 503, share: 50 } }").contains("`share: 50`"));
        assert!(said("{ jitter: 20 }").contains("from 0 to 1"));
        assert_eq!(said("{ attempts_in_vain: true }"), "`attempts_in_vain` says nothing without `attempts`");
        for long in ["{ from: 101d }", "{ until: 400d, every: 1d }", "{ from: 99d, late_by: 2d }"] {
            assert!(said(long).contains("at most 100d"), "{long}");
        }
        assert_eq!(said("{ until: 100d, every: 1d }"), "");
        assert!(said("{ type: signals }").starts_with("`type: signals`"));
        assert_eq!(said("{ attempts: [2, 3], attempts_in_vain: true, route: Get, jitter: 1 }"), "");
    }
}
