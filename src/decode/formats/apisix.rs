//! Apache APISIX: kafka-logger and its siblings with the default log format. A message may hold an array of records.

use super::{Builtin, at};
use crate::config::RequestField::*;

pub(super) static APISIX: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("start_time")]),
        (Subscription, &[at("consumer.username"), at("consumer_name")]),
        (Address, &[at("client_ip"), at("remote_addr")]),
        (UserAgent, &[at("request.headers.user-agent")]),
        (Service, &[at("service_name"), at("service_id")]),
        (Method, &[at("request.method")]),
        (Route, &[at("route_name"), at("route_id"), at("request.uri"), at("request.url")]),
        (Status, &[at("response.status")]),
        (DurationMs, &[at("latency")]),
        (RequestBytes, &[at("request.size")]),
        (ResponseBytes, &[at("response.size")]),
        (UpstreamAttempts, &[at("upstream_addr"), at("upstream")]),
        (RequestId, &[at("request_id"), at("request.headers.x-request-id")]),
        (Host, &[at("server.hostname")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["request.headers.{}"],
    resend_counts: &[],
    attributes: &["upstream_latency", "apisix_latency", "upstream_status", "request.headers.user-agent"],
};
