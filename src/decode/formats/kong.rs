//! Kong: what kafka-log, http-log and file-log write. A message may hold an array of records.

use super::{Builtin, at};
use crate::config::RequestField::*;

pub(super) static KONG: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("started_at")]),
        (
            Subscription,
            &[
                at("consumer.custom_id"),
                at("consumer.username"),
                at("consumer.id"),
                at("authenticated_entity.consumer_id"),
                at("authenticated_entity.id"),
            ],
        ),
        (Address, &[at("client_ip")]),
        (UserAgent, &[at("request.headers.user-agent")]),
        (Service, &[at("service.name"), at("service.host")]),
        (Method, &[at("request.method")]),
        (Route, &[at("route.name"), at("request.uri"), at("request.url")]),
        (Status, &[at("response.status")]),
        (DurationMs, &[at("latencies.request")]),
        (RequestBytes, &[at("request.size")]),
        (ResponseBytes, &[at("response.size")]),
        (UpstreamAttempts, &[at("tries.#")]),
        (RequestId, &[at("request.id"), at("request.headers.x-kong-request-id")]),
        (Host, &[at("kong_node.hostname")]),
    ],
    constants: &[],
    // -1: no upstream was asked.
    missing: &[(DurationMs, &["-1"])],
    headers: &["request.headers.{}"],
    resend_counts: &[],
    attributes: &["upstream_status", "upstream_uri", "latencies.proxy", "latencies.kong", "request.headers.user-agent"],
};
