//! A named query as Grafana's ClickHouse data source sends it: macros and variables instead of parameters.

use std::collections::BTreeMap;

use super::source::SourceError;
use crate::model::{NamedQuery, Parameter, ParameterKind, Timestamp};

/// Numbers among the defaults are checked against this moment; none of them is kept.
const ANY_MOMENT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The text of `query` with `given` values. What is not given has its default, but for the range and the step.
pub(super) fn of_query(query: &NamedQuery, given: &BTreeMap<String, String>) -> Result<String, SourceError> {
    let wrong = |what: String| SourceError(format!("query {}: {what}", query.name));
    if let Some(name) = given.keys().find(|name| query.parameter(name).is_none()) {
        return Err(wrong(format!("there is no parameter {name}")));
    }
    let body: Vec<&str> = query.sql.lines().skip_while(|line| line.starts_with("--")).collect();
    let mut sql = body.join("\n").replace("{database}", "${database}");
    for parameter in &query.parameters {
        let value = match (parameter.name.as_str(), given.get(&parameter.name)) {
            (_, Some(text)) => match text.strip_prefix('$') {
                Some(variable) => of_variable(parameter.kind, variable),
                None => literal(query, parameter, text)?,
            },
            ("from", None) => "toDateTime64($__fromTime, 3, 'UTC')".to_owned(),
            ("until", None) => "toDateTime64($__toTime, 3, 'UTC')".to_owned(),
            ("bucket_s", None) => "toUInt32($__interval_s)".to_owned(),
            (name, None) => {
                let default = parameter.default.as_ref().ok_or_else(|| wrong(format!("{name} is missing")))?;
                literal(query, parameter, default)?
            }
        };
        sql = sql.replace(&format!("{{{}:{}}}", parameter.name, parameter.kind.type_name()), &value);
    }
    Ok(sql)
}

/// Percent-encoded by Grafana: of all its formats the only one that leaves nothing that could end a literal.
fn of_variable(kind: ParameterKind, variable: &str) -> String {
    let text = format!("decodeURLComponent('${{{variable}:percentencode}}')");
    match kind {
        ParameterKind::Text => text,
        ParameterKind::Count => format!("toUInt32OrZero({text})"),
        ParameterKind::Number => format!("toFloat64OrZero({text})"),
        ParameterKind::Moment => format!("parseDateTime64BestEffort({text}, 3, 'UTC')"),
    }
}

/// A value that is written down.
fn literal(query: &NamedQuery, parameter: &Parameter, text: &str) -> Result<String, SourceError> {
    let mut given: BTreeMap<String, String> = [(parameter.name.clone(), text.to_owned())].into();
    let required = query.parameters.iter().filter(|other| other.default.is_none() && other.name != parameter.name);
    given.extend(required.map(|other| (other.name.clone(), "0".to_owned())));
    let bound = query.bind(&given, ANY_MOMENT).map_err(|error| SourceError(error.to_string()))?;
    let value = bound.value(&parameter.name).unwrap_or_default();
    Ok(match parameter.kind {
        ParameterKind::Text => format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")),
        // LIMIT takes a literal as it is.
        ParameterKind::Count | ParameterKind::Number => value.to_owned(),
        ParameterKind::Moment => format!("toDateTime64('{value}', 3, 'UTC')"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(name: &str, given: &[(&str, &str)]) -> Result<String, SourceError> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        of_query(NamedQuery::find(name).unwrap(), &given)
    }

    #[test]
    fn no_parameter_is_left_and_variables_are_encoded() {
        let sql = sql("traffic_over_time", &[("subscription", "$subscription"), ("client", "it's\\"), ("limit", "7")]);
        let sql = sql.unwrap();
        assert!(
            !sql.contains(":String}") && !sql.contains(":UInt32}") && !sql.contains("DateTime64(3, 'UTC')}"),
            "{sql}"
        );
        assert!(sql.contains("decodeURLComponent('${subscription:percentencode}')"), "{sql}");
        assert!(sql.contains("client = 'it\\'s\\\\'") && sql.contains("LIMIT 7"), "{sql}");
        assert!(sql.contains("toDateTime64($__fromTime, 3, 'UTC')") && sql.contains("${database}.requests_by_minute"));
        assert!(!sql.contains("-- title"), "{sql}");
    }

    #[test]
    fn what_does_not_exist_or_fit_is_refused() {
        let refused = |given: &[(&str, &str)]| sql("limit_exceeded", given).unwrap_err().to_string();
        assert!(refused(&[("rutes", "x")]).contains("no parameter rutes"));
        assert!(refused(&[("limit", "x")]).contains("whole number"));
        assert!(sql("subscription_day", &[]).unwrap_err().to_string().contains("subscription is missing"));
    }
}
