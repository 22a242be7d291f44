//! The vocabulary of Floodmark: input events, output transitions, time, positions.
//!
//! Everything here is plain data. Nothing reads a clock, a socket or a file.

mod alert_name;
mod attempt_source;
mod attributes;
mod batch;
mod chunk;
mod credential;
mod did_you_mean;
mod event;
mod event_json;
mod log_comment;
mod named_query;
mod page;
mod paging_record;
mod plan;
mod position;
mod public_news;
mod rule_signal;
#[cfg(test)]
pub(crate) mod samples;
mod sql_text;
mod time;
mod transition;

pub use alert_name::{AlertName, AlertNameError, CUSTOM_NAMES_MAX, CustomName};
pub use attempt_source::AttemptSource;
pub use attributes::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, Attributes};
pub use batch::{Batch, Stored};
pub use chunk::{Chunk, FlowInput, Positioned, Rejection, RejectionCode, RejectionReason};
pub use credential::{names_credential, names_headers};
pub use did_you_mean::did_you_mean;
pub use event::{Change, ChangeKind, Event, EventKind, QueryRun, QueryState, Request, Signal, metric};
pub(crate) use event_json::{FIELDS_BY_TYPE, is_field_name};
pub use log_comment::LogComment;
pub use named_query::{
    ALERTS_BETWEEN, BindError, BindProblem, Bound, BudgetClass, BudgetLimits, Column, HeaderMistake, INCIDENTS_BETWEEN,
    Known, LEDGER_PROOF, LEDGER_TOTALS, NamedQuery, PAGES_SAID, PARAMETER_BYTES_MAX, Parameter, ParameterKind,
    SERVER_TIME, Unit, read_header,
};
pub use page::{
    Contributor, PAGE_ROWS_MAX, Page, PageAlert, PageEvent, PageLinks, RULE_DESCRIPTION_CHARS_MAX,
    RULE_SUMMARY_CHARS_MAX, RuleWords, TITLE_CHARS_MAX,
};
pub use paging_record::{PageRecord, PagingRecord, SilenceRecord};
pub use plan::{Plan, PlanAnswer, PlanRequest};
pub use position::{Offset, Partition, TopicPartition};
pub use public_news::PublicNews;
pub use rule_signal::{
    FAILURES_IN_A_ROW_METRIC, FAILURES_METRIC, ROWS_METRIC, is_rule_row, rule_row_labels, rule_row_source, rule_source,
};
pub use sql_text::{
    SQL_BYTES_MAX, SQL_SETTINGS_MAX, SQL_TABLES_MAX, SqlFacts, SqlKind, SqlLexer, SqlToken, SqlTokenKind,
    normalise_sql, sql_facts, sql_fingerprint, sql_format_clause, sql_with_database,
};
pub use time::{DurationMs, ParseTimestampError, Timestamp};
pub use transition::{
    Affected, CUSTOMERS_MAX, Cause, Confidence, Customer, Dimension, Dimensions, IncidentReport, Moment, Output,
    RuledOut, SAMPLE_QUERIES_MAX, SAMPLE_REQUESTS_MAX, SampleQuery, SampleRequest, Severity, Summary, Transition,
    TransitionEvent,
};

/// Short strings (up to 24 bytes) live inline: most routes, versions and ids never touch the heap.
pub type Text = compact_str::CompactString;
