//! The budgets file: what each query may take, which indexes it has to use, and what it took when that was last accepted.
//! A person writes and reviews it; `--update` writes it anew, in a stable order, and keeps what a person decides.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Deserialize;

use super::explain::{Of, Scan};

/// Said at the top of each file.
const HEAD: &str = "\
# What the queries of this folder may read and take, on seeded data: `floodmark guard preflight` holds them to it.
# `--update` writes `baseline`, and for a new query also `parameters`, `require` and `budget`: those are yours from then
# on, and stay as you leave them. Comments are not kept: say why in `note`. Budgets are for the largest scale.
";
/// A proposed budget is so many times what was measured: room to grow, in steps that a baseline lets pass.
const ROOM: f64 = 2.0;
/// No proposed memory budget is smaller: below this nothing is at stake.
const MEMORY_BUDGET_BYTES_MIN: u64 = 64_000_000;

/// A budgets file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Where schema and seed are.
    pub seed: SeedFiles,
    /// By name of the query's file, without `.sql`.
    pub queries: BTreeMap<String, QueryBudgets>,
}

/// Where schema and seed are: files, or folders of numbered files; relative to the queries.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeedFiles {
    /// Database to make; `{database}` in all files. Absent: `preflight`.
    pub database: Option<String>,
    /// Absent: `schema.sql`, where there is one.
    pub schema: Option<PathBuf>,
    /// Absent: `seed.sql`, where there is one.
    pub data: Option<PathBuf>,
}

/// What is known of one query.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryBudgets {
    /// Why it may take what it may.
    pub note: Option<String>,
    /// Values of its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Indexes and projections that it has to use, as [`Scan::uses`] names them.
    pub require: Option<Vec<String>>,
    /// What it may take at the largest scale.
    pub budget: Option<Budget>,
    /// What it took, by scale (`1x`, `4x`, or a server's host and port).
    pub baseline: BTreeMap<String, Baseline>,
}

/// What a query may take. Absent: not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Rows read.
    pub read_rows_max: Option<u64>,
    /// Bytes read, uncompressed.
    pub read_bytes_max: Option<u64>,
    /// Peak memory.
    pub memory_bytes_max: Option<u64>,
}

/// What a query took when it was last accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Day (UTC).
    pub date: String,
    /// Version of ClickHouse.
    pub engine: String,
    /// Rows read.
    pub read_rows: u64,
    /// Bytes read, uncompressed.
    pub read_bytes: u64,
    /// Peak memory: the most of the runs.
    pub memory_bytes: u64,
    /// How its tables were read.
    #[serde(default)]
    pub scans: Vec<Scanned>,
}

/// How much of a table was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanned {
    /// Table or projection.
    pub source: String,
    /// Granules that were read, and how many there were.
    pub granules: Of,
}

impl Scanned {
    /// One for each table, in the plan's order: the reads of a table that is read several times add up.
    #[must_use]
    pub fn of(scans: &[Scan]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for Scan { source, granules, .. } in scans {
            match all.iter_mut().find(|known| known.source == *source) {
                Some(known) => {
                    known.granules.selected += granules.selected;
                    known.granules.total += granules.total;
                }
                None => all.push(Self { source: source.clone(), granules: *granules }),
            }
        }
        all
    }
}

impl Budget {
    /// A budget with room over what was measured.
    #[must_use]
    pub fn with_room(read_rows: u64, read_bytes: u64, memory_bytes: u64) -> Self {
        let memory = round_up(memory_bytes).max(MEMORY_BUDGET_BYTES_MIN);
        Self {
            read_rows_max: Some(round_up(read_rows)),
            read_bytes_max: Some(round_up(read_bytes)),
            memory_bytes_max: Some(memory),
        }
    }
}

/// With room, to two digits: nobody reads more of a budget.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // far below 2^53
fn round_up(measured: u64) -> u64 {
    let wanted = measured.max(1) as f64 * ROOM;
    let step = 10_f64.powf((wanted.log10().floor() - 1.0).max(0.0));
    ((wanted / step).ceil() * step) as u64
}

