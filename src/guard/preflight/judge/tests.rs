//! What is too much, and what is noise.

use super::*;
use crate::guard::preflight::explain::{Access, Of, Scan};

const MIB: u64 = 1 << 20;

fn taken(read_rows: u64, memory_bytes: u64) -> Measures {
    Measures { read_rows, read_bytes: 10 * read_rows, memory_bytes, scans: Vec::new() }
}

fn accepted(read_rows: u64, memory_bytes: u64) -> Baseline {
    Baseline { read_rows, read_bytes: 10 * read_rows, memory_bytes, ..Baseline::default() }
}

fn kinds(now: &Measures, was: &Baseline) -> Vec<Kind> {
    against_baseline("4x", now, was).iter().map(|finding| finding.kind).collect()
}

#[test]
fn layout_and_noise_pass_and_more_does_not() {
    let was = accepted(1_000_000, 40 * MIB);
    assert_eq!(kinds(&taken(1_099_000, 59 * MIB), &was), []);
    assert_eq!(kinds(&taken(1_101_000, 40 * MIB), &was), [Kind::ReadRows, Kind::ReadBytes]);
    assert_eq!(kinds(&taken(1_000_000, 61 * MIB), &was), [Kind::Memory]);
    // Many times of next to nothing is still nothing.
    assert_eq!(kinds(&taken(8_193, 8 * MIB), &accepted(1, 0)), []);
    assert_eq!(kinds(&taken(8_194, 8 * MIB + 1), &accepted(1, 0)), [Kind::ReadRows, Kind::Memory]);
}

#[test]
fn a_budget_holds_whatever_the_baseline_says() {
    let budget = Budget { read_rows_max: Some(100), ..Budget::default() };
    let found = against_budget("4x", &taken(101, 0), &budget);
    assert_eq!((found[0].kind, found.len(), found[0].since.as_str()), (Kind::ReadRows, 1, "budget"));
    assert!(against_budget("4x", &taken(100, u64::MAX), &budget).is_empty());
}

#[test]
fn faster_than_the_data_is_told() {
    let scales = [Scale::seeded(1), Scale::seeded(4)];
    let measures =
        |last: Measures| BTreeMap::from([("1x".to_owned(), taken(100_000, 20 * MIB)), ("4x".to_owned(), last)]);
    assert!(growth(&scales, &measures(taken(400_000, 90 * MIB))).is_empty());
    let notes = growth(&scales, &measures(taken(400_000, 320 * MIB)));
    assert_eq!(notes, ["memory grows faster than the data: 20.0 MiB to 320 MiB for 4 times the rows"]);
}

#[test]
fn an_index_that_has_nothing_left_to_do_is_not_lost() {
    let key = |before, after| Access { index: "PrimaryKey".to_owned(), granules_before: before, granules_after: after };
    let scan = |selected, index| Scan {
        source: "events".to_owned(),
        granules: Of { selected, total: 100 },
        indexes: vec![index],
        ..Scan::default()
    };
    let was = Baseline { scans: Scanned::of(&[scan(5, key(100, 5))]), ..Baseline::default() };
    let budgets = QueryBudgets { baseline: BTreeMap::from([("4x".to_owned(), was)]), ..QueryBudgets::default() };
    let required = ["events PrimaryKey".to_owned()];
    let lost = |scan: Scan| {
        let measures = Measures { scans: vec![scan], ..taken(0, 0) };
        against_requirements("4x", &measures, &required, &budgets).len()
    };
    assert_eq!(lost(scan(5, key(100, 5))), 0, "as before");
    assert_eq!(lost(scan(5, key(5, 5))), 0, "the partition has done it");
    assert_eq!(lost(scan(100, key(100, 100))), 1);
}

#[test]
fn a_seed_that_fills_less_hides_nothing() {
    let scan = |total| Scan { source: "events".to_owned(), granules: Of { selected: 0, total }, ..Scan::default() };
    let was = Baseline { scans: Scanned::of(&[scan(98)]), ..accepted(8_192, 0) };
    let found = |total, scale: &Scale| {
        let now = Measures { scans: vec![scan(total)], ..taken(0, 0) };
        less_data(scale, &now, &was).map(|finding| (finding.kind, finding.was, finding.now))
    };
    let told = (Kind::LessData, "events: 98 granules".to_owned(), "events: 1 granules".to_owned());
    assert_eq!(found(1, &Scale::seeded(4)), Some(told));
    assert_eq!(found(49, &Scale::seeded(4)), None, "another layout");
    assert_eq!(found(1, &Scale { label: "db:8123".to_owned(), factor: None }), None, "its data is its own");
}

#[test]
fn a_query_that_reads_nothing_is_told() {
    assert!(advice::idle(&Scale::seeded(4), &taken(1, 0)).is_none());
    assert!(advice::idle(&Scale::seeded(4), &taken(0, 0)).unwrap().contains("at 4x"));
    assert!(advice::no_baseline("4x", &taken(0, 0)).look_at.contains("reads no rows"));
}

#[test]
fn a_user_that_may_not_set_limits_is_not_told_as_a_query_that_writes() {
    let look_at = |code, message: &str| {
        let error = crate::guard::preflight::ServerError::Refused { code, message: message.to_owned() };
        advice::failed("db:8123", &error).look_at
    };
    let held = look_at(164, "Code: 164. DB::Exception: Cannot modify 'max_threads' setting in readonly mode.");
    assert!(held.contains("readonly = 2"), "{held}");
    assert_eq!(look_at(452, "Setting max_threads shouldn't be greater than 1."), held);
    assert!(look_at(164, "Cannot execute query in readonly mode.").contains("only queries that read"));
}
