//! Names of alerts: the sixteen of the contract, and those that rules give themselves.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The alerts this version can raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertName {
    /// A client or subscription repeats failed requests beyond any retry budget.
    RetryAmplification,
    /// A subscription is above its agreed request rate.
    RateLimitExceeded,
    /// A service spends its error budget fast.
    ErrorBudgetBurn,
    /// A memory limit will be reached soon.
    MemoryExhaustion,
    /// Something restarts again and again.
    RestartLoop,
    /// A caller makes more calls to a service per request it serves than is normal.
    RequestAmplification,
    /// Load is kept up by its own failures after its trigger is gone.
    FeedbackLoop,
    /// Traffic far above what is normal, unexplained. Never pages alone.
    TrafficSurge,
    /// A service answers more slowly than is normal.
    LatencyRegression,
    /// A pool loses members: acquired or reserved, never released.
    PoolLeak,
    /// A pool has no members left.
    PoolExhaustion,
    /// Something works at its ceiling, or drops.
    Saturation,
    /// A cache stopped answering what it used to answer.
    CacheCollapse,
    /// A query pattern takes abnormal memory, or more than its node has.
    QueryBlowup,
    /// A query pattern became heavier with a change.
    QueryRegression,
    /// Records arrive too late to be detected on, or not at all.
    DataDelayed,
    /// What a rule with `threshold` or `query` calls its own.
    Custom(CustomName),
}

/// Names of their own that rules may have given since the start of the process, those of former rules included: each stays
/// in memory for good.
pub const CUSTOM_NAMES_MAX: usize = 1_000;
/// Longest name, in ASCII letters and digits.
const NAME_CHARS_MAX: usize = 64;

/// A name that a rule has given itself. Names are compared by their text, and copied freely: each is kept once, on purpose
/// for as long as the process lives, and there are at most [`CUSTOM_NAMES_MAX`] of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomName(&'static str);

/// A name that no alert can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlertNameError {
    /// It is not written like one.
    #[error("is no name of an alert: a capital letter, then up to 63 ASCII letters and digits")]
    Spelling,
    /// There are too many.
    #[error("is name number {} since the start of the process: no more are kept", CUSTOM_NAMES_MAX + 1)]
    TooMany,
}

/// The process-wide table. Names come from rule files, so it grows with reloads only.
static CUSTOM_NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl CustomName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    fn intern(text: &str) -> Result<Self, AlertNameError> {
        // A set of texts is whole whatever panicked while it was held.
        Self::intern_in(&mut CUSTOM_NAMES.lock().unwrap_or_else(PoisonError::into_inner), text)
    }

    fn intern_in(names: &mut BTreeSet<&'static str>, text: &str) -> Result<Self, AlertNameError> {
        if !AlertName::is_spelled_well(text) {
            return Err(AlertNameError::Spelling);
        }
        if let Some(known) = names.get(text) {
            return Ok(Self(known));
        }
        if names.len() >= CUSTOM_NAMES_MAX {
            return Err(AlertNameError::TooMany);
        }
        let name: &'static str = Box::leak(text.into());
        names.insert(name);
        Ok(Self(name))
    }

    fn known(text: &str) -> Option<Self> {
        CUSTOM_NAMES.lock().unwrap_or_else(PoisonError::into_inner).get(text).copied().map(Self)
    }
}

impl AlertName {
    /// How a JSON Schema says that a text is one.
    pub const FORMAT: &'static str = "alert-name";

    /// Every alert of the contract, in the order of declaration.
    pub const ALL: [Self; 16] = [
        Self::RetryAmplification,
        Self::RateLimitExceeded,
        Self::ErrorBudgetBurn,
        Self::MemoryExhaustion,
        Self::RestartLoop,
        Self::RequestAmplification,
        Self::FeedbackLoop,
        Self::TrafficSurge,
        Self::LatencyRegression,
        Self::PoolLeak,
        Self::PoolExhaustion,
        Self::Saturation,
        Self::CacheCollapse,
        Self::QueryBlowup,
        Self::QueryRegression,
        Self::DataDelayed,
    ];

