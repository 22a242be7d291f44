//! The header of a query file: comments at its top that say what it is called, takes and gives.
//!
//! ```text
//! -- title: Top subscriptions by load
//! -- owner: on-call
//! -- budget: interactive
//! -- Prose: what it answers, what to do with it, its cost.
//! -- parameter from DateTime64(3, 'UTC') = now-1h: the beginning
//! -- parameter limit UInt32 = 100: most rows
//! -- column requests requests: how many
//! --     a line that is indented goes on with the parameter or column before it
//! ```

use std::collections::BTreeSet;

use super::{BudgetClass, Column, NamedQuery, Parameter, ParameterKind, Unit};
use crate::model::did_you_mean;

/// Something in a header that is not right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct HeaderMistake {
    /// Name of the file, with extension.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is not right.
    pub what: String,
}

/// Reads the header of the query `name`, and holds the text to its parameters.
///
/// # Errors
/// Every mistake, in the order of the lines.
pub fn read_header(name: &'static str, sql: &'static str) -> Result<NamedQuery, Vec<HeaderMistake>> {
    let mut header = Header::default();
    let comments = sql.lines().map_while(|line| line.strip_prefix("--"));
    for (line, number) in comments.zip(1..) {
        header.take(line, number);
    }
    header.hold_text(sql);
    let (title, owner) = (header.required("title"), header.required("owner"));
    let budget = header.required("budget");
    let known = BudgetClass::ALL.map(BudgetClass::as_str);
    let class = budget.as_ref().and_then(|text| BudgetClass::parse(text));
    if let (Some(text), None) = (&budget, class) {
        let line = header.line_of("budget");
        header.mistake(line, format!("there is no budget `{text}`; there are {}", known.join(", ")));
    }
    if header.prose.is_empty() {
        header.mistake(1, "prose is missing: what it answers, and what to do with it".to_owned());
    }
    if header.columns.is_empty() {
        header.mistake(1, "columns are missing: `-- column NAME UNIT: what it means`".to_owned());
    }
    header.mistakes.sort_by_key(|(line, _)| *line);
    match (title, owner, class) {
        (Some(title), Some(owner), Some(budget)) if header.mistakes.is_empty() => Ok(NamedQuery {
            name,
            sql,
            title,
            description: header.prose.join(" "),
            owner,
            budget,
            parameters: header.parameters,
            columns: header.columns,
        }),
        _ => {
            let file = format!("{name}.sql");
            let mistakes = header.mistakes.into_iter();
            Err(mistakes.map(|(line, what)| HeaderMistake { file: file.clone(), line, what }).collect())
        }
    }
}

/// What an indented line goes on with.
#[derive(Default, Clone, Copy)]
enum Last {
    #[default]
    Prose,
    Parameter,
    Column,
}

#[derive(Default)]
struct Header {
    /// `title`, `owner`, `budget`: name, value, line.
    fields: Vec<(&'static str, String, usize)>,
    prose: Vec<String>,
    parameters: Vec<Parameter>,
    columns: Vec<Column>,
    last: Last,
    mistakes: Vec<(usize, String)>,
}

impl Header {
    fn mistake(&mut self, line: usize, what: String) {
        self.mistakes.push((line, what));
    }

    /// A line, without the dashes.
    fn take(&mut self, line: &str, number: usize) {
        let text = line.trim();
        for field in ["title", "owner", "budget"] {
            if let Some(value) = text.strip_prefix(field).and_then(|rest| rest.strip_prefix(':')) {
                return self.field(field, value.trim(), number);
            }
        }
        if let Some(rest) = text.strip_prefix("parameter ") {
            self.last = Last::Parameter;
            return self.parameter(rest, number);
        }
        if let Some(rest) = text.strip_prefix("column ") {
            self.last = Last::Column;
            return self.column(rest, number);
        }
        let goes_on = line.starts_with("   ");
        let described = match self.last {
            Last::Parameter => self.parameters.last_mut().map(|parameter| &mut parameter.description),
            Last::Column => self.columns.last_mut().map(|column| &mut column.description),
            Last::Prose => None,
        };
        match described.filter(|_| goes_on) {
            Some(description) => {
                description.push(' ');
                description.push_str(text);
            }
            None if !text.is_empty() => {
                self.last = Last::Prose;
                self.prose.push(text.to_owned());
            }
            None => {}
        }
    }

