//! `POST /v1/logs`: OTLP over HTTP. Answers are in the content type of the request, as the protocol asks, and so are
//! errors that concern the body; those that come before it is looked at (no token, another content type) are
//! `application/problem+json`.
//!
//! The two messages that are written here (`ExportLogsServiceResponse`, `google.rpc.Status`) are a number and a text each,
//! so their protobuf is written by hand.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::auth::Bearer;
use super::super::problem::{Problem, ProblemCode};
use super::super::query;
use super::{IngestState, Kind, RecordRejection, Taken, media_type};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
/// Rejections that the one line of a partial success names.
const REJECTIONS_NAMED_MAX: usize = 3;

/// Which of the two encodings is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Json,
    Protobuf,
}

pub(in super::super) async fn logs(
    State(state): State<IngestState>,
    Extension(from): Extension<Bearer>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (encoding, kind) = match media_type(&headers).as_str() {
        JSON => (Encoding::Json, Kind::OtlpJson),
        PROTOBUF => (Encoding::Protobuf, Kind::OtlpProto),
        other => {
            let detail = format!("content-type {other} is not read: send {PROTOBUF} or {JSON}");
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
    };
    let answer = async {
        query::none(&uri)?;
        let taken = state.take(kind, &from, &headers, body).await?;
        if is_unreadable(&taken) {
            let why = taken.rejections.first().map(|rejection| rejection.message.clone());
            return Err(Problem::new(ProblemCode::BadBody, why.unwrap_or_default()));
        }
        Ok(taken)
    };
    Ok(match answer.await {
        Ok(taken) => in_encoding(encoding, ().into_response(), success(encoding, &taken)),
        Err(problem) => {
            let status = status(encoding, problem.code(), problem.detail());
            in_encoding(encoding, problem.head(), status)
        }
    })
}

/// Whether not even the request around the records could be read.
fn is_unreadable(taken: &Taken) -> bool {
    let whole =
        |rejection: &RecordRejection| rejection.field.is_none() && ["syntax", "not_utf8"].contains(&rejection.code);
    taken.accepted == 0 && taken.rejected == 1 && taken.rejections.iter().all(whole)
}

fn in_encoding(encoding: Encoding, mut response: Response, body: Vec<u8>) -> Response {
    let content_type = if encoding == Encoding::Json { JSON } else { PROTOBUF };
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    *response.body_mut() = Body::from(body);
    response
}

/// `ExportLogsServiceResponse`: `partial_success` (1) holds `rejected_log_records` (1) and `error_message` (2); both are
/// absent when all is well.
fn success(encoding: Encoding, taken: &Taken) -> Vec<u8> {
    if taken.rejected == 0 {
        return if encoding == Encoding::Json { b"{}".to_vec() } else { Vec::new() };
    }
    let named = taken.rejections.iter().take(REJECTIONS_NAMED_MAX);
    let named: Vec<String> = named.map(|r| format!("record {}: {}: {}", r.index, r.code, r.message)).collect();
    let message = named.join("; ");
    match encoding {
        Encoding::Json => {
            // 64-bit numbers are texts in this JSON.
            let partial = json!({"rejectedLogRecords": taken.rejected.to_string(), "errorMessage": message});
            json!({"partialSuccess": partial}).to_string().into_bytes()
        }
        Encoding::Protobuf => {
            let mut partial = Vec::new();
            put_number(&mut partial, 1, taken.rejected);
            put_bytes(&mut partial, 2, message.as_bytes());
            let mut response = Vec::new();
            put_bytes(&mut response, 1, &partial);
            response
        }
    }
}

/// `google.rpc.Status`: `code` (1) and `message` (2).
fn status(encoding: Encoding, code: ProblemCode, message: &str) -> Vec<u8> {
    let number = match code {
        ProblemCode::UnderPressure | ProblemCode::Overloaded => 14, // UNAVAILABLE
        ProblemCode::NotPossible => 9,                              // FAILED_PRECONDITION
        ProblemCode::Internal => 13,                                // INTERNAL
        _ => 3,                                                     // INVALID_ARGUMENT
    };
    match encoding {
        Encoding::Json => json!({"code": number, "message": message}).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut status = Vec::new();
            put_number(&mut status, 1, number);
            put_bytes(&mut status, 2, message.as_bytes());
            status
        }
    }
}

fn put_number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_what_the_protocol_says() {
        let rejection = RecordRejection {
            line: None,
            index: 7,
            code: "missing_field",
            field: Some("route"),
            message: "`route` is required".to_owned(),
        };
        let taken = Taken { accepted: 1, rejected: 300, rejections: vec![rejection] };
        let text = "record 7: missing_field: `route` is required";
        let mut expected = vec![0x0a, 3 + 2 + text.len() as u8, 0x08, 0xac, 0x02, 0x12, text.len() as u8];
        expected.extend_from_slice(text.as_bytes());
        assert_eq!(success(Encoding::Protobuf, &taken), expected);
        let json = String::from_utf8(success(Encoding::Json, &taken)).unwrap();
        let expected = format!(r#"{{"partialSuccess":{{"errorMessage":"{text}","rejectedLogRecords":"300"}}}}"#);
        assert_eq!(json, expected);
        let all = Taken { accepted: 300, rejected: 0, rejections: Vec::new() };
        assert_eq!((success(Encoding::Protobuf, &all), success(Encoding::Json, &all)), (Vec::new(), b"{}".to_vec()));
    }
}
