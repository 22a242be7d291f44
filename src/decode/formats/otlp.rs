//! OpenTelemetry: log records and spans by the semantic conventions for HTTP, old names included.
//!
//! Attributes of the record come before those of its resource. The members of a record itself are under `otlp.`.

use super::{Builtin, at, in_unit};
use crate::config::RequestField::*;
use crate::config::TimeUnit;

pub(super) static OTLP: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("otlp.end_time"), at("otlp.time"), at("otlp.observed_time")]),
        (Subscription, &[at("subscription"), at("enduser.id"), at("user.id"), at("organization.id"), at("tenant.id")]),
        (Address, &[at("client.address"), at("network.peer.address"), at("http.client_ip"), at("net.sock.peer.addr")]),
        (Client, &[at("client")]),
        (ClientVersion, &[at("client_version")]),
        (UserAgent, &[at("user_agent.original"), at("http.user_agent")]),
        (Service, &[at("service.name")]),
        (Caller, &[at("caller"), at("service.peer.name")]),
        (Method, &[at("http.request.method"), at("http.method")]),
        (
            Route,
            &[at("http.route"), at("url.template"), at("url.path"), at("http.target"), at("url.full"), at("http.url")],
        ),
        (Status, &[at("http.response.status_code"), at("http.status_code")]),
        (
            DurationMs,
            &[
                at("duration_ms"),
                in_unit("http.server.request.duration", TimeUnit::Seconds),
                in_unit("event.duration", TimeUnit::Nanoseconds),
            ],
        ),
        (StartedAt, &[at("otlp.start_time")]),
        (EndedAt, &[at("otlp.end_time")]),
        (RequestBytes, &[at("http.request.body.size"), at("http.request.size"), at("http.request_content_length")]),
        (ResponseBytes, &[at("http.response.body.size"), at("http.response.size"), at("http.response_content_length")]),
        (Attempt, &[at("attempt")]),
        (RequestKey, &[at("request_key")]),
        (UpstreamAttempts, &[at("upstream_attempts"), at("upstream_request_attempt_count")]),
        (RequestId, &[at("http.request.id"), at("otlp.span_id")]),
        (Region, &[at("cloud.region")]),
        (Host, &[at("host.name"), at("k8s.pod.name"), at("service.instance.id")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["http.request.header.{}"],
    resend_counts: &["http.request.resend_count", "http.resend_count"],
    attributes: &["user_agent.original", "service.version", "deployment.environment.name", "error.type"],
};
