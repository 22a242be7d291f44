//! Records to events: a file a format. Pure.
//!
//! A record is one Kafka message or one line of a file. Every record gives at least one event or one rejection, never
//! a panic; each carries its place in the record, because a record may hold an array.

mod combined;
mod combined_names;
mod convert;
mod formats;
mod json_record;
mod mapped;
mod mapping;
mod native;
mod native_fields;
mod otlp;
mod otlp_json;
mod otlp_json_value;
mod otlp_proto;
mod protobuf;
mod reject;
mod retry;
mod scalar;
mod values;

use std::sync::Arc;

use self::mapping::Mapping;
use self::otlp::OtlpMapping;
use crate::config::{CombinedConfig, DecodeConfig, Format};
use crate::model::{Event, RejectionCode, RejectionReason};

/// Most events in one record. The first ones are kept; the rest is one rejection, `too_many_events`.
pub const EVENTS_PER_RECORD_MAX: u16 = 10_000;

/// A native record in a topic of any format: producers' watermarks have to be understood everywhere.
const WATERMARK_PREFIX: &[u8] = br#"{"type":"watermark""#;

/// What a record, or a part of it, became.
pub type Decoded = Result<Event, RejectionReason>;

/// Reads records of one format.
#[derive(Debug, Clone)]
pub struct Decoder {
    format: Format,
    record_bytes_max: usize,
    reader: Reader,
}

/// What reads a record. Cheap to clone: decoders are made for every partition.
#[derive(Debug, Clone)]
enum Reader {
    Native,
    Combined(CombinedConfig),
    Json(Arc<Mapping>),
    OtlpJson(Arc<OtlpMapping>),
    OtlpProto(Arc<OtlpMapping>),
}

impl Reader {
    fn new(format: Format, config: &DecodeConfig) -> Self {
        match (format, formats::builtin(format)) {
            (Format::Combined, _) => Self::Combined(config.combined.clone()),
            (Format::OtlpJson, _) => Self::OtlpJson(Arc::new(OtlpMapping::new(config))),
            (Format::OtlpProto, _) => Self::OtlpProto(Arc::new(OtlpMapping::new(config))),
            (_, Some(builtin)) => Self::Json(Arc::new(Mapping::new(builtin, config))),
            (_, None) => Self::Native,
        }
    }
}

impl Decoder {
    /// A decoder for `format`.
    #[must_use]
    pub fn new(format: Format, config: &DecodeConfig) -> Self {
        Self { format, record_bytes_max: config.record_bytes_max.as_usize(), reader: Reader::new(format, config) }
    }

    /// Name of the format, for dead letters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.format.as_str()
    }

    /// The longest record that is read, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Reads one record and gives every event and every rejection, in order and with its index, to `sink`.
    pub fn decode(&self, record: &[u8], sink: &mut dyn FnMut(u16, Decoded)) {
        if record.len() > self.record_bytes_max {
            return sink(0, Err(self.too_long(record.len())));
        }
        if let Reader::OtlpProto(mapping) = &self.reader
            && !record.is_empty()
            && !record.starts_with(WATERMARK_PREFIX)
        {
            return otlp_proto::record(record, mapping, sink);
        }
        let record = record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(record).trim_ascii();
        if record.is_empty() {
            return sink(0, Err(reject::record(RejectionCode::Empty, "no bytes, or white space only")));
        }
        let text = match std::str::from_utf8(record) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("not UTF-8 from byte {} on", error.valid_up_to());
                return sink(0, Err(reject::record(RejectionCode::NotUtf8, message)));
            }
        };
        match &self.reader {
            Reader::Native => native::record(text, sink),
            _ if record.starts_with(WATERMARK_PREFIX) => native::record(text, sink),
            Reader::Combined(config) => sink(0, combined::line(text, config)),
            Reader::Json(mapping) => {
                json_record::record(text, &mapping.wanted, &|values| mapped::request(mapping, values), sink);
            }
            Reader::OtlpJson(mapping) => otlp_json::record(text, mapping, sink),
            // Only a watermark comes here as text, and that was one above.
            Reader::OtlpProto(_) => native::record(text, sink),
        }
    }

    /// The rejection of a record of `bytes` bytes, for readers that skip it instead of holding it.
    #[must_use]
    pub fn too_long(&self, bytes: usize) -> RejectionReason {
        let message = format!("{bytes} bytes, more than {} (decode.record_bytes_max)", self.record_bytes_max);
        reject::record(RejectionCode::TooLong, message)
    }
}