    /// The contract's spelling, or the rule's own.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAmplification => "RetryAmplification",
            Self::RateLimitExceeded => "RateLimitExceeded",
            Self::ErrorBudgetBurn => "ErrorBudgetBurn",
            Self::MemoryExhaustion => "MemoryExhaustion",
            Self::RestartLoop => "RestartLoop",
            Self::RequestAmplification => "RequestAmplification",
            Self::FeedbackLoop => "FeedbackLoop",
            Self::TrafficSurge => "TrafficSurge",
            Self::LatencyRegression => "LatencyRegression",
            Self::PoolLeak => "PoolLeak",
            Self::PoolExhaustion => "PoolExhaustion",
            Self::Saturation => "Saturation",
            Self::CacheCollapse => "CacheCollapse",
            Self::QueryBlowup => "QueryBlowup",
            Self::QueryRegression => "QueryRegression",
            Self::DataDelayed => "DataDelayed",
            Self::Custom(name) => name.as_str(),
        }
    }

    /// Whether it is a rule's own and none of the contract's.
    #[must_use]
    pub fn is_custom(self) -> bool {
        matches!(self, Self::Custom(_))
    }

    /// Whether a text is written like a name: CamelCase, 1 to 64 ASCII letters and digits.
    #[must_use]
    pub fn is_spelled_well(text: &str) -> bool {
        text.len() <= NAME_CHARS_MAX
            && text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// The alert of this name, if any rule so far has it: for texts of strangers, which must not fill the table.
    #[must_use]
    pub fn known(text: &str) -> Option<Self> {
        Self::of_contract(text).or_else(|| CustomName::known(text).map(Self::Custom))
    }

    /// Reads one of the contract's names and nothing else: for files that no rule of one's own is beside.
    ///
    /// # Errors
    /// Another text, or no text.
    pub fn deserialize_of_contract<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format_args!("`{text}` is no alert of a detector"));
        Self::of_contract(&text).ok_or_else(unknown)
    }

    fn of_contract(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alert| alert.as_str() == text)
    }
}

impl std::str::FromStr for AlertName {
    type Err = AlertNameError;

    /// One of the contract's, else a rule's own, which is kept for good.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::of_contract(text).map_or_else(|| CustomName::intern(text).map(Self::Custom), Ok)
    }
}

impl std::fmt::Display for AlertName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AlertName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AlertName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format_args!("`{text}` {error}")))
    }
}

impl JsonSchema for AlertName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AlertName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Self::ALL.map(Self::as_str);
        json_schema!({
            "description": "One of the alerts of the detectors; of a rule with `threshold` or `query`, a name of its own.",
            "type": "string",
            "format": Self::FORMAT,
            "anyOf": [{ "enum": names }, { "pattern": "^[A-Z][A-Za-z0-9]{0,63}$" }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_texts_in_both_directions() {
        let own: AlertName = serde_json::from_str("\"TooManyRefused\"").unwrap();
        assert!(own.is_custom());
        assert_eq!(own, "TooManyRefused".parse().unwrap());
        assert_eq!(serde_json::to_string(&own).unwrap(), "\"TooManyRefused\"");
        for alert in AlertName::ALL {
            let text = serde_json::to_string(&alert).unwrap();
            assert_eq!(serde_json::from_str::<AlertName>(&text).unwrap(), alert);
            assert!(!alert.is_custom());
        }
    }

    #[test]
    fn a_strangers_text_is_looked_up_and_not_kept() {
        assert_eq!(AlertName::known("NobodyHasThisName"), None);
        assert_eq!(AlertName::known("NobodyHasThisName"), None, "asking does not keep it");
        let kept: AlertName = "SomebodyHasThisName".parse().unwrap();
        assert_eq!(AlertName::known("SomebodyHasThisName"), Some(kept));
        assert_eq!(AlertName::known("RestartLoop"), Some(AlertName::RestartLoop));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "tooMany", "Too-Many", "Zu\u{e4}lle", "9Lives", &"A".repeat(65)] {
            assert_eq!(text.parse::<AlertName>(), Err(AlertNameError::Spelling), "{text}");
        }
        assert!("A".repeat(64).parse::<AlertName>().is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_goes_on_knowing_what_it_holds() {
        let mut names = BTreeSet::new();
        for i in 0..CUSTOM_NAMES_MAX {
            CustomName::intern_in(&mut names, &format!("Name{i}")).unwrap();
        }
        assert_eq!(CustomName::intern_in(&mut names, "OneMore"), Err(AlertNameError::TooMany));
        assert_eq!(CustomName::intern_in(&mut names, "Name7").map(CustomName::as_str), Ok("Name7"));
    }
}
