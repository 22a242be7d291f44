use proptest::prelude::*;

use super::*;

/// Moments before now in these tables.
const BEFORE: usize = 6;

/// A row: values, moment, number, weight.
type Row = (Vec<String>, Moment, f64, f64);

/// What a cell counts at a moment (0 is now) with these values.
type Cell<'a> = &'a dyn Fn(&[usize], usize) -> (f64, f64);

/// Every combination of so many values a dimension, at every moment.
fn rows(sizes: &[usize], cell: Cell) -> Vec<Row> {
    let mut combinations: Vec<Vec<usize>> = vec![Vec::new()];
    for size in sizes {
        let longer = |values: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..*size).map(|value| [values.as_slice(), &[value]].concat()).collect()
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    let mut rows = Vec::new();
    for values in &combinations {
        for ago in 0..=BEFORE {
            let moment = if ago == 0 { Moment::Now } else { Moment::Before(ago - 1) };
            let (number, weight) = cell(values, ago);
            rows.push((values.iter().map(|value| format!("v{value}")).collect(), moment, number, weight));
        }
    }
    rows
}

fn table(rows: &[Row], measure: Measure) -> Table {
    let dimensions = (0..rows[0].0.len()).map(|place| format!("d{place}")).collect();
    let mut builder = TableBuilder::new(dimensions, measure, BEFORE).unwrap();
    for (values, moment, number, weight) in rows {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        builder.add(&values, *moment, *number, *weight).unwrap();
    }
    builder.finish()
}

/// The root causes as text, best first.
fn causes(rows: &[Row], measure: Measure) -> Vec<String> {
    let found = explain(&table(rows, measure), &Options::default());
    let text = |cause: &RootCause| {
        let conditions: Vec<String> = cause.conditions.iter().map(|(name, value)| format!("{name}={value}")).collect();
        conditions.join(" ")
    };
    found.causes.iter().filter(|cause| cause.stands_out).map(text).collect()
}

/// Up to a few percent, the same for the same arguments, different for others.
fn jitter(values: &[usize], ago: usize) -> f64 {
    let mixed = values.iter().fold(ago + 7, |mixed, value| (mixed * 31 + value * 17 + 3) % 1_009);
    1.0 + (mixed % 41) as f64 / 1_000.0
}

/// 1,000 requests a cell of which 1 % fail, and more where `factor` says so.
fn failing(values: &[usize], ago: usize, factor: f64) -> (f64, f64) {
    (10.0 * jitter(values, ago) * if ago == 0 { factor } else { 1.0 }, 1_000.0)
}

#[test]
fn one_dimension_two_and_three() {
    let one = rows(&[4, 3, 3], &|v, ago| failing(v, ago, if v[0] == 2 { 9.0 } else { 1.0 }));
    assert_eq!(causes(&one, Measure::Ratio), ["d0=v2"]);
    let two = rows(&[4, 3, 3], &|v, ago| failing(v, ago, if v[0] == 2 && v[2] == 1 { 9.0 } else { 1.0 }));
    assert_eq!(causes(&two, Measure::Ratio), ["d0=v2 d2=v1"]);
    let three = rows(&[4, 3, 3], &|v, ago| failing(v, ago, if v == [3, 0, 1] { 9.0 } else { 1.0 }));
    assert_eq!(causes(&three, Measure::Ratio), ["d0=v3 d1=v0 d2=v1"]);
}

#[test]
fn causes_of_different_dimensions_at_once() {
    let both = |v: &[usize]| {
        if v[0] == 2 {
            12.0
        } else if v[1] == 1 && v[2] == 0 {
            8.0
        } else {
            1.0
        }
    };
    let table = rows(&[4, 3, 3], &|v, ago| failing(v, ago, both(v)));
    assert_eq!(causes(&table, Measure::Ratio), ["d0=v2", "d1=v1 d2=v0"]);
    assert_eq!(causes(&table, Measure::Sum), ["d0=v2", "d1=v1 d2=v0"]);
}