impl Budgets {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The file: the same budgets always give the same text.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = HEAD.to_owned();
        let seed = &self.seed;
        if *seed != SeedFiles::default() {
            out.push_str("\n[seed]\n");
            line(&mut out, "database", seed.database.as_deref().map(quoted));
            let path = |path: &Option<PathBuf>| path.as_ref().map(|path| quoted(&path.display().to_string()));
            line(&mut out, "schema", path(&seed.schema));
            line(&mut out, "data", path(&seed.data));
        }
        for (name, query) in &self.queries {
            query.write(&format!("queries.{}", key(name)), &mut out);
        }
        out
    }
}

impl QueryBudgets {
    fn write(&self, path: &str, out: &mut String) {
        section(out, path);
        line(out, "note", self.note.as_deref().map(quoted));
        if !self.parameters.is_empty() {
            let pairs: Vec<String> =
                self.parameters.iter().map(|(name, value)| format!("{} = {}", key(name), quoted(value))).collect();
            line(out, "parameters", Some(format!("{{ {} }}", pairs.join(", "))));
        }
        let list = |names: &Vec<String>| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        line(out, "require", self.require.as_ref().map(|names| format!("[{}]", list(names))));
        if let Some(budget) = &self.budget {
            section(out, &format!("{path}.budget"));
            line(out, "read_rows_max", budget.read_rows_max.map(grouped));
            line(out, "read_bytes_max", budget.read_bytes_max.map(grouped));
            line(out, "memory_bytes_max", budget.memory_bytes_max.map(grouped));
        }
        for (scale, baseline) in &self.baseline {
            section(out, &format!("{path}.baseline.{}", key(scale)));
            baseline.write(out);
        }
    }
}

impl Baseline {
    fn write(&self, out: &mut String) {
        line(out, "date", Some(quoted(&self.date)));
        line(out, "engine", Some(quoted(&self.engine)));
        line(out, "read_rows", Some(grouped(self.read_rows)));
        line(out, "read_bytes", Some(grouped(self.read_bytes)));
        line(out, "memory_bytes", Some(grouped(self.memory_bytes)));
        if self.scans.is_empty() {
            return;
        }
        out.push_str("scans = [\n");
        for scan in &self.scans {
            let (selected, total) = (grouped(scan.granules.selected), grouped(scan.granules.total));
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "    {{ source = {}, granules = {{ selected = {selected}, total = {total} }} }},",
                quoted(&scan.source)
            );
        }
        out.push_str("]\n");
    }
}

fn section(out: &mut String, path: &str) {
    let _ = writeln!(out, "\n[{path}]");
}

fn line(out: &mut String, name: &str, value: Option<String>) {
    if let Some(value) = value {
        let _ = writeln!(out, "{name} = {value}");
    }
}

fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `1_234_567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_is_read_back_the_same() {
        let baseline = Baseline {
            date: "2026-11-21".to_owned(),
            engine: "26.7.2.1".to_owned(),
            read_rows: 1_234_567,
            read_bytes: 99,
            memory_bytes: 4_194_304,
            scans: vec![Scanned { source: "events".to_owned(), granules: Of { selected: 3, total: 1_240 } }],
        };
        let query = QueryBudgets {
            note: Some("it's \"wide\"\nby design \\".to_owned()),
            parameters: BTreeMap::from([("from".to_owned(), "2026-01-01".to_owned())]),
            require: Some(vec!["events PrimaryKey".to_owned()]),
            budget: Some(Budget { memory_bytes_max: None, ..Budget::with_room(1_234_567, 99, 4_194_304) }),
            baseline: BTreeMap::from([("1x".to_owned(), baseline.clone()), ("db-1:8123".to_owned(), baseline)]),
        };
        let budgets = Budgets {
            seed: SeedFiles { database: Some("shop".to_owned()), schema: Some("../schema".into()), data: None },
            queries: BTreeMap::from([("a query".to_owned(), query), ("b".to_owned(), QueryBudgets::default())]),
        };
        let text = budgets.to_toml();
        assert_eq!(Budgets::parse(&text).unwrap(), budgets, "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn proposed_budgets_have_room_and_two_digits() {
        let budget = Budget::with_room(1_234_567, 0, 1_000);
        assert_eq!(budget.read_rows_max, Some(2_500_000));
        assert_eq!(budget.read_bytes_max, Some(2));
        assert_eq!(budget.memory_bytes_max, Some(MEMORY_BUDGET_BYTES_MIN));
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(Budgets::parse("[queries.a.budget]\nmemory_max = 1").is_err());
    }
}
