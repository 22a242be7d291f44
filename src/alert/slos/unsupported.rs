//! What OpenSLO has and Floodmark does not: an error that says what to write instead.

use crate::alert::yaml::FileProblem;

/// Keys of OpenSLO v1, and what is supported in their place.
const INSTEAD: [(&str, &str); 15] = [
    ("alertPolicies", "burn rates are fixed: 14.4 over 1h, 6 over 6h (critical), 3 over 1d, 1 over 3d (warning)"),
    ("indicatorRef", "write the indicator into the file, as `indicator`"),
    ("thresholdMetric", "use `ratioMetric`, with `duration_ms_max` for a threshold on durations"),
    ("bad", "use `good` and `total`"),
    ("raw", "use `good` and `total`"),
    ("rawType", "use `good` and `total`"),
    ("metricSourceRef", "use `type: Floodmark` and `spec`"),
    ("calendar", "use a rolling window: `duration: 30d`, `isRolling: true`"),
    ("op", "use `duration_ms_max` of `good` for a threshold on durations"),
    ("value", "use `duration_ms_max` of `good` for a threshold on durations"),
    ("targetPercent", "use `target`, a share: 99.9 % is 0.999"),
    ("timeSliceTarget", "use `budgetingMethod: Occurrences` and `target`"),
    ("timeSliceWindow", "use `budgetingMethod: Occurrences` and `target`"),
    ("compositeWeight", "write one file for each objective"),
    ("budgetingMethod", "use `Occurrences`"),
];

/// Says of what OpenSLO has that it is not supported, and what is.
pub(super) fn explain(problem: FileProblem) -> FileProblem {
    let last = problem.key.rsplit('.').next().unwrap_or_default();
    let known = INSTEAD.iter().find(|(key, _)| *key == last);
    match known {
        Some((_, instead)) if problem.message.contains("not known") => {
            let message = "is OpenSLO, and not supported here".to_owned();
            FileProblem { message, ..problem }.hint(*instead)
        }
        _ => problem,
    }
}
