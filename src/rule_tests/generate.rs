//! Entries of a test file to events: repeated, varied, and delivered late where the entry says so.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::vary::{Place, Scalar, Vary, scatter};
use crate::config::{DecodeConfig, Format, Span};
use crate::decode::Decoder;
use crate::model::{DurationMs, Event, Timestamp, is_field_name};

/// Events of one case: a test must stay quick.
pub const EVENTS_MAX: usize = 2_000_000;
const TOO_MANY: &str = "more than 2000000 events in one case";
/// When every log begins: a Monday, midnight.
pub(super) const START: Timestamp = Timestamp::from_millis(1_772_409_600_000);
/// A request that was repeated failed like this, unless the entry says otherwise.
const FAILED_STATUS: i64 = 503;

/// One kind of event and how often it comes: the keys of repetition, and fields as in a native event.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    from: Span0,
    until: Option<Span>,
    every: Option<Span>,
    pub(super) jitter: f64,
    subscriptions: Option<u64>,
    late_by: Option<Span>,
    pub(super) attempts: Option<Vary>,
    pub(super) attempt_pause: Option<Span>,
    pub(super) attempts_in_vain: bool,
    pub(super) unmarked: bool,
    pub(super) kind: String,
    pub(super) fields: BTreeMap<String, Vary>,
    attributes: BTreeMap<String, String>,
}

/// A span that is nothing by default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Span0(i64);

impl Entry {
    pub(super) fn is_late(&self) -> bool {
        self.late_by.is_some()
    }

    pub(super) fn come_in_time(&mut self) {
        self.late_by = None;
    }

    /// When the last of it may be delivered, repeats of requests apart.
    pub(super) fn lasts_ms(&self) -> DurationMs {
        self.ends_ms().max(self.from.0).saturating_add(self.late_by.map_or(0, Span::as_millis))
    }

    pub(super) fn is_silence(&self) -> bool {
        self.kind == "watermark"
    }

    /// How often it comes, repeats of requests apart.
    fn times(&self) -> u64 {
        let (every_ms, until_ms) = (self.every.map_or(0, Span::as_millis), self.until.map_or(0, Span::as_millis));
        let span_ms = until_ms.saturating_sub(self.from.0).max(1);
        if every_ms > 0 { span_ms.unsigned_abs().div_ceil(every_ms.unsigned_abs()) } else { 1 }
    }

    /// When its last event is, about: what comes later than that goes on without it.
    pub(super) fn ends_ms(&self) -> DurationMs {
        self.until.map_or(self.from.0, Span::as_millis)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event: its fields, and how it is repeated")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut entry = Entry { kind: "request".to_owned(), ..Entry::default() };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "from" => entry.from = Span0(map.next_value::<Span>()?.as_millis()),
                "until" => entry.until = Some(map.next_value()?),
                "every" => entry.every = Some(map.next_value()?),
                "jitter" => entry.jitter = map.next_value()?,
                "subscriptions" => entry.subscriptions = Some(map.next_value()?),
                "late_by" => entry.late_by = Some(map.next_value()?),
                "attempts" => entry.attempts = Some(map.next_value()?),
                "attempt_pause" => entry.attempt_pause = Some(map.next_value()?),
                "attempts_in_vain" => entry.attempts_in_vain = map.next_value()?,
                "unmarked" => entry.unmarked = map.next_value()?,
                "type" => entry.kind = map.next_value()?,
                "attributes" => entry.attributes = map.next_value()?,
                "timestamp" => {
                    return Err(A::Error::custom("`timestamp`: times come from `from`, `every` and `until`"));
                }
                name if is_field_name(name) => {
                    let value = map.next_value()?;
                    entry.fields.insert(key, value);
                }
                name => return Err(A::Error::custom(unknown(name))),
            }
        }
        Ok(entry)
    }
}

fn unknown(name: &str) -> String {
    const KEYS: [&str; 24] = [
        "from",
        "until",
        "every",
        "jitter",
        "subscriptions",
        "late_by",
        "attempts",
        "attempt_pause",
        "attempts_in_vain",
        "unmarked",
        "type",
        "attributes",
        "subscription",
        "client",
        "client_version",
        "service",
        "caller",
        "route",
        "status",
        "duration_ms",
        "source",
        "metric",
        "value",
        "fingerprint",
    ];
    let near = KEYS.iter().map(|key| (strsim::damerau_levenshtein(key, name), key)).min();
    match near.filter(|(distance, _)| *distance <= 2) {
        Some((_, key)) => format!("unknown key `{name}`: did you mean `{key}`?"),
        None => format!("unknown key `{name}`: neither a field of a native event nor a key of repetition"),
    }
}

/// An event and when it is delivered.
struct Delivered {
    at_ms: i64,
    event: Event,
}

