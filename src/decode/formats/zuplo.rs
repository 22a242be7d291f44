//! Zuplo: request logs of its logging plugins.

use super::{Builtin, at};
use crate::config::RequestField::*;

pub(super) static ZUPLO: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("timestamp"), at("@timestamp")]),
        (Subscription, &[at("subscription"), at("userSub"), at("user.sub")]),
        (Address, &[at("clientIP"), at("clientIp"), at("ip")]),
        (UserAgent, &[at("userAgent")]),
        (Service, &[at("deploymentName"), at("accountName")]),
        (Method, &[at("method")]),
        (Route, &[at("routePath"), at("url")]),
        (Status, &[at("statusCode")]),
        (DurationMs, &[at("durationMs")]),
        (RequestBytes, &[at("requestContentLength")]),
        (ResponseBytes, &[at("responseContentLength")]),
        (Attempt, &[at("attempt")]),
        (RequestKey, &[at("requestKey"), at("request_key")]),
        (RequestId, &[at("requestId")]),
        (Region, &[at("colo"), at("region")]),
        (Host, &[at("instanceId")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["{}", "headers.{}", "requestHeaders.{}", "request.headers.{}"],
    resend_counts: &[],
    attributes: &["systemRouteName", "asn", "country", "userAgent"],
};