#[test]
fn siblings_are_not_taken_for_their_parent() {
    let hit = |v: &[usize]| if v[0] == 1 && (v[1] == 0 || v[1] == 4) { 9.0 } else { 1.0 };
    let table = rows(&[4, 10, 3], &|v, ago| failing(v, ago, hit(v)));
    let mut found = causes(&table, Measure::Ratio);
    found.sort_unstable();
    assert_eq!(found, ["d0=v1 d1=v0", "d0=v1 d1=v4"]);
}

#[test]
fn the_worst_part_is_not_taken_for_the_whole() {
    let hit = |v: &[usize]| {
        if v[0] != 1 {
            1.0
        } else if v[1] == 0 {
            30.0
        } else {
            9.0
        }
    };
    let table = rows(&[4, 3, 3], &|v, ago| failing(v, ago, hit(v)));
    assert_eq!(causes(&table, Measure::Ratio), ["d0=v1"]);
}

#[test]
fn too_little_is_explained_like_too_much() {
    let table = rows(&[4, 3, 3], &|v, ago| failing(v, ago, if v[1] == 1 { 0.1 } else { 1.0 }));
    assert_eq!(causes(&table, Measure::Sum), ["d1=v1"]);
    let found = explain(&super::tests::table(&table, Measure::Sum), &Options::default());
    assert!(found.actual < found.expected);
    assert!(found.causes[0].share > 0.9 && found.causes[0].confidence == Confidence::High, "{found:?}");
}

#[test]
fn everything_alike_has_no_dimensions_and_is_not_sure() {
    let table = rows(&[4, 3, 3], &|v, ago| failing(v, ago, 6.0));
    assert_eq!(causes(&table, Measure::Ratio), [""]);
    let found = explain(&super::tests::table(&table, Measure::Ratio), &Options::default());
    assert_eq!(found.causes[0].confidence, Confidence::Low);
}

#[test]
fn nothing_stands_out_of_a_quiet_moment() {
    let repeated = rows(&[4, 3, 3], &|_, _| (10.0, 1_000.0));
    assert!(causes(&repeated, Measure::Ratio).is_empty());
    assert!(causes(&repeated, Measure::Sum).is_empty());
    let as_restless_as_ever = rows(&[4, 3, 3], &|v, ago| (10.0 * jitter(v, ago), 1_000.0));
    assert!(causes(&as_restless_as_ever, Measure::Ratio).is_empty());
}

#[test]
fn an_anomaly_before_does_not_become_what_is_normal() {
    let hit = |v: &[usize], ago: usize| if v[0] == 2 && (ago == 0 || ago == 3) { 9.0 } else { 1.0 };
    let table = rows(&[4, 3, 3], &|v, ago| (10.0 * jitter(v, ago) * hit(v, ago), 1_000.0));
    assert_eq!(causes(&table, Measure::Ratio), ["d0=v2"]);
}

#[test]
fn what_is_absent_is_never_a_cause() {
    let mut table = rows(&[4, 3, 3], &|v, ago| failing(v, ago, if v[0] == 2 { 9.0 } else { 1.0 }));
    for row in &mut table {
        if row.0[0] == "v2" {
            row.0[0] = String::new();
        }
    }
    assert!(!causes(&table, Measure::Ratio).iter().any(|cause| cause.contains("d0=")), "an empty value is named");
}

#[test]
fn expected_values_may_be_given() {
    let mut builder = TableBuilder::with_expected(vec!["a".to_owned(), "b".to_owned()], Measure::Sum).unwrap();
    for (a, b, actual, expected) in [("x", "p", 10.0, 100.0), ("x", "q", 98.0, 100.0), ("y", "p", 101.0, 100.0)] {
        builder.add_expected(&[a, b], actual, 0.0, expected).unwrap();
    }
    let found = explain(&builder.finish(), &Options::default());
    assert_eq!((found.actual, found.expected), (209.0, 300.0));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(found.causes[0].conditions, [pair("a", "x"), pair("b", "p")]);
}