    fn field(&mut self, name: &'static str, value: &str, number: usize) {
        if value.is_empty() {
            self.mistake(number, format!("{name} is empty"));
        }
        if self.fields.iter().any(|(known, ..)| *known == name) {
            self.mistake(number, format!("{name} is there twice"));
        }
        self.fields.push((name, value.to_owned(), number));
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.fields.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| value.clone());
        if value.is_none() {
            self.mistake(1, format!("`-- {name}: …` is missing"));
        }
        value
    }

    fn line_of(&self, name: &str) -> usize {
        self.fields.iter().find(|(known, ..)| *known == name).map_or(1, |(.., line)| *line)
    }

    /// `NAME TYPE [= DEFAULT]: DESCRIPTION`.
    fn parameter(&mut self, text: &str, number: usize) {
        let Some((name, rest)) = text.split_once(' ').filter(|(name, _)| is_name(name)) else {
            return self.mistake(number, "expected `parameter NAME TYPE = DEFAULT: what it means`".to_owned());
        };
        let Some((kind, rest)) = kind_and_rest(rest) else {
            let known = ParameterKind::ALL.map(ParameterKind::type_name).join(", ");
            return self.mistake(number, format!("parameter {name} has an unknown type; known are {known}"));
        };
        let rest = rest.trim_start();
        let (default, description) = match rest.strip_prefix('=') {
            // A default may hold a colon, as moments do, but none before a blank.
            Some(rest) => match rest.split_once(": ") {
                Some((default, description)) => (Some(default.trim().to_owned()), description),
                None => return self.mistake(number, format!("parameter {name} is not described")),
            },
            None => match rest.strip_prefix(':') {
                Some(description) => (None, description),
                None => return self.mistake(number, format!("parameter {name}: expected `:` or `=` after the type")),
            },
        };
        if description.trim().is_empty() {
            self.mistake(number, format!("parameter {name} is not described"));
        }
        if self.parameters.iter().any(|parameter| parameter.name == name) {
            self.mistake(number, format!("parameter {name} is there twice"));
        }
        let (name, description) = (name.to_owned(), description.trim().to_owned());
        let parameter = Parameter { name, kind, default, description };
        if let Some(why) = parameter.default_problem() {
            self.mistake(number, format!("parameter {}: its default {why}", parameter.name));
        }
        self.parameters.push(parameter);
    }

    /// `NAME UNIT: DESCRIPTION`.
    fn column(&mut self, text: &str, number: usize) {
        let parts = text.split_once(':').and_then(|(before, description)| {
            let (name, unit) = before.trim().split_once(' ')?;
            Some((name, unit.trim(), description.trim()))
        });
        let Some((name, unit, description)) = parts.filter(|(name, ..)| is_name(name)) else {
            return self.mistake(number, "expected `column NAME UNIT: what it means`".to_owned());
        };
        let known = Unit::ALL.map(Unit::as_str);
        let Some(unit) = Unit::parse(unit) else {
            let meant = did_you_mean(unit, known.into_iter()).map(|meant| format!("; did you mean {meant}?"));
            let meant = meant.unwrap_or_else(|| format!("; known are {}", known.join(", ")));
            return self.mistake(number, format!("column {name} has an unknown unit `{unit}`{meant}"));
        };
        if description.is_empty() {
            self.mistake(number, format!("column {name} is not described"));
        }
        if self.columns.iter().any(|column| column.name == name) {
            self.mistake(number, format!("column {name} is there twice"));
        }
        self.columns.push(Column { name: name.to_owned(), unit, description: description.to_owned() });
    }

