//! The settings by which a query is held, and how each would be a way out. One list for compiling and for checking.

/// How a guarded setting would open a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Danger {
    /// A limit: 0 means none.
    ZeroIsUnlimited,
    /// What happens at a limit: all but `throw` gives part of an answer as if it were the whole.
    ThrowOnly,
    /// Who is killed when memory runs out: 0 means never this one.
    OptsOut,
    /// Which slots are taken.
    ChoosesWorkload,
    /// Whether settings and data may be changed.
    OpensEverything,
    /// Whether a query ends with its client.
    RunsOn,
}

/// Every guarded setting, by name.
pub(super) const GUARDED: [(&str, Danger); 32] = [
    ("cancel_http_readonly_queries_on_client_close", Danger::RunsOn),
    ("distinct_overflow_mode", Danger::ThrowOnly),
    ("group_by_overflow_mode", Danger::ThrowOnly),
    ("join_overflow_mode", Danger::ThrowOnly),
    ("max_bytes_before_external_group_by", Danger::ZeroIsUnlimited),
    ("max_bytes_before_external_sort", Danger::ZeroIsUnlimited),
    ("max_bytes_to_read", Danger::ZeroIsUnlimited),
    ("max_estimated_execution_time", Danger::ZeroIsUnlimited),
    ("max_execution_time", Danger::ZeroIsUnlimited),
    ("max_memory_usage", Danger::ZeroIsUnlimited),
    ("max_memory_usage_for_user", Danger::ZeroIsUnlimited),
    ("max_result_rows", Danger::ZeroIsUnlimited),
    ("max_rows_to_read", Danger::ZeroIsUnlimited),
    ("max_size_to_preallocate_for_aggregation", Danger::ZeroIsUnlimited),
    ("max_size_to_preallocate_for_joins", Danger::ZeroIsUnlimited),
    ("max_temporary_data_on_disk_size_for_query", Danger::ZeroIsUnlimited),
    ("max_threads", Danger::ZeroIsUnlimited),
    ("max_untracked_memory", Danger::OptsOut),
    ("memory_overcommit_ratio_denominator", Danger::OptsOut),
    ("memory_overcommit_ratio_denominator_for_user", Danger::OptsOut),
    ("memory_usage_overcommit_max_wait_microseconds", Danger::OptsOut),
    ("read_overflow_mode", Danger::ThrowOnly),
    ("read_overflow_mode_leaf", Danger::ThrowOnly),
    ("readonly", Danger::OpensEverything),
    ("result_overflow_mode", Danger::ThrowOnly),
    ("set_overflow_mode", Danger::ThrowOnly),
    ("sort_overflow_mode", Danger::ThrowOnly),
    ("timeout_before_checking_execution_speed", Danger::ZeroIsUnlimited),
    ("timeout_overflow_mode", Danger::ThrowOnly),
    ("timeout_overflow_mode_leaf", Danger::ThrowOnly),
    ("transfer_overflow_mode", Danger::ThrowOnly),
    ("workload", Danger::ChoosesWorkload),
];

/// Every guarded setting.
pub(in crate::guard) fn guarded_settings() -> impl Iterator<Item = &'static str> {
    GUARDED.iter().map(|(name, _)| *name)
}

/// What could go wrong with a setting, if it is a guarded one.
pub(super) fn danger_of(setting: &str) -> Option<Danger> {
    GUARDED.binary_search_by(|(name, _)| (*name).cmp(setting)).ok().map(|at| GUARDED[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(GUARDED.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(danger_of("workload"), Some(Danger::ChoosesWorkload));
        assert_eq!(danger_of("log_comment"), None);
    }
}
