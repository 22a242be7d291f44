//! AWS API Gateway: JSON access logs of REST, HTTP and WebSocket APIs, members named after `$context` variables.

use super::{Builtin, HEADERS_USER_MADE, at};
use crate::config::RequestField::*;

pub(super) static AWS_APIGW: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("requestTimeEpoch"), at("requestTime")]),
        (
            Subscription,
            &[
                at("subscription"),
                at("apiKeyId"),
                at("identity.apiKeyId"),
                at("principalId"),
                at("authorizer.principalId"),
                at("caller"),
                at("user"),
            ],
        ),
        (Address, &[at("ip"), at("sourceIp"), at("identity.sourceIp")]),
        (UserAgent, &[at("userAgent"), at("identity.userAgent")]),
        (Service, &[at("apiId"), at("domainName")]),
        (Method, &[at("httpMethod"), at("routeKey")]),
        (Route, &[at("resourcePath"), at("routeKey"), at("path")]),
        (Status, &[at("status")]),
        (DurationMs, &[at("responseLatency"), at("integrationLatency"), at("integration.latency")]),
        (RequestBytes, &[at("requestLength")]),
        (ResponseBytes, &[at("responseLength")]),
        (Attempt, &[at("attempt")]),
        (RequestKey, &[at("requestKey"), at("request_key")]),
        (RequestId, &[at("requestId"), at("extendedRequestId")]),
        (Region, &[at("region")]),
    ],
    constants: &[],
    missing: &[],
    headers: HEADERS_USER_MADE,
    resend_counts: &[],
    attributes: &["stage", "integrationStatus", "error.responseType", "errorResponseType", "userAgent"],
};
