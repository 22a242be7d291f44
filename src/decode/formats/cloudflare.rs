//! Cloudflare Logpush, data set `http_requests`. The duration is the time between the two timestamps of the edge.

use super::{Builtin, at};
use crate::config::RequestField::*;

pub(super) static CLOUDFLARE: Builtin = Builtin {
    fields: &[
        (Timestamp, &[at("EdgeEndTimestamp"), at("EdgeStartTimestamp")]),
        (
            Subscription,
            &[
                at("RequestHeaders.x-consumer-id"),
                at("RequestHeaders.x-subscription-id"),
                at("ClientMTLSAuthCertFingerprint"),
            ],
        ),
        (Address, &[at("ClientIP")]),
        (UserAgent, &[at("ClientRequestUserAgent")]),
        (Service, &[at("ClientRequestHost"), at("ZoneName")]),
        (Method, &[at("ClientRequestMethod")]),
        (Route, &[at("ClientRequestPath"), at("ClientRequestURI")]),
        (Status, &[at("EdgeResponseStatus")]),
        (StartedAt, &[at("EdgeStartTimestamp")]),
        (EndedAt, &[at("EdgeEndTimestamp")]),
        (RequestBytes, &[at("ClientRequestBytes")]),
        (ResponseBytes, &[at("EdgeResponseBytes")]),
        (RequestId, &[at("RayID")]),
        (Region, &[at("EdgeColoCode")]),
        (Host, &[at("OriginIP")]),
    ],
    constants: &[],
    missing: &[],
    headers: &["RequestHeaders.{}"],
    resend_counts: &[],
    attributes: &["OriginResponseStatus", "CacheCacheStatus", "SecurityAction", "ClientASN", "ClientRequestUserAgent"],
};
