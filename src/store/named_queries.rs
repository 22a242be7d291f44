//! Named queries asked: values for their parameters, checked, and rows by column name. The registry itself, which rule files
//! are checked against too, is in `model`.

use serde::de::DeserializeOwned;

use super::{ClickHouse, StoreError};
pub use crate::model::{
    Bound, LEDGER_PROOF, LEDGER_TOTALS, NamedQuery, PAGES_SAID, Parameter, ParameterKind, SERVER_TIME,
};

/// A value for a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// For [`ParameterKind::Text`].
    Text(String),
    /// For [`ParameterKind::Count`].
    Count(u32),
    /// For [`ParameterKind::Number`].
    Number(f64),
    /// For [`ParameterKind::Moment`].
    Moment(String),
}

impl Value {
    fn kind(&self) -> ParameterKind {
        match self {
            Self::Text(_) => ParameterKind::Text,
            Self::Count(_) => ParameterKind::Count,
            Self::Number(_) => ParameterKind::Number,
            Self::Moment(_) => ParameterKind::Moment,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Moment(text) => text,
            Self::Count(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl ClickHouse {
    /// Runs a named query without limits and reads its rows by column name.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Protocol`] when `values` are not the query's parameters, or a row does not
    /// fit `T`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        query: &NamedQuery,
        values: Vec<(&str, Value)>,
    ) -> Result<Vec<T>, StoreError> {
        check(query, &values)?;
        let values: Vec<(&str, String)> = values.into_iter().map(|(name, value)| (name, value.into_text())).collect();
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.with_settings(&query.budget.limits().spill_settings()).fetch(query.sql, &values).await
    }

    /// Runs a named query within the limits of its budget class, and reads its rows by column name. A client that is
    /// [`ClickHouse::protected`] has its limits replaced by those.
    ///
    /// # Errors
    /// See [`StoreError`]; [`StoreError::Protocol`] when a row does not fit `T`.
    pub async fn ask_bound<T: DeserializeOwned>(&self, bound: &Bound<'_>) -> Result<Vec<T>, StoreError> {
        let values: Vec<(&str, &str)> = bound.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let limited = self.limited(&bound.query.budget.limits());
        // Moments as RFC 3339, like everywhere outside of ClickHouse.
        limited.with_setting("date_time_output_format", "iso").fetch(bound.query.sql, &values).await
    }
}

fn check(query: &NamedQuery, values: &[(&str, Value)]) -> Result<(), StoreError> {
    let wrong = |what: String| Err(StoreError::Protocol(format!("named query {}: {what}", query.name)));
    for parameter in &query.parameters {
        match values.iter().find(|(name, _)| *name == parameter.name) {
            None => return wrong(format!("parameter {} is missing", parameter.name)),
            Some((_, value)) if value.kind() != parameter.kind => {
                return wrong(format!("parameter {} is a {}", parameter.name, parameter.kind.type_name()));
            }
            Some(_) => {}
        }
    }
    match values.iter().find(|(name, _)| !query.parameters.iter().any(|parameter| parameter.name == *name)) {
        Some((name, _)) => wrong(format!("there is no parameter {name}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_unknown_and_mistyped_parameters_are_refused() {
        let topic = || ("topic", Value::Text("requests".to_owned()));
        let refused = |values: &[(&str, Value)]| check(&LEDGER_TOTALS, values).unwrap_err().to_string();
        assert!(refused(&[topic()]).contains("limit is missing"));
        assert!(refused(&[topic(), ("limit", Value::Text("1".to_owned()))]).contains("limit is a UInt32"));
        let too_many = [topic(), ("limit", Value::Count(1)), ("also", Value::Count(1))];
        assert!(refused(&too_many).contains("no parameter also"));
        assert!(check(&LEDGER_TOTALS, &too_many[..2]).is_ok());
    }
}
