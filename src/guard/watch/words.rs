//! How an event reads, in a line.

use std::fmt;

use super::WatchEvent;
use crate::guard::watchdog::{Kill, KillReason, Warning};

impl fmt::Display for WatchEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { at, used_bytes, limit_bytes } => {
                write!(f, "{at} memory {} of {}", bytes(*used_bytes), bytes(*limit_bytes))
            }
            Self::Warned { at, warning, used_bytes, limit_bytes } => {
                let about = match warning {
                    Warning::MemoryHigh => "memory is running short",
                    Warning::NothingToKill => {
                        "memory is short, and nothing that may be killed would free any: merges, caches, writes, or the \
                         guard's own user"
                    }
                    Warning::NoLimit => "the server has no memory limit: set server.memory_bytes_max in the policy",
                };
                write!(f, "{at} WARNING {about} ({} of {})", bytes(*used_bytes), bytes(*limit_bytes))
            }
            Self::Killed { at, kill } => write!(f, "{at} killed {}", Told(kill)),
            Self::WouldKill { at, kill } => write!(f, "{at} would have killed {}", Told(kill)),
            Self::KillFailed { at, kill, error } => write!(f, "{at} could not kill {}: {error}", Told(kill)),
            Self::Ended { at, kill, after_ms } => {
                write!(f, "{at} ended {} after {after_ms} ms", kill.query.query_id)
            }
            Self::Deaf { at, kill, after_ms } => {
                write!(f, "{at} WARNING does not hear, still runs {after_ms} ms after it was killed: {}", Told(kill))
            }
            Self::Unreachable { at, error } => write!(f, "{at} WARNING the server does not answer: {error}"),
            Self::LookRefused { at, error } => {
                write!(
                    f,
                    "{at} WARNING the server does not let the guard look; nothing is seen or held until it does: {error}"
                )
            }
            Self::Reachable { at, after_ms } => write!(f, "{at} the server answers again, after {after_ms} ms"),
            Self::Restarted { at, last_look_at, unclean, suspects } => {
                let how = match unclean {
                    Some(true) => "without an orderly stop",
                    Some(false) => "in order",
                    None => "(in order or not: its query log cannot be read)",
                };
                write!(f, "{at} WARNING the server was started anew {how}, last seen {last_look_at}")?;
                if !suspects.is_empty() {
                    write!(f, "; suspects: {}", suspects.join(", "))?;
                }
                if *unclean != Some(false) { write!(f, "; see: floodmark guard postmortem") } else { Ok(()) }
            }
        }
    }
}

struct Told<'a>(&'a Kill);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = &self.0.query;
        write!(f, "{} ({}) of {}", query.query_id, query.fingerprint, query.user)?;
        for (name, value) in [("from", &query.origin), ("version", &query.version), ("for", &query.subscription)] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        let why = match self.0.reason {
            KillReason::WouldNotFitTwice => "twice that would not fit",
            KillReason::MemoryShort => "to make room",
        };
        write!(f, ", {}: {why}", bytes(query.memory_bytes))?;
        for (holds, text) in [
            (self.0.tripped, "its breaker is open"),
            (self.0.new, "it is new"),
            (self.0.expendable, "its class goes first"),
        ] {
            if holds {
                write!(f, "; {text}")?;
            }
        }
        Ok(())
    }
}

fn bytes(bytes: u64) -> impl fmt::Display {
    bytesize::ByteSize::b(bytes).display().iec()
}
