//! Envoy: descriptors for its rate-limit service (github.com/envoyproxy/ratelimit), and the actions that send them.

use std::fmt::Write as _;

use super::routes::places;
use super::{ExportOptions, comments};
use crate::detect::{Limit, Limits};
use crate::model::DurationMs;

/// Units of the rate-limit service.
const UNITS: [(&str, DurationMs); 3] = [("hour", 3_600_000), ("minute", 60_000), ("second", 1_000)];

/// Configuration of the service.
pub(super) fn service(limits: &Limits, options: &ExportOptions) -> String {
    let mut lines = vec![
        "Request limits for Envoy's rate-limit service, written by `floodmark limits export --format envoy`.".to_owned(),
        "Envoy must send the descriptors: `floodmark limits export --format envoy-routes` writes those actions.".to_owned(),
        String::new(),
        "What the service cannot express:".to_owned(),
        "- A span up to now. It counts in windows on the clock, so up to twice the limit may pass around the edge of two."
            .to_owned(),
        "- A burst: there is none.".to_owned(),
    ];
    for limit in &limits.limits {
        let (requests, unit) = requests_per_unit(limit);
        let (unit_ms, per_ms) = (unit.1, limit.per.as_millis());
        if unit_ms != per_ms {
            lines.push(format!(
                "- {} requests in {} of {}: spans are a second, a minute, an hour or a day, so it is {requests} a {}, \
                 which is {} within {}.",
                limit.requests,
                limit.per,
                limit.name,
                unit.0,
                if unit_ms > per_ms { "laxer" } else { "stricter" },
                limit.per
            ));
        }
    }
    let mut text = comments(&lines);
    text.push_str("domain: floodmark\ndescriptors:\n");
    for limit in &limits.limits {
        let (requests, (unit, _)) = requests_per_unit(limit);
        let _ = write!(
            text,
            "  - key: floodmark_limit\n    value: \"{}\"\n    descriptors:\n      - key: subscription\n        rate_limit:\n          \
             unit: {unit}\n          requests_per_unit: {requests}\n",
            limit.name
        );
        if options.dry_run {
            text.push_str("        shadow_mode: true\n");
        }
    }
    text
}

/// The unit that comes nearest: the greatest that is no longer than the span, unless that would round to nothing.
fn requests_per_unit(limit: &Limit) -> (u64, (&'static str, DurationMs)) {
    let per_ms = limit.per.as_millis().max(1);
    let unit = UNITS.into_iter().find(|(_, ms)| *ms <= per_ms).unwrap_or(UNITS[2]);
    let requests = |ms: DurationMs| limit.requests.saturating_mul(ms.unsigned_abs()) / per_ms.unsigned_abs();
    // A tenth of what was meant is not near: 100 in 15s is 400 a minute rather than 6 a second.
    let exact = |ms: DurationMs| limit.requests.saturating_mul(ms.unsigned_abs()).is_multiple_of(per_ms.unsigned_abs());
    let unit = if exact(unit.1) { unit } else { UNITS[1] };
    (requests(unit.1).max(1), unit)
}

/// What Envoy sends.
pub(super) fn routes(limits: &Limits, options: &ExportOptions) -> String {
    let mut lines = vec![
        "Rate-limit actions for Envoy, written by `floodmark limits export --format envoy-routes`: the value of"
            .to_owned(),
        "`rate_limits` of a virtual host. The filter envoy.filters.http.ratelimit must have `domain: floodmark`."
            .to_owned(),
        String::new(),
        format!(
            "Who is limited is told by the header {}. Your authentication must set it: a client that may choose it has",
            options.header
        ),
        "as many limits as it likes. Requests without it are not limited.".to_owned(),
        "A virtual host's rate_limits count on routes that have none of their own (or `include_vh_rate_limits: true`)."
            .to_owned(),
    ];
    let mut body = String::from("rate_limits:\n");
    for limit in &limits.limits {
        let (known, unknown) = places(limit, &options.paths);
        if !unknown.is_empty() {
            lines.extend([
                String::new(),
                format!("{}: where these routes are is not known: {}.", limit.name, unknown.join(", ")),
                "Put the entry with generic_key into the `rate_limits` of those routes, not of the virtual host, or write".to_owned(),
                "this file with --path 'StartProfile=POST /v1/profiles/{id}/start'.".to_owned(),
            ]);
        }
        let subscription = format!(
            "      - request_headers:\n          header_name: \"{}\"\n          descriptor_key: subscription\n",
            options.header
        );
        for (_, path) in &known {
            let mut matchers = format!(
                "            - name: \":path\"\n              string_match:\n                safe_regex:\n                  \
                 regex: '{}/?(\\?.*)?'\n",
                path.path_expression()
            );
            if let Some(method) = path.method() {
                let _ = write!(
                    matchers,
                    "            - name: \":method\"\n              string_match:\n                exact: {method}\n"
                );
            }
            let _ = write!(
                body,
                "  - actions:\n      - header_value_match:\n          descriptor_key: floodmark_limit\n          \
                 descriptor_value: \"{}\"\n          headers:\n{matchers}{subscription}",
                limit.name
            );
        }
        if !unknown.is_empty() || limit.routes.is_empty() {
            let _ = write!(
                body,
                "  - actions:\n      - generic_key:\n          descriptor_key: floodmark_limit\n          descriptor_value: \
                 \"{}\"\n{subscription}",
                limit.name
            );
        }
    }
    comments(&lines) + &body
}
