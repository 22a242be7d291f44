//! Envoy and Istio: JSON access logs with Istio's names, or a `json_format` of one's own.
//!
//! `x-envoy-attempt-count` in Envoy's own log is its own count: it sets that header on what it sends upstream. So it
//! counts as the proxy's tries here, and as the caller's attempt in every other format.

use super::{Builtin, HEADERS_USER_MADE, at};
use crate::config::RequestField::*;

pub(super) static ENVOY: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("start_time"), at("timestamp"), at("@timestamp")]),
        (Subscription, &[at("subscription"), at("consumer"), at("x_consumer_id"), at("x-consumer-id"), at("jwt_sub")]),
        // The address after Envoy's own rules for trusted hops; a forwarded header is the client's word.
        (Address, &[at("downstream_remote_address"), at("x_forwarded_for")]),
        (UserAgent, &[at("user_agent")]),
        (Service, &[at("upstream_service"), at("upstream_cluster")]),
        (Caller, &[at("caller")]),
        (Method, &[at("method")]),
        (Route, &[at("route_name"), at("path"), at("x_envoy_original_path")]),
        (Status, &[at("response_code")]),
        (DurationMs, &[at("duration")]),
        (RequestBytes, &[at("bytes_received")]),
        (ResponseBytes, &[at("bytes_sent")]),
        (Attempt, &[at("attempt")]),
        (RequestKey, &[at("request_key")]),
        (
            UpstreamAttempts,
            &[at("upstream_request_attempt_count"), at("x_envoy_attempt_count"), at("x-envoy-attempt-count")],
        ),
        (RequestId, &[at("request_id")]),
        (Region, &[at("region")]),
        (Host, &[at("hostname"), at("pod")]),
    ],
    // Refused before a path was read: a flood of those is a flood too.
    constants: &[(Route, "(malformed)")],
    // The names that Istio gives routes nobody named.
    missing: &[(Route, &["default", "allow_any", "block_all"]), (Service, &["PassthroughCluster", "BlackHoleCluster"])],
    headers: HEADERS_USER_MADE,
    resend_counts: &[],
    attributes: &["response_flags", "response_code_details", "upstream_cluster", "authority", "user_agent"],
};
