//! OTLP as Protobuf: an `ExportLogsServiceRequest` or `ExportTraceServiceRequest` a record, read in place.
//!
//! The two look alike on the wire: a span is told from a log record by its first field, a trace id where a log record
//! has its time. Field numbers are those of opentelemetry-proto 1.x.

use std::borrow::Cow;

use super::Decoded;
use super::otlp::{Emitter, OtlpMapping};
use super::protobuf::{Fields, Malformed, Value};
use super::scalar::{Scalar, text};
use super::values::{Path, Values, Wanted};
use crate::model::RejectionCode;

/// Deepest nested attribute that is read; the specification allows any depth, and nobody logs this one.
const DEPTH_MAX: usize = 16;

/// Reads one export. What comes before a mistake is kept.
pub(super) fn record(record: &[u8], mapping: &OtlpMapping, sink: &mut dyn FnMut(u16, Decoded)) {
    let mut emitter = Emitter::new(mapping, sink);
    let read = export(record, &mapping.mapping.wanted, &mut emitter);
    emitter.finish(read.map_err(|Malformed| "not an OTLP message: its Protobuf encoding breaks off".to_owned()));
}

/// Every message at field `number`.
fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::new(bytes).filter_map(move |field| match field {
        Ok((found, Value::Bytes(bytes))) if found == number => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

fn export(bytes: &[u8], wanted: &Wanted, emitter: &mut Emitter<'_>) -> Result<(), Malformed> {
    for resource_entry in messages(bytes, 1) {
        let resource_entry = resource_entry?;
        let mut of_resource = Values::default();
        // The resource may stand after the records it is about; a mistake is found when the records are read.
        for resource in messages(resource_entry, 1).map_while(Result::ok) {
            for attribute in messages(resource, 1).map_while(Result::ok) {
                key_value(attribute, wanted, &mut of_resource, &mut Path::default(), 0)?;
            }
        }
        for scope_entry in messages(resource_entry, 2) {
            for record in messages(scope_entry?, 2) {
                let record = record?;
                if !emitter.is_full(0) {
                    one(record, wanted, &of_resource, emitter);
                }
            }
        }
    }
    Ok(())
}

/// A log record or a span; a broken one costs no other.
fn one<'a>(record: &'a [u8], wanted: &Wanted, of_resource: &Values<'a>, emitter: &mut Emitter<'_>) {
    let is_span = Fields::new(record)
        .map_while(Result::ok)
        .any(|(number, value)| matches!((number, value), (1, Value::Bytes(_)) | (7 | 8, Value::Fixed64(_))));
    let mut values = Values::default();
    let read = if is_span { span(record, wanted, &mut values) } else { log_record(record, wanted, &mut values) };
    match read {
        Ok(()) => {
            values.add_missing(of_resource);
            emitter.values(&values);
        }
        Err(Malformed) => {
            emitter.refuse(RejectionCode::Syntax, "a log record or span whose Protobuf encoding breaks off")
        }
    }
}

fn log_record<'a>(record: &'a [u8], wanted: &Wanted, values: &mut Values<'a>) -> Result<(), Malformed> {
    for field in Fields::new(record) {
        match field? {
            (1, Value::Fixed64(time)) => time_member(wanted, values, "otlp.time", time),
            (11, Value::Fixed64(time)) => time_member(wanted, values, "otlp.observed_time", time),
            (10, Value::Bytes(id)) => member(wanted, values, "otlp.span_id", hexadecimal(id)),
            (5, Value::Bytes(body)) => body_value(body, wanted, values)?,
            (6, Value::Bytes(attribute)) => key_value(attribute, wanted, values, &mut Path::default(), 0)?,
            _ => {}
        }
    }
    Ok(())
}

