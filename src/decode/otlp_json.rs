//! OTLP as JSON: `{"resourceLogs":[…]}` or `{"resourceSpans":[…]}`, a whole export a record.
//!
//! Members may stand in any order, so the records of a resource wait until its object ends; of each only what is wanted
//! is held. 64-bit numbers may be text, and names may be written as Protobuf has them (`resource_logs`).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::otlp::{Emitter, OtlpMapping};
use super::otlp_json_value::{Attributes, Body};
use super::scalar::{Key, Scalar};
use super::values::{Values, Wanted};
use super::{Decoded, reject};
use crate::model::RejectionCode;

/// Reads one export. What comes before a mistake is kept.
pub(super) fn record(record: &str, mapping: &OtlpMapping, sink: &mut dyn FnMut(u16, Decoded)) {
    if !record.starts_with('{') {
        let message = format!("not a JSON object: {}", reject::excerpt(record));
        return sink(0, Err(reject::record(RejectionCode::Syntax, message)));
    }
    let mut parser = serde_json::Deserializer::from_str(record);
    let mut export = Export {
        wanted: &mapping.mapping.wanted,
        emitter: Emitter::new(mapping, sink),
        resource: Values::default(),
        waiting: Vec::new(),
    };
    let part = Part { export: &mut export, level: Level::Export };
    let read = part.deserialize(&mut parser).and_then(|()| parser.end());
    export.emit();
    export.emitter.finish(read.map_err(|error| reject::not_json(&error)));
}

struct Export<'e, 'a> {
    wanted: &'e Wanted,
    emitter: Emitter<'e>,
    resource: Values<'a>,
    /// Records of the resource that is being read; `None` is one that is no object.
    waiting: Vec<Option<Values<'a>>>,
}

impl<'a> Export<'_, 'a> {
    fn hold(&mut self, record: Option<Values<'a>>) {
        if !self.emitter.is_full(self.waiting.len()) {
            self.waiting.push(record);
        }
    }

    /// The resource has ended: its records are complete.
    fn emit(&mut self) {
        let resource = std::mem::take(&mut self.resource);
        for record in self.waiting.drain(..) {
            match record {
                Some(mut values) => {
                    values.add_missing(&resource);
                    self.emitter.values(&values);
                }
                None => self.emitter.refuse(RejectionCode::Syntax, "a log record or span that is no object"),
            }
        }
    }
}

/// How deep in an export a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Export,
    ResourceEntries,
    Resource,
    ScopeEntries,
    Records { spans: bool },
    Record { is_span: bool },
}

/// A value of an export, and where it stands.
struct Part<'p, 'e, 'a> {
    export: &'p mut Export<'e, 'a>,
    level: Level,
}

impl<'de> Part<'_, '_, 'de> {
    /// A value that is neither an object nor a list.
    fn other<E>(self) -> Result<(), E> {
        if matches!(self.level, Level::Record { .. }) {
            self.export.hold(None);
        }
        Ok(())
    }

    /// Reads the member `name` of an object at this level.
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let level = match (self.level, name) {
            (Level::Export, "resourceLogs" | "resource_logs" | "resourceSpans" | "resource_spans") => {
                Level::ResourceEntries
            }
            (Level::ResourceEntries, "resource") => Level::Resource,
            (Level::ResourceEntries, "scopeLogs" | "scope_logs" | "scopeSpans" | "scope_spans") => Level::ScopeEntries,
            (Level::ScopeEntries, "logRecords" | "log_records") => Level::Records { spans: false },
            (Level::ScopeEntries, "spans") => Level::Records { spans: true },
            (Level::Resource, "attributes") => {
                let Export { wanted, resource, .. } = &mut *self.export;
                return map.next_value_seed(Attributes { wanted, values: resource });
            }
            _ => return map.next_value::<IgnoredAny>().map(|_| ()),
        };
        map.next_value_seed(Part { export: &mut *self.export, level })
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of an OTLP export")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        match self.level {
            Level::Record { is_span } => {
                let record = record_values(self.export.wanted, is_span, map)?;
                self.export.hold(Some(record));
            }
            Level::Records { .. } => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                self.export.hold(None);
            }
            level => {
                while let Some(Key(name)) = map.next_key()? {
                    self.member(&name, &mut map)?;
                }
                if level == Level::ResourceEntries {
                    self.export.emit();
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let level = match self.level {
            Level::Record { .. } => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return self.other();
            }
            Level::Records { spans } => Level::Record { is_span: spans },
            level => level,
        };
        while seq.next_element_seed(Part { export: &mut *self.export, level })?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.other()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.other()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.other()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.other()
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.other()
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.other()
    }
}

/// What is wanted of a log record or span.
fn record_values<'de, A: MapAccess<'de>>(wanted: &Wanted, is_span: bool, mut map: A) -> Result<Values<'de>, A::Error> {
    let mut values = Values::default();
    while let Some(Key(name)) = map.next_key()? {
        let path = match &*name {
            "attributes" => {
                map.next_value_seed(Attributes { wanted, values: &mut values })?;
                continue;
            }
            "body" => {
                map.next_value_seed(Body { wanted, values: &mut values })?;
                continue;
            }
            "timeUnixNano" | "time_unix_nano" => "otlp.time",
            "observedTimeUnixNano" | "observed_time_unix_nano" => "otlp.observed_time",
            "startTimeUnixNano" | "start_time_unix_nano" => "otlp.start_time",
            "endTimeUnixNano" | "end_time_unix_nano" => "otlp.end_time",
            "spanId" | "span_id" => "otlp.span_id",
            "kind" => "otlp.kind",
            "name" => "otlp.name",
            _ => {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
        };
        let value: Scalar<'de> = map.next_value()?;
        // 0 is "not known", for times as for kinds.
        let is_known = value.to_text() != "0";
        if let Some(id) = wanted.find(path).filter(|_| is_known) {
            values.set(id, value);
        }
    }
    if is_span && let Some(id) = wanted.find("otlp.kind") {
        // A span without a kind is still a span.
        values.set(id, Scalar::Whole(0));
    }
    Ok(values)
}
