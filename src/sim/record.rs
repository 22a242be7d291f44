//! An attempt as the gateway logs it.

use crate::model::{Attributes, Event, Request, Text, Timestamp};

use super::plan::Version;
use super::scenario::{LogSpec, RouteSpec};
use super::schedule::Micros;
use super::traffic::Attempt;

/// Size of an error's body.
pub(super) const ERROR_BODY_BYTES: u64 = 180;

/// What an attempt's indices stand for.
pub(super) struct RecordContext<'a> {
    pub timestamp: Timestamp,
    pub subscription: &'a Text,
    pub version: &'a Version,
    pub route: &'a RouteSpec,
    pub host: Option<Text>,
    pub region: Option<Text>,
    pub log: LogSpec,
}

pub(super) fn request_event(
    context: &RecordContext<'_>,
    attempt: &Attempt,
    status: u16,
    duration_us: Micros,
    response_bytes: u64,
) -> Event {
    let identifier = |value: u64| Text::from(format!("{value:016x}"));
    Event::Request(Request {
        timestamp: context.timestamp,
        subscription: context.subscription.clone(),
        client: Some(context.version.client.clone()),
        client_version: Some(context.version.version.clone()),
        service: Some(context.route.service.clone()),
        caller: None,
        method: Some(context.route.method.clone()),
        route: context.route.name.clone(),
        status,
        duration_ms: duration_us as f64 / 1_000.0,
        request_bytes: Some(context.route.request_bytes),
        response_bytes: Some(response_bytes),
        attempt: context.log.attempt.then_some(attempt.number),
        attempt_source: None,
        upstream_attempts: None,
        request_key: context.log.request_key.then(|| identifier(attempt.request_key)),
        request_id: Some(identifier(attempt.request_id)),
        region: context.region.clone(),
        host: context.host.clone(),
        attributes: Attributes::default(),
    })
}
