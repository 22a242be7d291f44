//! Elastic Common Schema: what Filebeat, Elastic Agent and ECS loggers write, dotted or nested.

use super::{Builtin, at, in_unit};
use crate::config::RequestField::*;
use crate::config::TimeUnit;

pub(super) static ECS: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("@timestamp"), at("event.end"), at("event.start")]),
        (Subscription, &[at("labels.subscription"), at("organization.id"), at("user.id"), at("user.name")]),
        (Address, &[at("client.ip"), at("source.ip"), at("client.address"), at("source.address")]),
        (Client, &[at("labels.client")]),
        (ClientVersion, &[at("labels.client_version")]),
        (UserAgent, &[at("user_agent.original")]),
        (Service, &[at("service.name")]),
        (Caller, &[at("service.origin.name"), at("labels.caller")]),
        (Method, &[at("http.request.method")]),
        (Route, &[at("labels.route"), at("http.route"), at("url.path"), at("url.original")]),
        (Status, &[at("http.response.status_code")]),
        (DurationMs, &[in_unit("event.duration", TimeUnit::Nanoseconds)]),
        (StartedAt, &[at("event.start")]),
        (EndedAt, &[at("event.end")]),
        (RequestBytes, &[at("http.request.body.bytes"), at("http.request.bytes")]),
        (ResponseBytes, &[at("http.response.body.bytes"), at("http.response.bytes")]),
        (Attempt, &[at("labels.attempt")]),
        (RequestKey, &[at("labels.request_key")]),
        (UpstreamAttempts, &[at("labels.upstream_attempts")]),
        (RequestId, &[at("http.request.id")]),
        (Region, &[at("cloud.region")]),
        (Host, &[at("host.name"), at("host.hostname")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["labels.{}", "labels.http_{}", "http.request.headers.{}"],
    resend_counts: &["http.request.resend_count", "labels.http_request_resend_count"],
    attributes: &["user_agent.original", "event.dataset", "event.outcome", "service.version"],
};