fn span<'a>(record: &'a [u8], wanted: &Wanted, values: &mut Values<'a>) -> Result<(), Malformed> {
    let mut kind = 0;
    for field in Fields::new(record) {
        match field? {
            (2, Value::Bytes(id)) => member(wanted, values, "otlp.span_id", hexadecimal(id)),
            (5, Value::Bytes(name)) => member(wanted, values, "otlp.name", text(String::from_utf8_lossy(name))),
            (6, Value::Varint(number)) => kind = number,
            (7, Value::Fixed64(time)) => time_member(wanted, values, "otlp.start_time", time),
            (8, Value::Fixed64(time)) => time_member(wanted, values, "otlp.end_time", time),
            (9, Value::Bytes(attribute)) => key_value(attribute, wanted, values, &mut Path::default(), 0)?,
            _ => {}
        }
    }
    member(wanted, values, "otlp.kind", Scalar::Whole(i128::from(kind)));
    Ok(())
}

fn member<'a>(wanted: &Wanted, values: &mut Values<'a>, path: &str, value: Scalar<'a>) {
    if let Some(id) = wanted.find(path) {
        values.set(id, value);
    }
}

/// 0 is "not known".
fn time_member(wanted: &Wanted, values: &mut Values<'_>, path: &str, nanos: u64) {
    if nanos > 0 {
        member(wanted, values, path, Scalar::Whole(i128::from(nanos)));
    }
}

fn hexadecimal<'a>(id: &[u8]) -> Scalar<'a> {
    text(Cow::Owned(id.iter().take(16).map(|byte| format!("{byte:02x}")).collect()))
}

/// The members of a body that is a map are as good as attributes.
fn body_value<'a>(body: &'a [u8], wanted: &Wanted, values: &mut Values<'a>) -> Result<(), Malformed> {
    for list in messages(body, 6) {
        for pair in messages(list?, 1) {
            key_value(pair?, wanted, values, &mut Path::default(), 0)?;
        }
    }
    Ok(())
}

fn key_value<'a>(
    pair: &'a [u8],
    wanted: &Wanted,
    values: &mut Values<'a>,
    path: &mut Path,
    depth: usize,
) -> Result<(), Malformed> {
    let (mut key, mut value) = (None, None);
    for field in Fields::new(pair) {
        match field? {
            (1, Value::Bytes(bytes)) => key = Some(bytes),
            (2, Value::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    let (Some(key), Some(value)) = (key.and_then(|key| std::str::from_utf8(key).ok()), value) else { return Ok(()) };
    let back = path.enter(key);
    if wanted.find(path.as_str()).is_some() || wanted.is_beginning(path.as_str()) {
        any_value(value, wanted, values, path, depth)?;
    }
    path.leave(back);
    Ok(())
}

fn any_value<'a>(
    bytes: &'a [u8],
    wanted: &Wanted,
    values: &mut Values<'a>,
    path: &mut Path,
    depth: usize,
) -> Result<(), Malformed> {
    if depth >= DEPTH_MAX {
        return Ok(());
    }
    for field in Fields::new(bytes) {
        let scalar = match field? {
            (1, Value::Bytes(bytes)) => text(String::from_utf8_lossy(bytes)),
            (2, Value::Varint(truth)) => Scalar::Truth(truth != 0),
            // An `int64` on the wire: its two's complement.
            (3, Value::Varint(number)) => Scalar::Whole(i128::from(number.cast_signed())),
            (4, Value::Fixed64(bits)) => Scalar::Float(f64::from_bits(bits)),
            (5, Value::Bytes(list)) => {
                let mut length = 0_u32;
                for element in messages(list, 1) {
                    // Of a list the first element counts.
                    if length == 0 {
                        any_value(element?, wanted, values, path, depth + 1)?;
                    } else {
                        element?;
                    }
                    length = length.saturating_add(1);
                }
                let back = path.enter("#");
                member(wanted, values, path.as_str(), Scalar::Whole(i128::from(length)));
                path.leave(back);
                continue;
            }
            (6, Value::Bytes(list)) => {
                for pair in messages(list, 1) {
                    key_value(pair?, wanted, values, path, depth + 1)?;
                }
                continue;
            }
            _ => continue,
        };
        member(wanted, values, path.as_str(), scalar);
    }
    Ok(())
}
