//! How a postmortem says it. Pure.

use super::crash::{Crash, CrashKind};
use super::rank::Suspect;
use super::{Confidence, Verdict};
use crate::guard::black_box::history::Newness;
use crate::guard::black_box::look::Look;
use crate::model::DurationMs;

/// What happened, in a sentence or two.
pub(super) fn summary(
    crash: &Crash,
    verdict: Verdict,
    confidence: Confidence,
    last: &Look,
    suspects: &[Suspect],
) -> String {
    let server = memory(last);
    let what = match verdict {
        Verdict::Query => {
            let sure = if confidence == Confidence::High { "took the server down" } else { "is the likeliest cause" };
            let culprit = suspects.first().map_or_else(String::new, |suspect| culprit(suspect, last));
            return format!("{}: {culprit} {sure}; {server}", how(crash));
        }
        Verdict::Merges => {
            let merges = bytes(last.merges_memory_bytes);
            format!("no query stands out, merges and mutations held {merges}")
        }
        Verdict::Calm => {
            "nothing that ran explains it: memory was free and nothing grew. It was killed from outside, or failed otherwise"
                .to_owned()
        }
        Verdict::NothingInFlight => "no query was in flight".to_owned(),
        Verdict::StoppedInOrder => "it was stopped in order: everything that ran had ended".to_owned(),
    };
    format!("{}: {what}; {server}", how(crash))
}

/// Why a query stands where it does, the weightiest first.
pub(super) fn reasons(suspect: &Suspect, last: &Look) -> Vec<String> {
    let query = &suspect.query;
    let mut why = vec![format!("held {}{}", bytes(query.memory_bytes), of_limit(query.memory_bytes, last))];
    if suspect.steady {
        why.push("had been steady".to_owned());
    } else if suspect.growth_bytes > 0 {
        let slope = suspect.slope_bytes_per_second;
        let slope = if slope > 0 { format!(", {}/s at the end", bytes(slope.unsigned_abs())) } else { String::new() };
        why.push(format!("gained {} in its last minute{slope}", bytes(suspect.growth_bytes)));
    }
    if let (true, Some(headroom)) = (suspect.would_not_fit_twice, last.headroom_bytes()) {
        why.push(format!("twice that was more than the {} that were free", bytes(headroom)));
    }
    match (suspect.new, suspect.new_after_ms) {
        (Some(Newness::Fingerprint), Some(after_ms)) => {
            why.push(format!("nothing like it in the {} before", duration(after_ms)));
        }
        (Some(Newness::Version), Some(after_ms)) => {
            let version = query.version.as_deref().unwrap_or("this version");
            why.push(format!("{version} did not ask it in the {} before", duration(after_ms)));
        }
        _ => {}
    }
    match suspect.usual_memory_bytes {
        Some(usual) if suspect.is_usual() => why.push(format!("as its earlier runs, up to {}", bytes(usual))),
        Some(usual) => why.push(format!("its earlier runs took up to {}", bytes(usual))),
        None => {}
    }
    why
}

fn how(crash: &Crash) -> String {
    let last = crash.last_look_at;
    match crash.kind {
        CrashKind::Restarted => format!("the server was started anew after {last}"),
        CrashKind::Unreachable => format!("the server does not answer since {}", crash.failed_at.unwrap_or(last)),
        CrashKind::RecordsEnd => format!("the records end at {last} although nobody stopped the guard"),
        CrashKind::AskedFor => format!("at {last}, no crash near"),
    }
}

fn culprit(suspect: &Suspect, last: &Look) -> String {
    let query = &suspect.query;
    let mut text = format!("query {} ({}) of {}", query.query_id, query.fingerprint, query.user);
    for (name, value) in [("from", &query.origin), ("version", &query.version), ("for", &query.subscription)] {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    }
    format!("{text}, with {}{},", bytes(query.memory_bytes), of_limit(query.memory_bytes, last))
}

fn memory(last: &Look) -> String {
    match last.memory_limit_bytes {
        0 => format!("memory was {}", bytes(last.memory_used_bytes)),
        limit => {
            let share = last.memory_share() * 100.0;
            format!("memory was {} of {} ({share:.0} %)", bytes(last.memory_used_bytes), bytes(limit))
        }
    }
}

fn of_limit(part: u64, last: &Look) -> String {
    match last.memory_limit_bytes {
        0 => String::new(),
        limit => format!(" ({:.0} % of the limit)", crate::guard::black_box::look::share(part, limit) * 100.0),
    }
}

fn duration(milliseconds: DurationMs) -> String {
    // Whole seconds: the looks are not nearer together.
    let seconds = u64::try_from(milliseconds / 1_000).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

/// A count of bytes for people.
pub(super) fn bytes(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
