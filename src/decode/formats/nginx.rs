//! NGINX and ingress-nginx: a `log_format` with `escape=json`, its members named after the variables.

use super::{Builtin, HEADERS_USER_MADE, at, in_unit};
use crate::config::RequestField::*;
use crate::config::TimeUnit;

pub(super) static NGINX: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("msec"), at("time_iso8601"), at("time_local"), at("time"), at("timestamp"), at("@timestamp")]),
        (Subscription, &[at("subscription"), at("consumer"), at("remote_user"), at("jwt_claim_sub")]),
        (Address, &[at("remote_addr"), at("realip_remote_addr"), at("http_x_forwarded_for")]),
        (UserAgent, &[at("http_user_agent"), at("user_agent")]),
        (Service, &[at("service"), at("service_name"), at("proxy_upstream_name")]),
        (Method, &[at("request_method"), at("method"), at("request")]),
        (Route, &[at("route"), at("uri"), at("request_uri"), at("path"), at("request")]),
        (Status, &[at("status")]),
        (
            DurationMs,
            &[
                in_unit("request_time", TimeUnit::Seconds),
                in_unit("duration", TimeUnit::Seconds),
                in_unit("upstream_response_time", TimeUnit::Seconds),
            ],
        ),
        (RequestBytes, &[at("request_length"), at("content_length")]),
        (ResponseBytes, &[at("body_bytes_sent"), at("bytes_sent")]),
        (Attempt, &[at("attempt")]),
        (RequestKey, &[at("request_key")]),
        (UpstreamAttempts, &[at("upstream_addr")]),
        (RequestId, &[at("request_id"), at("req_id")]),
        (Region, &[at("region")]),
        (Host, &[at("hostname")]),
    ],
    // A request line that is no request has an empty `$uri`.
    constants: &[(Route, "(malformed)")],
    missing: &[],
    headers: HEADERS_USER_MADE,
    resend_counts: &[],
    attributes: &["http_user_agent", "upstream_status", "upstream_addr", "limit_req_status", "upstream_cache_status"],
};
