//! Retry signals: which headers clients and proxies set, and what their values mean.
//!
//! None of them is trusted further than this: clients write them, so a value that makes no sense is no value, and never
//! costs the request its place in the log.

use super::native_fields::{NAME_BYTES_MAX, whole};
use super::scalar::Scalar;
use crate::model::{AttemptSource, Text};

/// A header that tells the attempt.
pub(super) struct AttemptHeader {
    /// In lower case.
    pub(super) name: &'static str,
    pub(super) source: AttemptSource,
    /// The attempt, 1 is the first.
    pub(super) read: fn(&Scalar<'_>) -> Option<u32>,
}

/// In order of trust: what the calling program counts itself comes before what a proxy on the way counts.
pub(super) const ATTEMPT_HEADERS: [AttemptHeader; 6] = [
    AttemptHeader {
        name: "x-stainless-retry-count",
        source: AttemptSource::StainlessRetryCount,
        read: attempt_after_repeats,
    },
    AttemptHeader { name: "retry-attempt", source: AttemptSource::RetryAttempt, read: attempt_after_repeats },
    AttemptHeader { name: "amz-sdk-request", source: AttemptSource::AmzSdkRequest, read: amz_sdk_request },
    AttemptHeader { name: "x-goog-api-client", source: AttemptSource::GcclAttemptCount, read: gccl_attempt_count },
    AttemptHeader {
        name: "grpc-previous-rpc-attempts",
        source: AttemptSource::GrpcPreviousRpcAttempts,
        read: attempt_after_repeats,
    },
    AttemptHeader { name: "x-envoy-attempt-count", source: AttemptSource::EnvoyAttemptCount, read: attempt },
];

/// Headers that are the same for all attempts of one logical request. `X-Request-ID` is not among them: gateways make a
/// new one for each attempt.
pub(super) const KEY_HEADERS: [(&str, AttemptSource); 3] = [
    ("idempotency-key", AttemptSource::IdempotencyKey),
    ("amz-sdk-invocation-id", AttemptSource::AmzSdkInvocationId),
    ("x-ms-client-request-id", AttemptSource::MsClientRequestId),
];

fn count(value: &Scalar<'_>) -> Option<u32> {
    whole(value).and_then(|number| u32::try_from(number).ok())
}

/// A count that begins at 1.
pub(super) fn attempt(value: &Scalar<'_>) -> Option<u32> {
    count(value).filter(|attempt| *attempt > 0)
}

/// A count of repeats so far: the first attempt has 0, or no header at all.
pub(super) fn attempt_after_repeats(value: &Scalar<'_>) -> Option<u32> {
    count(value).and_then(|repeats| repeats.checked_add(1))
}

/// `attempt=2; max=3`, with or without `ttl=…` before it.
fn amz_sdk_request(value: &Scalar<'_>) -> Option<u32> {
    let text = value.to_text();
    let part = text.split(';').find_map(|part| part.trim().strip_prefix("attempt="))?;
    part.parse().ok().filter(|attempt| *attempt > 0)
}

/// `gl-python/3.11.2 gccl/2.10.0 gccl-invocation-id/… gccl-attempt-count/2`
fn gccl_attempt_count(value: &Scalar<'_>) -> Option<u32> {
    let text = value.to_text();
    let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix("gccl-attempt-count/"))?;
    word.parse().ok().filter(|attempt| *attempt > 0)
}

/// A key as clients send it. `Idempotency-Key` is a quoted string by its draft, and bare by most clients.
pub(super) fn key(value: &Scalar<'_>) -> Option<Text> {
    let text = value.to_text();
    let text = text.trim().trim_matches('"');
    (!text.is_empty() && text.len() <= NAME_BYTES_MAX).then(|| Text::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, value: &str) -> Option<u32> {
        let header = ATTEMPT_HEADERS.iter().find(|known| known.name == header).unwrap();
        (header.read)(&Scalar::from_text(value))
    }

    #[test]
    fn every_header_is_read_as_its_sender_means_it() {
        for (header, value, attempt) in [
            ("x-envoy-attempt-count", "2", Some(2)),
            ("x-envoy-attempt-count", "0", None),
            ("x-stainless-retry-count", "0", Some(1)),
            ("x-stainless-retry-count", "1", Some(2)),
            ("retry-attempt", "3", Some(4)),
            ("grpc-previous-rpc-attempts", "1", Some(2)),
            ("grpc-previous-rpc-attempts", "4294967295", None),
            ("amz-sdk-request", "attempt=2; max=3", Some(2)),
            ("amz-sdk-request", "ttl=20260301T101530Z; attempt=3; max=3", Some(3)),
            ("amz-sdk-request", "attempt=; max=3", None),
            ("x-goog-api-client", "gl-python/3.11.2 gccl/2.10.0 gccl-invocation-id/7f gccl-attempt-count/2", Some(2)),
            ("x-goog-api-client", "gl-python/3.11.2", None),
            ("retry-attempt", "-1", None),
            ("retry-attempt", "many", None),
        ] {
            assert_eq!(read(header, value), attempt, "{header}: {value}");
        }
    }

    #[test]
    fn keys_lose_their_quotes() {
        for (value, expected) in [("\"8e03\"", Some("8e03")), ("8e03", Some("8e03")), ("\"\"", None), (" ", None)] {
            assert_eq!(key(&Scalar::from_text(value)).as_deref(), expected, "{value}");
        }
        assert_eq!(key(&Scalar::from_text(&"x".repeat(2_000))), None);
    }
}
