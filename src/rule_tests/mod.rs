//! Tests of alert rules: `alerts/tests/*.yaml`, run through the core, and mutants of the rules that the tests must notice.

mod compare;
mod entry_check;
mod file;
mod generate;
mod mutate;
mod mutation_run;
mod run;
mod shipped;
mod survivors;
mod vary;
mod workers;

pub use compare::{Difference, Seen};
pub use file::{Case, Kind, RuleKey, TestFile, TestFileError};
pub use generate::EVENTS_MAX;
pub use mutate::{Mutant, Skipped, mutants};
pub use mutation_run::{MutantOutcome, MutationReport, mutate, untested};
pub use run::{CaseOutcome, FileOutcome, has_rule, run};
pub use shipped::{shipped_survivors, shipped_tests};
pub use survivors::{Survivor, Survivors};
