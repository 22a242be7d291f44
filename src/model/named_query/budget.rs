//! What a named query may cost: three classes, by who waits for the answer.

/// Who waits, and so for how long, and what it may take of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetClass {
    /// Somebody looks at a screen.
    Interactive,
    /// Somebody asked, and comes back for it.
    Report,
    /// A machine asks, rarely: proofs over whole tables.
    Maintenance,
}

/// What a query may take at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Time, s.
    pub time_s: u64,
    /// Memory of the server, bytes.
    pub memory_bytes: u64,
    /// Rows that are read; 0 for any number.
    pub read_rows: u64,
    /// Rows of the answer.
    pub result_rows: u64,
    /// Bytes of the answer.
    pub result_bytes: u64,
    /// Threads of the server: two leave some to storage on a small machine.
    pub threads: u64,
    /// Groups and sorts that grow beyond this go on on the server's disk, bytes; 0: never.
    pub spill_bytes: u64,
}

impl BudgetClass {
    /// Every class, the least first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Report, Self::Maintenance];

    /// As files write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Report => "report",
            Self::Maintenance => "maintenance",
        }
    }

    /// The class of a text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Its limits.
    #[must_use]
    pub fn limits(self) -> BudgetLimits {
        match self {
            // A page that takes longer is reloaded, which makes it worse.
            Self::Interactive => BudgetLimits {
                time_s: 10,
                memory_bytes: 1 << 30,
                read_rows: 200_000_000,
                result_rows: 100_000,
                result_bytes: 64 << 20,
                threads: 2,
                spill_bytes: 0,
            },
            Self::Report => BudgetLimits {
                time_s: 60,
                memory_bytes: 2 << 30,
                read_rows: 2_000_000_000,
                result_rows: 1_000_000,
                result_bytes: 256 << 20,
                threads: 2,
                spill_bytes: 0,
            },
            Self::Maintenance => BudgetLimits {
                time_s: 300,
                memory_bytes: 4 << 30,
                read_rows: 0,
                result_rows: 2_000_000,
                result_bytes: 1 << 30,
                threads: 2,
                spill_bytes: 500_000_000,
            },
        }
    }
}

impl BudgetLimits {
    /// The limits as settings of ClickHouse, name and value. What goes beyond them fails; half an answer is none.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("max_execution_time", self.time_s.to_string()),
            ("timeout_overflow_mode", "throw".to_owned()),
            ("max_memory_usage", self.memory_bytes.to_string()),
            ("max_rows_to_read", self.read_rows.to_string()),
            ("read_overflow_mode", "throw".to_owned()),
            ("max_result_rows", self.result_rows.to_string()),
            ("max_result_bytes", self.result_bytes.to_string()),
            ("result_overflow_mode", "throw".to_owned()),
            ("max_threads", self.threads.to_string()),
            // Whoever has gone reads no answer.
            ("cancel_http_readonly_queries_on_client_close", "1".to_owned()),
        ];
        settings.extend(self.spill_settings());
        settings
    }

    /// Those of them that change how a query is done, not how far: where it may run without limits, it is asked with these.
    #[must_use]
    pub fn spill_settings(&self) -> Vec<(&'static str, String)> {
        if self.spill_bytes == 0 {
            return Vec::new();
        }
        let bytes = self.spill_bytes.to_string();
        vec![("max_bytes_before_external_group_by", bytes.clone()), ("max_bytes_before_external_sort", bytes)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_over_whole_tables_may_go_to_disk_and_nothing_else_does() {
        let spills = |class: BudgetClass| {
            let settings = class.limits().settings();
            settings.into_iter().filter(|(name, _)| name.starts_with("max_bytes_before_external_")).count()
        };
        assert_eq!(BudgetClass::ALL.map(spills), [0, 0, 2]);
    }
}
