//! Silences: which alerts nobody is told about for a while, who asked for it and why. They suppress telling, never the record.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::model::{AlertName, Dimension, DurationMs, PageAlert, Text, Timestamp, did_you_mean};

/// Silences that are in force or to come; further ones are refused.
pub const SILENCES_MAX: usize = 500;
/// Conditions of one silence.
pub const MATCHERS_MAX: usize = 20;
/// Longest a silence may last: what is unwanted for longer is a matter of the rules.
pub const SILENCE_MS_MAX: DurationMs = 30 * 86_400_000;
/// Bytes of an author, a value, a reason or a note.
pub const WORDS_BYTES_MAX: usize = 1_024;
/// Memory that one expression may take once compiled.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// The value is this one.
    #[serde(rename = "=")]
    Equal,
    /// It is not.
    #[serde(rename = "!=")]
    NotEqual,
    /// The whole value matches the expression.
    #[serde(rename = "=~")]
    Matches,
    /// It does not.
    #[serde(rename = "!~")]
    MatchesNot,
}

impl Comparison {
    /// Every comparison; longer spellings first, so that the first that fits is meant.
    const ALL: [(&'static str, Self); 4] =
        [("=~", Self::Matches), ("!~", Self::MatchesNot), ("!=", Self::NotEqual), ("=", Self::Equal)];
}

/// A condition on one label. An absent label is the empty text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Matcher {
    /// `alert`, `severity`, or a dimension such as `subscription`.
    pub name: Text,
    /// How.
    pub comparison: Comparison,
    /// With what.
    pub value: String,
    /// Compiled, where the comparison needs it. Filled by [`Matcher::check`].
    #[serde(skip)]
    expression: Option<Regex>,
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.comparison, &self.value) == (&other.name, other.comparison, &other.value)
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spelling = Comparison::ALL.iter().find(|(_, comparison)| *comparison == self.comparison);
        write!(f, "{}{}{}", self.name, spelling.map_or("=", |(spelling, _)| spelling), self.value)
    }
}

impl std::str::FromStr for Matcher {
    type Err = String;

    /// `name=value`, `name!=value`, `name=~expression`, `name!~expression`, as Alertmanager reads them: blanks around the
    /// parts do not count, and a value may stand in double quotes.
    fn from_str(text: &str) -> Result<Self, String> {
        let start = text.find(['=', '!']).ok_or_else(|| format!("{text}: write name=value, !=, =~ or !~"))?;
        let (name, rest) = text.split_at(start);
        let found = Comparison::ALL.iter().find_map(|(spelling, c)| Some((*c, rest.strip_prefix(spelling)?)));
        let (comparison, value) = found.ok_or_else(|| format!("{text}: write name=value, !=, =~ or !~"))?;
        let value = unquoted(value.trim()).map_err(|why| format!("{text}: {why}"))?;
        let mut matcher = Self { name: name.trim().into(), comparison, value, expression: None };
        matcher.check()?;
        Ok(matcher)
    }
}

