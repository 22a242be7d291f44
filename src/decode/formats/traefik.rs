//! Traefik: the JSON access log. Durations are nanoseconds, retries are counted from 0.

use super::{Builtin, at, from_zero, in_unit};
use crate::config::RequestField::*;
use crate::config::TimeUnit;

pub(super) static TRAEFIK: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("StartUTC"), at("StartLocal"), at("time")]),
        (Subscription, &[at("ClientUsername"), at("request_X-Consumer-Id"), at("request_X-Forwarded-User")]),
        (Address, &[at("ClientHost"), at("ClientAddr")]),
        (UserAgent, &[at("request_User-Agent")]),
        (Service, &[at("ServiceName")]),
        (Method, &[at("RequestMethod")]),
        // A router usually takes all paths of a service: the path says more.
        (Route, &[at("RequestPath"), at("RouterName")]),
        (Status, &[at("DownstreamStatus")]),
        (DurationMs, &[in_unit("Duration", TimeUnit::Nanoseconds)]),
        (RequestBytes, &[at("RequestContentSize")]),
        (ResponseBytes, &[at("DownstreamContentSize")]),
        (UpstreamAttempts, &[from_zero("RetryAttempts")]),
        (RequestId, &[at("request_X-Request-Id")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["request_{}"],
    resend_counts: &[],
    attributes: &["RouterName", "OriginStatus", "Overhead", "request_User-Agent"],
};
