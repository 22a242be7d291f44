//! Settings of ClickHouse in a policy: values, and how far users may change them.

use serde::{Deserialize, Serialize};

/// A setting of a class, as written: a value that nobody may change, or a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum SettingPolicy {
    /// `name = 5`: nobody may change it.
    Fixed(SettingValue),
    /// `name = { value = 5, min = 1, max = 10 }`: users may choose within the range.
    Range(SettingRange),
}

/// A setting that users may choose within a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingRange {
    /// What holds unless a user chooses.
    pub value: SettingValue,
    /// Least that may be chosen. Needed: for most limits 0 is "no limit".
    pub min: Option<SettingValue>,
    /// Most that may be chosen.
    pub max: Option<SettingValue>,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// 0 or 1 for ClickHouse.
    Flag(bool),
    /// A whole number.
    Number(u64),
    /// A share or a ratio.
    Ratio(f64),
    /// Anything else.
    Text(String),
}

impl SettingValue {
    /// As `system.settings_profile_elements` shows it.
    #[must_use]
    pub fn as_shown(&self) -> String {
        match self {
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Ratio(ratio) => ratio.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// As SQL writes it.
    #[must_use]
    pub fn to_sql(&self) -> String {
        match self {
            Self::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            _ => self.as_shown(),
        }
    }

    /// Whether it is 0, which for a limit means none.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Flag(flag) => !flag,
            Self::Number(number) => *number == 0,
            Self::Ratio(ratio) => *ratio == 0.0,
            Self::Text(text) => text.trim().parse::<f64>().is_ok_and(|number| number == 0.0),
        }
    }
}

impl From<u64> for SettingValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for SettingValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Who may change a setting, besides its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Writability {
    /// Users that may write; a user with `readonly = 1` may not.
    Writable,
    /// Nobody.
    Const,
    /// Every user, also with `readonly = 1`.
    ChangeableInReadonly,
}

/// A setting of a profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Absent: ClickHouse's default.
    pub value: Option<SettingValue>,
    /// Least that may be chosen.
    pub min: Option<SettingValue>,
    /// Most that may be chosen.
    pub max: Option<SettingValue>,
    /// Who may choose.
    pub writability: Writability,
}

impl Setting {
    /// A value that nobody may change.
    #[must_use]
    pub fn fixed(value: impl Into<SettingValue>) -> Self {
        Self { value: Some(value.into()), min: None, max: None, writability: Writability::Const }
    }

    /// A cap that a user may lower for a query of its own, and never raise or, with 0, switch off.
    #[must_use]
    pub fn cap(most: u64) -> Self {
        Self {
            value: Some(most.into()),
            min: Some(1.into()),
            max: Some(most.into()),
            writability: Writability::ChangeableInReadonly,
        }
    }

    /// A setting that ClickHouse leaves open, and that may only be chosen up to a bound.
    #[must_use]
    pub fn bound(most: u64) -> Self {
        Self { value: None, ..Self::cap(most) }
    }

    /// A setting that harms nobody: everybody may change it.
    #[must_use]
    pub fn free() -> Self {
        Self { value: None, min: None, max: None, writability: Writability::ChangeableInReadonly }
    }

    /// As a plan shows it, and SQL writes it after the setting's name.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let part = |word: &str, value: &Option<SettingValue>| {
            value.as_ref().map_or_else(String::new, |value| format!("{word} {}", value.to_sql()))
        };
        let writability = match self.writability {
            Writability::Writable => "",
            Writability::Const => " CONST",
            Writability::ChangeableInReadonly => " CHANGEABLE_IN_READONLY",
        };
        format!("{}{}{}{writability}", part(" =", &self.value), part(" MIN", &self.min), part(" MAX", &self.max))
    }
}
