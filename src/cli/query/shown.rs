//! Rows as a table for people.

use comfy_table::CellAlignment;
use serde_json::Value;

use super::Question;
use super::row::Row;
use crate::cli::output::table_with;
use crate::model::Unit;
use crate::postmortem::plain;

/// Characters of a cell that are shown; whole values are in the other forms.
const CELL_CHARS_MAX: usize = 200;

/// The table; units stand below the names.
pub(super) fn table_of(rows: &[Row], question: &Question) -> String {
    let names: Vec<&str> = rows.first().into_iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let header = names.iter().map(|name| match unit_of(question, name) {
        Some(unit) => format!("{}\n{unit}", plain(name)),
        None => plain(name),
    });
    let mut table = table_with(header.collect());
    for row in rows {
        table.add_row(names.iter().map(|name| cell(row.get(name).unwrap_or(&Value::Null))));
    }
    for (index, name) in names.iter().enumerate() {
        let is_number = rows.iter().any(|row| row.get(name).is_some_and(Value::is_number));
        if let Some(column) = table.column_mut(index).filter(|_| is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// The unit of a column of numbers.
pub(super) fn unit_of(question: &Question, name: &str) -> Option<&'static str> {
    let Question::Named(bound) = question else { return None };
    let column = bound.query.columns.iter().find(|column| column.name == name)?;
    (!matches!(column.unit, Unit::Time | Unit::Text | Unit::Json | Unit::Count)).then(|| column.unit.as_str())
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        Value::Number(number) => in_digits(number),
        other => plain(&other.to_string()),
    };
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

/// Whole numbers whole, others with five significant digits.
fn in_digits(number: &serde_json::Number) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let size = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (4 - size).clamp(0, 8) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_short_and_say_nothing_to_the_terminal() {
        assert_eq!(cell(&json!("\u{1b}[2Jx")), "\u{fffd}[2Jx");
        assert_eq!(cell(&json!("x".repeat(999))).chars().count(), CELL_CHARS_MAX);
        let numbers = json!([1234567, 0.123456789, 98.25, 0.0, 12345678.9, -2.5]);
        let shown: Vec<String> = numbers.as_array().unwrap().iter().map(cell).collect();
        assert_eq!(shown, ["1234567", "0.12346", "98.25", "0", "12345679", "-2.5"]);
        assert_eq!(cell(&Value::Null), "");
    }

    #[test]
    fn a_table_has_the_columns_in_the_order_of_the_answer() {
        let rows: Vec<Row> = ["{\"b\": \"x\", \"a\": 1}", "{\"b\": \"y\", \"a\": 20}"]
            .map(|text| serde_json::from_str(text).unwrap())
            .into();
        let text = table_of(&rows, &Question::Sql(String::new()));
        assert!(text.starts_with(" b"), "{text}");
        assert!(text.lines().any(|line| line.trim_end() == " x   1"), "{text}");
    }
}