impl Matcher {
    /// Checks the name, and compiles the expression.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&mut self) -> Result<(), String> {
        let name = serde_json::Value::from(self.name.as_str());
        if !["alert", "severity"].contains(&self.name.as_str()) {
            let dimension = serde_json::from_value::<Dimension>(name);
            dimension.map_err(|error| format!("a label is `alert`, `severity` or a dimension: {error}"))?;
        }
        if self.comparison == Comparison::Equal {
            self.can_fit()?;
        }
        if self.value.len() > WORDS_BYTES_MAX {
            return Err(format!("the value of {} is longer than {WORDS_BYTES_MAX} bytes", self.name));
        }
        if matches!(self.comparison, Comparison::Matches | Comparison::MatchesNot) {
            // Anchored, as Alertmanager's are.
            let whole = format!("^(?:{})$", self.value);
            let compiled = RegexBuilder::new(&whole).size_limit(EXPRESSION_BYTES_MAX).build();
            self.expression = Some(compiled.map_err(|error| format!("{self}: {error}"))?);
        }
        Ok(())
    }

    /// A silence with a spelling mistake keeps nothing quiet, and says nothing of it until somebody is woken.
    fn can_fit(&self) -> Result<(), String> {
        let value = self.value.as_str();
        let refused = |meant: Option<&str>| {
            let hint = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
            Err(format!("{self}: no alert has that {}{hint}", self.name))
        };
        let severities = ["critical", "warning", "info"];
        match self.name.as_str() {
            _ if value.is_empty() => Ok(()),
            "severity" if !severities.contains(&value) => refused(did_you_mean(value, severities.into_iter())),
            "alert" if AlertName::known(value).is_none() => {
                // A rule of this name may come with the next reload, unless it is a detector's with a slip.
                let meant = did_you_mean(value, AlertName::ALL.into_iter().map(AlertName::as_str));
                if meant.is_none() && AlertName::is_spelled_well(value) { Ok(()) } else { refused(meant) }
            }
            _ => Ok(()),
        }
    }

    fn fits(&self, alert: &PageAlert) -> bool {
        let value = match self.name.as_str() {
            "alert" => alert.alert.as_str(),
            "severity" => alert.severity.as_str(),
            name => alert.labels.0.iter().find(|(d, _)| d.as_str() == name).map_or("", |(_, value)| value.as_str()),
        };
        let matches = self.expression.as_ref().is_some_and(|expression| expression.is_match(value));
        match self.comparison {
            Comparison::Equal => value == self.value,
            Comparison::NotEqual => value != self.value,
            Comparison::Matches => matches,
            Comparison::MatchesNot => !matches,
        }
    }

    /// Whether it lets everything pass, the empty text included.
    fn is_open(&self) -> bool {
        let matches = self.expression.as_ref().is_some_and(|expression| expression.is_match(""));
        match self.comparison {
            Comparison::Equal => self.value.is_empty(),
            Comparison::NotEqual => !self.value.is_empty(),
            Comparison::Matches => matches,
            Comparison::MatchesNot => !matches,
        }
    }
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    /// Identity.
    pub id: Text,
    /// All of them must fit.
    pub matchers: Vec<Matcher>,
    /// From when on, by the wall clock.
    pub starts_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// Who asked for it.
    pub author: Text,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Silence {
    /// Checks everything; `now` is the wall clock.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&mut self, now: Timestamp) -> Result<(), String> {
        let Self { matchers, starts_at, ends_at, author, reason, .. } = self;
        if matchers.is_empty() || matchers.len() > MATCHERS_MAX {
            return Err(format!("a silence needs 1 to {MATCHERS_MAX} matchers"));
        }
        matchers.iter_mut().try_for_each(Matcher::check)?;
        if matchers.iter().all(Matcher::is_open) {
            return Err("these matchers fit every alert: one of them must ask for a label".to_owned());
        }
        if *ends_at <= *starts_at || *ends_at <= now {
            return Err("a silence must end after it begins, and in the future".to_owned());
        }
        if ends_at.since(*starts_at) > SILENCE_MS_MAX || ends_at.since(now) > 2 * SILENCE_MS_MAX {
            return Err(format!("a silence lasts at most {} days", SILENCE_MS_MAX / 86_400_000));
        }
        check_words("author", author)?;
        check_words("reason", reason)
    }

    /// Compiles expressions that were read back.
    pub(super) fn compile(&mut self) {
        // They were checked when the silence was made; one that this version cannot read fits nothing.
        self.matchers.iter_mut().for_each(|matcher| drop(matcher.check()));
    }

    /// Whether it is in force.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }

    /// Whether an alert is meant.
    #[must_use]
    pub fn fits(&self, alert: &PageAlert) -> bool {
        self.matchers.iter().all(|matcher| matcher.fits(alert))
    }
}

/// The value within double quotes, where it stands in such: with `\"`, `\\` and `\n` as Alertmanager writes them.
fn unquoted(value: &str) -> Result<String, &'static str> {
    let Some(rest) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let mut text = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next() {
            Some('"') if characters.as_str().is_empty() => return Ok(text),
            Some('\\') => match characters.next() {
                Some('n') => text.push('\n'),
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                // As in expressions: `\d`.
                Some(other) => text.extend(['\\', other]),
                None => return Err("the quotes are not closed"),
            },
            Some('"') => return Err("something stands behind the quotes"),
            Some(other) => text.push(other),
            None => return Err("the quotes are not closed"),
        }
    }
}

