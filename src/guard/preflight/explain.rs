//! Which indexes and projections a query uses: ClickHouse's `EXPLAIN indexes = 1, projections = 1, json = 1`, read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An index that was asked which granules to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `PrimaryKey`, `Partition`, `Skip NAME`, …
    pub index: String,
    /// Granules before it.
    pub granules_before: u64,
    /// Granules after it.
    pub granules_after: u64,
}

/// How a query reads one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Table without database, or the name of the projection that is read in its place.
    pub source: String,
    /// Whether it is a projection.
    pub is_projection: bool,
    /// Parts that are read, and how many there are.
    pub parts: Of,
    /// Granules (8,192 rows by default) that are read, and how many there are.
    pub granules: Of,
    /// What was asked, in order.
    pub indexes: Vec<Access>,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Of {
    /// Those that are read.
    pub selected: u64,
    /// All.
    pub total: u64,
}

impl Scan {
    /// What makes this scan smaller, as a budgets file names it: `events PrimaryKey`, `projection by_day`.
    #[must_use]
    pub fn uses(&self) -> Vec<String> {
        let projection = self.is_projection.then(|| format!("projection {}", self.source));
        let narrowing = self.indexes.iter().filter(|index| index.granules_after < index.granules_before);
        // A projection's own key is part of what the projection is for.
        let indexes = narrowing.filter(|_| !self.is_projection).map(|index| format!("{} {}", self.source, index.index));
        projection.into_iter().chain(indexes).collect()
    }
}

/// The answer to EXPLAIN is not one.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No JSON.
    #[error("the plan is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not a plan.
    #[error("the answer to EXPLAIN holds no plan")]
    NoPlan,
}

/// Every read of a table in a plan, in the plan's order. Tables that are not of the MergeTree family have none.
///
/// # Errors
/// See [`ExplainError`].
pub fn scans(answer: &str) -> Result<Vec<Scan>, ExplainError> {
    let plan: Value = serde_json::from_str(answer)?;
    let root = plan.get(0).and_then(|first| first.get("Plan")).ok_or(ExplainError::NoPlan)?;
    let mut found = Vec::new();
    // The JSON parser bounds the depth of what it reads; so this walk is bounded as well.
    collect(root, &mut found);
    Ok(found)
}

fn collect(node: &Value, found: &mut Vec<Scan>) {
    let text = |name: &str| node.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("Node Type") == "ReadFromMergeTree" {
        found.push(scan(text("Description"), node.get("Indexes").and_then(Value::as_array)));
    }
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        collect(child, found);
    }
}

fn scan(description: &str, indexes: Option<&Vec<Value>>) -> Scan {
    let table = description.split_once('.').map(|(_, table)| table);
    let source = table.unwrap_or(description).to_owned();
    let mut scan = Scan { source, is_projection: table.is_none(), ..Scan::default() };
    for (i, index) in indexes.into_iter().flatten().enumerate() {
        let number = |name: &str| index.get(name).and_then(Value::as_u64).unwrap_or(0);
        let text = |name: &str| index.get(name).and_then(Value::as_str);
        if i == 0 {
            scan.parts.total = number("Initial Parts");
            scan.granules.total = number("Initial Granules");
        }
        scan.parts.selected = number("Selected Parts");
        scan.granules.selected = number("Selected Granules");
        let kind = text("Type").unwrap_or_default();
        scan.indexes.push(Access {
            index: text("Name").map_or_else(|| kind.to_owned(), |name| format!("{kind} {name}")),
            granules_before: number("Initial Granules"),
            granules_after: number("Selected Granules"),
        });
    }
    scan
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"[{"Plan": {"Node Type": "Union", "Plans": [
        {"Node Type": "ReadFromMergeTree", "Description": "shop.events", "Indexes": [
            {"Type": "Partition", "Condition": "true", "Initial Parts": 3, "Selected Parts": 3,
             "Initial Granules": 124, "Selected Granules": 124},
            {"Type": "PrimaryKey", "Keys": ["day"], "Initial Parts": 3, "Selected Parts": 1,
             "Initial Granules": 124, "Selected Granules": 30},
            {"Type": "Skip", "Name": "by_session", "Initial Parts": 1, "Selected Parts": 1,
             "Initial Granules": 30, "Selected Granules": 2}]},
        {"Node Type": "Aggregating", "Plans": [{"Node Type": "ReadFromMergeTree", "Description": "by_feature",
            "Indexes": [{"Type": "PrimaryKey", "Initial Parts": 3, "Selected Parts": 3,
                         "Initial Granules": 3, "Selected Granules": 3}]}]},
        {"Node Type": "ReadFromPreparedSource", "Description": "Optimized trivial count"}]}}]"#;

    #[test]
    fn a_plan_tells_what_narrows_each_read() {
        let found = scans(PLAN).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].source.as_str(), found[0].is_projection), ("events", false));
        assert_eq!(found[0].granules, Of { selected: 2, total: 124 });
        assert_eq!(found[0].parts, Of { selected: 1, total: 3 });
        assert_eq!(found[0].uses(), ["events PrimaryKey", "events Skip by_session"]);
        assert_eq!(found[1].uses(), ["projection by_feature"]);
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        assert!(matches!(scans("Code: 62"), Err(ExplainError::Json(_))));
        assert!(matches!(scans("{}"), Err(ExplainError::NoPlan)));
        assert!(scans(r#"[{"Plan": {"Plans": 3}}]"#).unwrap().is_empty());
    }
}
