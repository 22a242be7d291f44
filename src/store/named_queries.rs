//! Named queries asked: values for their parameters, checked, and rows by column name. The registry itself, which rule files
//! are checked against too, is in `model`.

use serde::de::DeserializeOwned;

use super::{ClickHouse, StoreError};
pub use crate::model::{
    LEDGER_PROOF, LEDGER_TOTALS, NAMED_QUERIES, NamedQuery, PAGES_SAID, Parameter, ParameterKind, SERVER_TIME,
    TRAFFIC_BY_MINUTE,
};

/// A value for a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// For [`ParameterKind::Text`].
    Text(String),
    /// For [`ParameterKind::Count`].
    Count(u32),
    /// For [`ParameterKind::Moment`].
    Moment(String),
}

impl Value {
    fn kind(&self) -> ParameterKind {
        match self {
            Self::Text(_) => ParameterKind::Text,
            Self::Count(_) => ParameterKind::Count,
            Self::Moment(_) => ParameterKind::Moment,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Moment(text) => text,
            Self::Count(number) => number.to_string(),
        }
    }
}

impl ClickHouse {
    /// Runs a named query and reads its rows by column name.
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
        self.fetch(query.sql, &values).await
    }
}

fn check(query: &NamedQuery, values: &[(&str, Value)]) -> Result<(), StoreError> {
    let wrong = |what: String| Err(StoreError::Protocol(format!("named query {}: {what}", query.name)));
    for parameter in query.parameters {
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn registry_and_files_are_the_same() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/queries/named");
        let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        // Their budgets are beside them.
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "sql"));
        let files: BTreeSet<(String, String)> = paths
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
            })
            .collect();
        let registry: BTreeSet<(String, String)> =
            NAMED_QUERIES.iter().map(|query| (format!("{}.sql", query.name), query.sql.to_owned())).collect();
        assert_eq!(files, registry);
        assert_eq!(registry.len(), NAMED_QUERIES.len(), "a name is there twice");
    }

    /// `name:Type` of every parameter in the text.
    fn parameters_in(sql: &str) -> BTreeSet<&str> {
        let pieces = sql.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        pieces.filter(|piece| piece.contains(':')).collect()
    }

    #[test]
    fn parameters_are_those_that_the_text_names() {
        for query in NAMED_QUERIES {
            let declared: BTreeSet<String> =
                query.parameters.iter().map(|p| format!("{}:{}", p.name, p.kind.type_name())).collect();
            let named: BTreeSet<String> = parameters_in(query.sql).into_iter().map(str::to_owned).collect();
            assert_eq!(declared, named, "{}", query.name);
        }
    }

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
