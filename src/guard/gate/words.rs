//! The words of refusals: one sentence that explains with the numbers, one that says what to change.

use super::blocks::Block;
use super::breaker::BreakerCause;
use super::learned::{Expected, Source};
use super::memory::Room;
use super::offence::Offence;
use super::safe_mode::SafeModeLevel;
use super::{Refusal, RefusalReason};
use crate::model::Timestamp;

/// When to ask again where nothing tells, in seconds: a slot is free within moments.
const RETRY_SOON_SECONDS: u64 = 5;

pub(super) fn too_many_rows(class: &str, estimated_rows: u64, rows_max: u64) -> Refusal {
    Refusal {
        reason: RefusalReason::TooManyRows,
        explanation: format!(
            "The query would read about {} rows; class {class} may read {}.",
            count(estimated_rows),
            count(rows_max)
        ),
        suggestion:
            "Narrow the time range, or filter by columns of the primary key; a larger one belongs to a class for \
                     exports."
                .to_owned(),
        retry_after_seconds: None,
    }
}

pub(super) fn memory_expected(expected: &Expected, room: &Room, waited_ms: i64) -> Refusal {
    let source = match expected.source {
        Source::Runs(runs) => format!("by the p95 of {runs} runs like it"),
        Source::OtherScan => "by its runs over less or more data".to_owned(),
        Source::ClassMedian => "as is usual for its class".to_owned(),
        Source::Cap => "as nothing is known of it yet, so all that its class may take".to_owned(),
    };
    Refusal {
        reason: RefusalReason::MemoryExpected,
        explanation: format!(
            "The query is expected to take {} of memory ({source}); {} of {} are free, and it has waited {}.",
            bytes(expected.memory_bytes),
            bytes(room.free_bytes()),
            bytes(room.total_bytes),
            seconds(waited_ms)
        ),
        suggestion: "Ask again when less is running; group by fewer keys or a shorter time range, or take approximate \
                     aggregates (uniq for uniqExact)."
            .to_owned(),
        retry_after_seconds: Some(RETRY_SOON_SECONDS),
    }
}

pub(super) fn queue_full(class: &str, tenant_waiting: usize, waiting: usize, waiting_max: usize) -> Refusal {
    Refusal {
        reason: RefusalReason::QueueFull,
        explanation: format!(
            "{waiting} queries of class {class} wait already, {tenant_waiting} of them of this tenant; at most {waiting_max} \
             may."
        ),
        suggestion: "Ask fewer queries at once, and wait for answers before asking again.".to_owned(),
        retry_after_seconds: Some(RETRY_SOON_SECONDS),
    }
}

pub(super) fn wait_too_long(class: &str, waited_ms: i64, running: u32, slots: u32) -> Refusal {
    Refusal {
        reason: RefusalReason::WaitTooLong,
        explanation: format!(
            "The query waited {} for a slot of class {class}, of which {running} of {slots} are taken.",
            seconds(waited_ms)
        ),
        suggestion: "Ask fewer queries at once, or make the long ones shorter.".to_owned(),
        retry_after_seconds: Some(RETRY_SOON_SECONDS),
    }
}

pub(super) fn breaker_open(
    fingerprint: &str,
    cause: BreakerCause,
    until: Timestamp,
    probing: bool,
    at: Timestamp,
) -> Refusal {
    let done = match cause {
        BreakerCause::Offences(Offence::Memory) => "have repeatedly reached their memory limit",
        BreakerCause::Offences(Offence::Bytes) => "have repeatedly read all the bytes that they may",
        BreakerCause::Offences(Offence::Time) => "have repeatedly run all the time that they may",
        BreakerCause::Offences(Offence::Killed) => "had to be killed to save the server",
        BreakerCause::Suspect => "were running with much memory when the server died",
    };
    let until_words = if probing { "while one of them is tried".to_owned() } else { format!("until {until}") };
    Refusal {
        reason: RefusalReason::BreakerOpen,
        explanation: format!("Queries like this one ({fingerprint}) {done}; they are refused {until_words}."),
        suggestion:
            "Read less: a shorter time range, fewer groups, approximate aggregates; a smaller scan may pass now. An \
                     operator can let it in (floodmark guard unblock)."
                .to_owned(),
        retry_after_seconds: Some(if probing { RETRY_SOON_SECONDS } else { seconds_until(until, at) }),
    }
}

pub(super) fn blocked(fingerprint: &str, block: &Block, at: Timestamp) -> Refusal {
    let until = block.until.map_or_else(|| "until it is unblocked".to_owned(), |until| format!("until {until}"));
    Refusal {
        reason: RefusalReason::Blocked,
        explanation: format!(
            "An operator has blocked queries like this one ({fingerprint}) {until}: {}.",
            block.reason.trim_end_matches('.')
        ),
        suggestion: "Ask whoever is on call before running it again.".to_owned(),
        retry_after_seconds: block.until.map(|until| seconds_until(until, at)),
    }
}

pub(super) fn safe_mode(class: &str, level: SafeModeLevel, at: Timestamp) -> Refusal {
    let (explanation, retry_after_seconds) = match level {
        SafeModeLevel::Reduced { until } => (
            format!("The server is recovering and in safe mode until {until}; class {class} is off."),
            Some(seconds_until(until, at)),
        ),
        SafeModeLevel::Off | SafeModeLevel::WritesOnly => (
            "The server died twice in short time; until an operator has looked, only writes are let in.".to_owned(),
            None,
        ),
    };
    Refusal {
        reason: RefusalReason::SafeMode,
        explanation,
        suggestion: "Wait; an operator can end it (floodmark guard safe-mode off).".to_owned(),
        retry_after_seconds,
    }
}

pub(super) fn not_in_policy(tenant: &str) -> Refusal {
    Refusal {
        reason: RefusalReason::NotInPolicy,
        explanation: format!("The policy has no tenant {tenant:?}, or its class is not in it."),
        suggestion: "Add the tenant with one of the policy's classes.".to_owned(),
        retry_after_seconds: None,
    }
}

fn seconds_until(until: Timestamp, at: Timestamp) -> u64 {
    u64::try_from(until.since(at)).unwrap_or(0).div_ceil(1_000).max(1)
}

fn seconds(ms: i64) -> String {
    if ms % 1_000 == 0 { format!("{} s", ms / 1_000) } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

fn bytes(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).to_string()
}

/// A count with separators: 2,000,000,000.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut words = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}
