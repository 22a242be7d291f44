//! The rule files that are built into the binary.

/// Rules built into the binary, a file a subject.
pub(super) const SHIPPED: &[(&str, &str)] = &[
    ("alerts/rules/caches.yaml", include_str!("../../../alerts/rules/caches.yaml")),
    ("alerts/rules/calls.yaml", include_str!("../../../alerts/rules/calls.yaml")),
    ("alerts/rules/data.yaml", include_str!("../../../alerts/rules/data.yaml")),
    ("alerts/rules/evaluations.yaml", include_str!("../../../alerts/rules/evaluations.yaml")),
    ("alerts/rules/latency.yaml", include_str!("../../../alerts/rules/latency.yaml")),
    ("alerts/rules/limits.yaml", include_str!("../../../alerts/rules/limits.yaml")),
    ("alerts/rules/memory.yaml", include_str!("../../../alerts/rules/memory.yaml")),
    ("alerts/rules/objectives.yaml", include_str!("../../../alerts/rules/objectives.yaml")),
    ("alerts/rules/pools.yaml", include_str!("../../../alerts/rules/pools.yaml")),
    ("alerts/rules/queries.yaml", include_str!("../../../alerts/rules/queries.yaml")),
    ("alerts/rules/retries.yaml", include_str!("../../../alerts/rules/retries.yaml")),
    ("alerts/rules/saturation.yaml", include_str!("../../../alerts/rules/saturation.yaml")),
    ("alerts/rules/traffic.yaml", include_str!("../../../alerts/rules/traffic.yaml")),
];

/// Whether a path is that of a runbook which a shipped rule names.
pub(super) fn is_shipped_runbook(path: &str) -> bool {
    let lines = SHIPPED.iter().flat_map(|(_, text)| text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("runbook_url: ")).any(|named| named == path)
}
