//! Properties of fingerprints, over texts that are put together at random.

use proptest::prelude::*;

use super::{normalise_sql, sql_facts};

/// One query, in pieces that may be written in many ways.
#[derive(Debug, Clone)]
struct Query {
    columns: Vec<usize>,
    table: usize,
    conditions: Vec<(usize, Condition)>,
    group: Option<usize>,
    limit: Option<u32>,
}

#[derive(Debug, Clone)]
enum Condition {
    Equals(i64),
    Is(String),
    In(Vec<i64>),
    OneOf(Vec<String>),
    Between(f64, f64),
}

const COLUMNS: [&str; 6] = ["a", "b", "user_id", "`odd name`", "t.c", "toDate(d)"];
const TABLES: [&str; 4] = ["events", "db.events", "`events 2`", "hits"];

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        any::<i64>().prop_map(Condition::Equals),
        "[a-z'\\\\ é;-]{0,8}".prop_map(Condition::Is),
        proptest::collection::vec(any::<i64>(), 1..5).prop_map(Condition::In),
        proptest::collection::vec("[a-z(),]{0,5}", 1..4).prop_map(Condition::OneOf),
        (0.0..1e9_f64, 0.0..1e9_f64).prop_map(|(from, to)| Condition::Between(from, to)),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    (
        proptest::collection::vec(0..COLUMNS.len(), 1..4),
        0..TABLES.len(),
        proptest::collection::vec((0..COLUMNS.len(), condition()), 0..4),
        proptest::option::of(0..COLUMNS.len()),
        proptest::option::of(any::<u32>()),
    )
        .prop_map(|(columns, table, conditions, group, limit)| Query { columns, table, conditions, group, limit })
}

/// How a query is written.
#[derive(Debug, Clone)]
struct Style {
    spaces: Vec<usize>,
    upper: bool,
}

const SPACES: [&str; 7] = [" ", "  ", "\n", "\t ", " /* a /* b */ ' */ ", " -- it's\n", " // x\n"];

fn style() -> impl Strategy<Value = Style> {
    (proptest::collection::vec(0..SPACES.len(), 1..9), any::<bool>())
        .prop_map(|(spaces, upper)| Style { spaces, upper })
}

impl Query {
    fn written(&self, style: &Style) -> String {
        let mut words: Vec<String> = vec!["select".to_owned()];
        let columns: Vec<&str> = self.columns.iter().map(|column| COLUMNS[*column]).collect();
        words.push(columns.join(","));
        words.extend(["from".to_owned(), TABLES[self.table].to_owned()]);
        for (i, (column, condition)) in self.conditions.iter().enumerate() {
            words.push(if i == 0 { "where" } else { "and" }.to_owned());
            words.push(COLUMNS[*column].to_owned());
            words.push(condition.written());
        }
        words.extend(self.group.map(|_| format!("group{}by", SPACES[style.spaces[0]])));
        words.extend(self.group.map(|column| COLUMNS[column].to_owned()));
        words.extend(self.limit.map(|limit| format!("limit {limit}")));
        let mut text = String::new();
        for (i, word) in words.iter().enumerate() {
            let is_keyword = ["select", "from", "where", "and"].contains(&word.as_str());
            text += &if is_keyword && style.upper { word.to_uppercase() } else { word.clone() };
            text += SPACES[style.spaces[i % style.spaces.len()]];
        }
        text
    }
}

impl Condition {
    fn written(&self) -> String {
        let quoted = |text: &String| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        match self {
            Self::Equals(number) => format!("= {number}"),
            Self::Is(text) => format!("= {}", quoted(text)),
            Self::In(numbers) => {
                format!("in ({})", numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
            }
            Self::OneOf(texts) => format!("IN ({})", texts.iter().map(quoted).collect::<Vec<_>>().join(",")),
            Self::Between(from, to) => format!("between {from:e} and {to}"),
        }
    }

    /// The same condition with other values.
    fn other(&self, values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or(0);
        match self {
            Self::Equals(_) => Self::Equals(first),
            Self::Is(_) => Self::Is(format!("x'{first}")),
            Self::In(_) => Self::In(if values.is_empty() { vec![1] } else { values.to_vec() }),
            Self::OneOf(_) => Self::OneOf(vec!["y".to_owned(); values.len().max(1)]),
            Self::Between(..) => Self::Between(0.5, 1e9),
        }
    }
}

proptest! {
    #[test]
    fn comments_spacing_case_literals_and_lists_do_not_matter(
        query in query(),
        one in style(),
        two in style(),
        values in proptest::collection::vec(any::<i64>(), 0..20),
        limit: u32,
    ) {
        let mut other = query.clone();
        other.conditions.iter_mut().for_each(|(_, condition)| *condition = condition.other(&values));
        other.limit = other.limit.map(|_| limit);
        prop_assert_eq!(normalise_sql(&query.written(&one)), normalise_sql(&other.written(&two)));
        prop_assert_eq!(sql_facts(&query.written(&one)), sql_facts(&other.written(&two)));
    }

    #[test]
    fn another_table_or_column_matters(query in query(), style in style(), by in 1..3_usize) {
        let normal = normalise_sql(&query.written(&style));
        let mut other = query.clone();
        other.table = (other.table + by) % TABLES.len();
        prop_assert_ne!(&normal, &normalise_sql(&other.written(&style)));
        let mut other = query.clone();
        other.columns[0] = (other.columns[0] + by) % COLUMNS.len();
        prop_assert_ne!(&normal, &normalise_sql(&other.written(&style)));
        let mut other = query.clone();
        other.columns.push(0);
        prop_assert_ne!(&normal, &normalise_sql(&other.written(&style)));
    }

    #[test]
    fn any_text_is_taken_as_it_is(text in "[a-zA-Z0-9_.'\"`$(){}\\[\\],;:=<>+*/#@!?| \\n\\\\-]{0,60}|\\PC{0,40}") {
        let normal = normalise_sql(&text);
        prop_assert!(normal.len() <= 4 * text.len(), "{normal}");
        prop_assert!(sql_facts(&text).tables.len() <= super::SQL_TABLES_MAX);
        // A comment before it, and space, change nothing.
        prop_assert_eq!(normalise_sql(&format!("/* x */ {text}")), normal);
    }
}