/// Words of a person: not empty, and not longer than is kept.
pub(super) fn check_words(what: &str, words: &str) -> Result<(), String> {
    if words.trim().is_empty() {
        return Err(format!("{what} must not be empty"));
    }
    if words.len() > WORDS_BYTES_MAX {
        return Err(format!("{what} is longer than {WORDS_BYTES_MAX} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::paging::page_state::page_alert;
    use crate::model::samples;

    fn fits(matchers: &[&str]) -> bool {
        let alert = page_alert(&samples::transition());
        matchers.iter().all(|text| text.parse::<Matcher>().unwrap().fits(&alert))
    }

    #[test]
    fn matchers_are_those_of_alertmanager() {
        assert!(fits(&["alert=RetryAmplification", "client_version=4.0.0", "severity!=warning"]));
        assert!(fits(&["client_version=~4\\..*", "subscription=", "service!~.+"]));
        assert!(!fits(&["client_version=~4"]), "the whole value has to match");
        assert!(!fits(&["client=other"]));
        for wrong in ["color=red", "client", "client=~(", "=x"] {
            assert!(wrong.parse::<Matcher>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn matchers_are_read_as_alertmanager_reads_them() {
        let value = |text: &str| text.parse::<Matcher>().map(|matcher| matcher.value);
        for (text, read) in [
            (r#"source="redis/main""#, "redis/main"),
            (" source = redis/main ", "redis/main"),
            (r#"source=~"container/.+""#, "container/.+"),
            (r#"route="say \"hi\" \\ there""#, r#"say "hi" \ there"#),
            (r#"route=~"\d+""#, r"\d+"),
            ("route=it\"s", "it\"s"),
            (r#"route="""#, ""),
        ] {
            assert_eq!(value(text).as_deref(), Ok(read), "{text}");
        }
        for wrong in [r#"source="redis"#, r#"source="redis" main"#, r#"source="redis\"#] {
            assert!(value(wrong).unwrap_err().contains("quotes"), "{wrong}");
        }
    }

    #[test]
    fn what_no_alert_can_have_is_refused_with_what_was_meant() {
        let wrong = |text: &str| text.parse::<Matcher>().unwrap_err();
        assert!(wrong("severity=critcal").ends_with("did you mean `critical`?"), "{}", wrong("severity=critcal"));
        assert!(wrong("severity=page").contains("no alert has that severity"));
        assert!(wrong("alert=RestartLop").ends_with("did you mean `RestartLoop`?"));
        for good in ["alert=CheckoutFails", "alert=RestartLoop", "severity=info", "alert=", "severity=~crit.*"] {
            assert!(good.parse::<Matcher>().is_ok(), "{good}");
        }
        // Those of a journal are compiled all the same.
        let mut old: Matcher = "severity=critical".parse().unwrap();
        old.value = "crit".to_owned();
        assert!(!old.fits(&page_alert(&samples::transition())));
    }

    #[test]
    fn a_silence_has_an_end_a_reason_and_a_condition() {
        let now = Timestamp::from_millis(1_772_360_100_000);
        let good = Silence {
            id: "1".into(),
            matchers: vec!["client=kameleo-cli".parse().unwrap()],
            starts_at: now,
            ends_at: now.plus(60_000),
            author: "jo".into(),
            reason: "known".to_owned(),
            created_at: now,
        };
        assert_eq!(good.clone().check(now), Ok(()));
        let wrong = [
            Silence { matchers: Vec::new(), ..good.clone() },
            Silence { matchers: vec!["subscription!=x".parse().unwrap()], ..good.clone() },
            Silence { ends_at: now, ..good.clone() },
            Silence { ends_at: now.plus(SILENCE_MS_MAX + 1), ..good.clone() },
            Silence { author: " ".into(), ..good.clone() },
            Silence { reason: "x".repeat(WORDS_BYTES_MAX + 1), ..good.clone() },
        ];
        for mut silence in wrong {
            assert!(silence.check(now).is_err(), "{silence:?}");
        }
        assert!(good.is_active(now) && !good.is_active(now.plus(60_000)));
    }
}
