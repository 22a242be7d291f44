//! What is aimed at, and whether it is reached.

use serde::Serialize;

use super::summary::Summary;

/// Shortest quiet time that says something about false pages, in days.
const QUIET_DAYS_MIN: f64 = 28.0;

/// One aim.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aim {
    /// What is measured.
    pub name: &'static str,
    /// What it should be, for people.
    pub aim: &'static str,
    /// What it is; absent where no run says anything about it.
    pub value: Option<f64>,
    /// Whether it is reached; nothing to measure is not.
    pub reached: bool,
}

/// Every aim and whether `summary` reaches it.
#[must_use]
pub fn aims(summary: &Summary) -> Vec<Aim> {
    let (total, storms, mild) = (&summary.total, &summary.storms, &summary.storms_at_3);
    let least = |name, aim, value: Option<f64>, least: f64| Aim {
        name,
        aim,
        value,
        reached: value.is_some_and(|value| value >= least),
    };
    let most =
        |name, aim, value: Option<f64>, most: f64| Aim { name, aim, value, reached: value.is_some_and(|v| v <= most) };
    vec![
        least(
            "recall at 10× and of scenarios with one amplitude",
            "≥ 0.98",
            total.recall_at(&["10", "-"]).share(),
            0.98,
        ),
        least("recall at 3×", "≥ 0.90", total.recall_at(&["3"]).share(), 0.90),
        least("precision of pages", "≥ 0.95", total.precision.share(), 0.95),
        most("delay of retry storms at 10×, p50, seconds", "≤ 15", storms.delay_s_p50, 15.0),
        most("delay of retry storms at 10×, p95, seconds", "≤ 45", storms.delay_s_p95, 45.0),
        most("delay of retry storms at 3×, p50, seconds", "≤ 15", mild.delay_s_p50, 15.0),
        most("delay of retry storms at 3×, p95, seconds", "≤ 45", mild.delay_s_p95, 45.0),
        least("right cause first", "≥ 0.95", total.cause_first.share(), 0.95),
        least("red herrings refused", "≥ 0.95", total.red_herrings_refused.share(), 0.95),
        most("false pages a week and 100,000 subscriptions", "≤ 1", total.false_pages_per_week, 1.0),
        least("quiet virtual days", "≥ 28", Some(total.quiet_days), QUIET_DAYS_MIN),
    ]
}