/// The events of `entries`, in the order in which they are delivered.
///
/// # Errors
/// An entry that gives no event, too many, or one that is no native event; with its line.
pub(super) fn events(entries: &[Spanned<Entry>]) -> Result<Vec<Event>, String> {
    let decoder = Decoder::new(Format::Native, &DecodeConfig::default());
    let mut all = Vec::new();
    let mut planned = 0_u64;
    for entry in entries {
        // Before millions of them are made for nothing.
        planned = planned.saturating_add(entry.value.times());
        if planned > EVENTS_MAX as u64 {
            return Err(format!("line {}: {TOO_MANY}", entry.referenced.line()));
        }
    }
    for entry in entries {
        let line = entry.referenced.line();
        add(&entry.value, &decoder, &mut all).map_err(|problem| format!("line {line}: {problem}"))?;
    }
    // Stable: of the same moment, in the order of the file.
    all.sort_by_key(|delivered| delivered.at_ms);
    Ok(all.into_iter().map(|delivered| delivered.event).collect())
}

fn add(entry: &Entry, decoder: &Decoder, all: &mut Vec<Delivered>) -> Result<(), String> {
    let from_ms = entry.from.0;
    let every_ms = entry.every.map_or(0, Span::as_millis);
    let until_ms = match (entry.every, entry.until) {
        (Some(_), Some(until)) if every_ms > 0 && until.as_millis() > from_ms => until.as_millis(),
        (None, None) => from_ms + 1,
        _ => return Err("give `every` and an `until` after `from`, or neither (one event)".to_owned()),
    };
    let subscriptions = entry.subscriptions.unwrap_or(1).max(1);
    let (mut at_ms, mut index) = (from_ms, 0_u64);
    while at_ms < until_ms {
        let place = Place {
            index,
            subscription: index % subscriptions + 1,
            after_ms: at_ms - from_ms,
            span_ms: until_ms - from_ms,
        };
        #[allow(clippy::cast_possible_truncation)] // less than `every`
        let jitter_ms = (every_ms as f64 * entry.jitter * scatter(index)) as i64;
        add_attempts(entry, place, at_ms + jitter_ms, decoder, all)?;
        (at_ms, index) = (at_ms + every_ms.max(1), index + 1);
    }
    Ok(())
}

/// One event, or a request and its repeats.
fn add_attempts(
    entry: &Entry,
    place: Place,
    at_ms: i64,
    decoder: &Decoder,
    all: &mut Vec<Delivered>,
) -> Result<(), String> {
    let attempts = entry.attempts.as_ref().map(|attempts| attempts.at(place, true).as_i64().unwrap_or(1).max(1));
    let pause_ms = entry.attempt_pause.map_or(2_000, Span::as_millis);
    let late_ms = entry.late_by.map_or(0, Span::as_millis);
    for attempt in 1..=attempts.unwrap_or(1) {
        if all.len() >= EVENTS_MAX {
            return Err(TOO_MANY.to_owned());
        }
        let at_ms = at_ms + (attempt - 1) * pause_ms;
        let mut record = record(entry, place);
        record.insert("timestamp".to_owned(), START.plus(at_ms).as_millis().into());
        if let Some(attempts) = attempts {
            if !entry.unmarked {
                record.insert("attempt".to_owned(), attempt.into());
            }
            if attempt < attempts || entry.attempts_in_vain {
                record.insert("status".to_owned(), FAILED_STATUS.into());
            }
        }
        let text = Value::Object(record).to_string();
        let mut decoded = Err(String::new());
        decoder.decode(text.as_bytes(), &mut |_, result| decoded = result.map_err(|reason| reason.to_string()));
        let event = decoded.map_err(|reason| format!("not an event: {reason} ({text})"))?;
        all.push(Delivered { at_ms: at_ms + late_ms, event });
    }
    Ok(())
}

fn record(entry: &Entry, place: Place) -> Map<String, Value> {
    let mut record = Map::new();
    record.insert("type".to_owned(), entry.kind.as_str().into());
    for (name, value) in &entry.fields {
        let whole = !matches!(name.as_str(), "value" | "duration_ms");
        record.insert(name.clone(), value.at(place, whole));
    }
    if entry.kind == "request" {
        let defaults = [
            ("subscription", Scalar::Text("sub-{n}".to_owned())),
            ("service", Scalar::Text("api".to_owned())),
            ("route", Scalar::Text("Get".to_owned())),
            ("status", Scalar::Whole(200)),
            ("duration_ms", Scalar::Whole(80)),
        ];
        for (name, value) in defaults {
            record.entry(name).or_insert_with(|| Vary::Constant(value).at(place, false));
        }
    }
    if !entry.attributes.is_empty() {
        let attributes = entry.attributes.iter();
        let text = |value: &String| Vary::Constant(Scalar::Text(value.clone())).at(place, false);
        record.insert("attributes".to_owned(), attributes.map(|(k, v)| (k.clone(), text(v))).collect());
    }
    record
}