#[test]
fn tables_that_cannot_be_searched_are_refused() {
    let many = (0..=DIMENSIONS_MAX).map(|place| place.to_string()).collect();
    assert_eq!(TableBuilder::new(many, Measure::Sum, 1).err(), Some(TableError::Dimensions));
    let mut builder = TableBuilder::new(vec!["a".to_owned()], Measure::Sum, 1).unwrap();
    assert_eq!(builder.add(&["x", "y"], Moment::Now, 1.0, 0.0), Err(TableError::Values(2, 1)));
    assert_eq!(builder.add(&["x"], Moment::Now, f64::NAN, 0.0), Err(TableError::NotFinite));
    assert_eq!(explain(&builder.finish(), &Options::default()).causes, []);
}

/// A table with one cause of one to three dimensions that at least triples its cells.
fn with_a_cause() -> impl Strategy<Value = Vec<Row>> {
    let sizes = prop::collection::vec(3_usize..5, 3);
    (sizes, prop::collection::vec(0_usize..3, 3), 1_usize..4, 4.0..12.0_f64).prop_map(
        |(sizes, cause, depth, factor)| {
            let hit = |v: &[usize]| if v[..depth] == cause[..depth] { factor } else { 1.0 };
            rows(&sizes, &|v, ago| failing(v, ago, hit(v)))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_of_rows_does_not_matter(rows in with_a_cause().prop_shuffle_of()) {
        let (ordered, shuffled) = rows;
        let explained = |rows: &[Row]| explain(&table(rows, Measure::Ratio), &Options { others: true, ..Options::default() });
        prop_assert_eq!(explained(&ordered), explained(&shuffled));
    }

    #[test]
    fn scaling_all_values_changes_nothing(rows in with_a_cause(), by in prop::sample::select(vec![0.001, 0.37, 3.0, 4_096.0])) {
        let scaled: Vec<Row> = rows.iter().map(|(v, moment, n, w)| (v.clone(), *moment, n * by, w * by)).collect();
        for measure in [Measure::Ratio, Measure::Sum] {
            prop_assert_eq!(causes(&rows, measure), causes(&scaled, measure));
        }
    }

    #[test]
    fn an_irrelevant_dimension_changes_nothing(rows in with_a_cause(), share in 0.2..0.8_f64) {
        let part = |row: &Row, name: &str, share: f64| {
            ([row.0.as_slice(), &[name.to_owned()]].concat(), row.1, row.2 * share, row.3 * share)
        };
        let split: Vec<Row> = rows.iter().flat_map(|row| [part(row, "blue", share), part(row, "red", 1.0 - share)]).collect();
        for measure in [Measure::Ratio, Measure::Sum] {
            prop_assert_eq!(causes(&rows, measure), causes(&split, measure));
        }
    }

    #[test]
    fn any_numbers_can_be_explained(numbers in prop::collection::vec((-1e9..1e9_f64, prop::sample::select(vec![0.0, 1e-9, 5.0, 1e12])), 8 * 7)) {
        let mut rows = rows(&[2, 2, 2], &|_, _| (0.0, 0.0));
        for (row, (number, weight)) in rows.iter_mut().zip(numbers) {
            (row.2, row.3) = (number, weight);
        }
        for measure in [Measure::Ratio, Measure::Sum] {
            let found = explain(&table(&rows, measure), &Options { depth: 5, others: true, ..Options::default() });
            prop_assert!(found.causes.iter().all(|cause| (0.0..=1.0).contains(&cause.share)), "{:?}", found);
        }
    }
}

/// A strategy's value, and the same shuffled.
trait ShuffleOf: Strategy {
    fn prop_shuffle_of(self) -> impl Strategy<Value = (Self::Value, Self::Value)>;
}

impl<S: Strategy<Value = Vec<Row>>> ShuffleOf for S {
    fn prop_shuffle_of(self) -> impl Strategy<Value = (Vec<Row>, Vec<Row>)> {
        self.prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
    }
}