    /// The text names the header's parameters, each with its type, and no others.
    fn hold_text(&mut self, sql: &str) {
        let body = sql.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("--"));
        let mut named = BTreeSet::new();
        for (line, number) in body {
            for piece in line.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                let Some((name, kind)) = piece.split_once(':') else { continue };
                named.insert(name.to_owned());
                let declared = self.parameters.iter().find(|parameter| parameter.name == name);
                match declared.map(|parameter| parameter.kind.type_name()) {
                    None => self.mistake(number, format!("parameter {name} is not in the header")),
                    Some(declared) if declared != kind => {
                        self.mistake(number, format!("parameter {name} is a {declared} in the header, not a {kind}"));
                    }
                    Some(_) => {}
                }
            }
        }
        let unused = self.parameters.iter().filter(|parameter| !named.contains(&parameter.name));
        let unused: Vec<String> = unused.map(|parameter| parameter.name.clone()).collect();
        for name in unused {
            let start = format!("-- parameter {name} ");
            let line = sql.lines().position(|line| line.starts_with(&start)).map_or(1, |place| place + 1);
            self.mistake(line, format!("parameter {name} is not in the text"));
        }
    }
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The kind whose type `text` begins with, and what follows.
fn kind_and_rest(text: &str) -> Option<(ParameterKind, &str)> {
    ParameterKind::ALL.into_iter().find_map(|kind| Some((kind, text.strip_prefix(kind.type_name())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "-- title: Who\n-- owner: on-call\n-- budget: interactive\n-- What it answers,\n-- and more.\n\
        -- parameter from DateTime64(3, 'UTC') = 2026-01-01T00:00:00Z: the beginning\n--    of it all\n\
        -- parameter who String = : only this one; empty for all\n\
        -- parameter limit UInt32: most rows\n\
        -- column requests requests: how many\n-- column share ratio: of all\n\
        SELECT {from:DateTime64(3, 'UTC')} AS requests, {who:String} AS share -- {not a parameter}\n\
        FROM {database}.requests LIMIT {limit:UInt32}\n";

    fn mistakes(sql: &str) -> Vec<String> {
        let sql: &'static str = Box::leak(sql.to_owned().into_boxed_str());
        read_header("q", sql).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_header_is_read_whole() {
        let query = read_header("q", WHOLE).unwrap();
        assert_eq!((query.title.as_str(), query.owner.as_str()), ("Who", "on-call"));
        assert_eq!(
            (query.budget, query.description.as_str()),
            (BudgetClass::Interactive, "What it answers, and more.")
        );
        let parameter = |at: usize| {
            let parameter = &query.parameters[at];
            (parameter.name.as_str(), parameter.kind, parameter.default.as_deref(), parameter.description.as_str())
        };
        let moment = ParameterKind::Moment;
        assert_eq!(parameter(0), ("from", moment, Some("2026-01-01T00:00:00Z"), "the beginning of it all"));
        assert_eq!(parameter(1), ("who", ParameterKind::Text, Some(""), "only this one; empty for all"));
        assert_eq!(parameter(2), ("limit", ParameterKind::Count, None, "most rows"));
        let units: Vec<Unit> = query.columns.iter().map(|column| column.unit).collect();
        assert_eq!(units, [Unit::Requests, Unit::Ratio]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let told = mistakes("SELECT 1\n");
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told.iter().all(|told| told.starts_with("q.sql:1: ")), "{told:?}");
        for (from, to, said) in [
            ("budget: interactive", "budget: quick", "q.sql:3: there is no budget `quick`"),
            ("-- owner: on-call", "-- owner:", "q.sql:2: owner is empty"),
            ("-- owner: on-call", "-- title: Again", "q.sql:2: title is there twice"),
            ("limit UInt32: most", "limit UInt8: most", "q.sql:9: parameter limit has an unknown type"),
            ("limit UInt32: most rows", "limit UInt32:", "q.sql:9: parameter limit is not described"),
            ("limit UInt32: most", "limit UInt32 most", "q.sql:9: parameter limit: expected `:`"),
            ("limit UInt32: most", "limit UInt32 = few: most", "q.sql:9: parameter limit: its default"),
            ("parameter who ", "parameter from ", "q.sql:8: parameter from is there twice"),
            ("parameter limit ", "parameter Limit ", "q.sql:9: expected `parameter NAME"),
            ("share ratio", "share ration", "q.sql:11: column share has an unknown unit `ration`; did you mean ratio?"),
            ("column share ratio: of all", "column requests ratio: of all", "q.sql:11: column requests is there twice"),
            ("column share ratio", "column share", "q.sql:11: expected `column NAME UNIT"),
            ("LIMIT {limit:UInt32}", "LIMIT {limit:UInt64}", "q.sql:13: parameter limit is a UInt32 in the header"),
            ("LIMIT {limit:UInt32}", "LIMIT {most:UInt32}", "q.sql:13: parameter most is not in the header"),
            ("LIMIT {limit:UInt32}", "", "q.sql:9: parameter limit is not in the text"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let told = mistakes(&WHOLE.replace(from, to));
            assert!(told.iter().any(|told| told.starts_with(said)), "{said} is not among {told:?}");
        }
    }
}
