//! Events as native JSON (contract, DESIGN §4): what `decode::native` reads, this writes.
//!
//! Unknown fields go back to the top level, unless one of them has the name of a field and would be read back as that:
//! then they all go into an `attributes` object. Those of a signal always do.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Attributes, Change, Event, QueryRun, Request, Signal};

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Request(request) => write_request(&mut map, request)?,
            Self::Signal(signal) => write_signal(&mut map, signal)?,
            Self::Change(change) => write_change(&mut map, change)?,
            Self::Query(query) => write_query(&mut map, query)?,
            Self::Watermark(timestamp) => {
                map.serialize_entry("type", "watermark")?;
                map.serialize_entry("timestamp", timestamp)?;
            }
        }
        map.end()
    }
}

fn optional<M: SerializeMap, V: Serialize>(map: &mut M, name: &str, value: Option<&V>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Fields of every native event.
const COMMON: [&str; 3] = ["type", "timestamp", "attributes"];
const REQUEST: [&str; 18] = [
    "subscription",
    "client",
    "client_version",
    "service",
    "caller",
    "method",
    "route",
    "status",
    "duration_ms",
    "request_bytes",
    "response_bytes",
    "attempt",
    "attempt_source",
    "upstream_attempts",
    "request_key",
    "request_id",
    "region",
    "host",
];
const SIGNAL: [&str; 3] = ["source", "metric", "value"];
const CHANGE: [&str; 5] = ["kind", "service", "version", "title", "url"];
const QUERY: [&str; 13] = [
    "node",
    "query",
    "fingerprint",
    "user",
    "origin",
    "version",
    "subscription",
    "state",
    "duration_ms",
    "memory_bytes",
    "read_rows",
    "read_bytes",
    "exception_code",
];

/// The types of native events and the fields of each, besides those that all have.
pub(crate) const FIELDS_BY_TYPE: [(&str, &[&str]); 5] =
    [("request", &REQUEST), ("signal", &SIGNAL), ("change", &CHANGE), ("query", &QUERY), ("watermark", &[])];

/// Whether a native event of some kind has a field of this name, or the name has a meaning of its own.
pub(crate) fn is_field_name(name: &str) -> bool {
    COMMON.contains(&name) || FIELDS_BY_TYPE.iter().any(|(_, fields)| fields.contains(&name))
}

fn unknown_fields<M: SerializeMap>(map: &mut M, attributes: &Attributes) -> Result<(), M::Error> {
    // All of them or none, which keeps their order.
    if attributes.iter().any(|(name, _)| is_field_name(name)) {
        return map.serialize_entry("attributes", attributes);
    }
    attributes.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
}

fn write_request<M: SerializeMap>(map: &mut M, request: &Request) -> Result<(), M::Error> {
    map.serialize_entry("type", "request")?;
    map.serialize_entry("timestamp", &request.timestamp)?;
    map.serialize_entry("subscription", &request.subscription)?;
    optional(map, "client", request.client.as_ref())?;
    optional(map, "client_version", request.client_version.as_ref())?;
    optional(map, "service", request.service.as_ref())?;
    optional(map, "caller", request.caller.as_ref())?;
    optional(map, "method", request.method.as_ref())?;
    map.serialize_entry("route", &request.route)?;
    map.serialize_entry("status", &request.status)?;
    map.serialize_entry("duration_ms", &request.duration_ms)?;
    optional(map, "request_bytes", request.request_bytes.as_ref())?;
    optional(map, "response_bytes", request.response_bytes.as_ref())?;
    optional(map, "attempt", request.attempt.as_ref())?;
    optional(map, "attempt_source", request.attempt_source.as_ref())?;
    optional(map, "upstream_attempts", request.upstream_attempts.as_ref())?;
    optional(map, "request_key", request.request_key.as_ref())?;
    optional(map, "request_id", request.request_id.as_ref())?;
    optional(map, "region", request.region.as_ref())?;
    optional(map, "host", request.host.as_ref())?;
    unknown_fields(map, &request.attributes)
}

fn write_signal<M: SerializeMap>(map: &mut M, signal: &Signal) -> Result<(), M::Error> {
    map.serialize_entry("type", "signal")?;
    map.serialize_entry("timestamp", &signal.timestamp)?;
    map.serialize_entry("source", &signal.source)?;
    map.serialize_entry("metric", &signal.metric)?;
    map.serialize_entry("value", &signal.value)?;
    if !signal.attributes.is_empty() {
        map.serialize_entry("attributes", &signal.attributes)?;
    }
    Ok(())
}

fn write_change<M: SerializeMap>(map: &mut M, change: &Change) -> Result<(), M::Error> {
    map.serialize_entry("type", "change")?;
    map.serialize_entry("timestamp", &change.timestamp)?;
    map.serialize_entry("kind", &change.kind)?;
    map.serialize_entry("service", &change.service)?;
    optional(map, "version", change.version.as_ref())?;
    optional(map, "title", change.title.as_ref())?;
    optional(map, "url", change.url.as_ref())?;
    unknown_fields(map, &change.attributes)
}

fn write_query<M: SerializeMap>(map: &mut M, query: &QueryRun) -> Result<(), M::Error> {
    map.serialize_entry("type", "query")?;
    map.serialize_entry("timestamp", &query.timestamp)?;
    map.serialize_entry("node", &query.node)?;
    optional(map, "query", query.query.as_ref())?;
    optional(map, "fingerprint", query.fingerprint.as_ref())?;
    optional(map, "user", query.user.as_ref())?;
    optional(map, "origin", query.origin.as_ref())?;
    optional(map, "version", query.version.as_ref())?;
    optional(map, "subscription", query.subscription.as_ref())?;
    optional(map, "state", query.state.as_ref())?;
    optional(map, "duration_ms", query.duration_ms.as_ref())?;
    optional(map, "memory_bytes", query.memory_bytes.as_ref())?;
    optional(map, "read_rows", query.read_rows.as_ref())?;
    optional(map, "read_bytes", query.read_bytes.as_ref())?;
    optional(map, "exception_code", query.exception_code.as_ref())?;
    unknown_fields(map, &query.attributes)
}
