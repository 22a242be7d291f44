//! NGINX: `limit_req`, which is GCRA: requests keep a distance, and some may come early.

use std::fmt::Write as _;

use super::routes::places;
use super::{ExportOptions, comments};
use crate::detect::{Limit, Limits};

/// Shared memory of a limit: about 160,000 subscriptions at 64 bytes each (`limit_req_zone` in NGINX's documentation).
const ZONE: &str = "10m";

/// The file to include in `http { }`.
pub(super) fn include(limits: &Limits, options: &ExportOptions) -> String {
    let mut text = comments(&head(limits, options));
    let _ = write!(text, "\n{}", route_map(limits, options));
    let header = options.header.to_ascii_lowercase().replace('-', "_");
    for (i, limit) in limits.limits.iter().enumerate() {
        let _ = write!(text, "\n# {}: {} requests in {}\n", limit.name, limit.requests, limit.per);
        // An empty key is not counted: other routes, and requests without a subscription.
        let _ = writeln!(text, "map $floodmark_route $floodmark_key_{i} {{");
        if limit.routes.is_empty() {
            let _ = writeln!(text, "    default $http_{header};");
        } else {
            let _ = writeln!(text, "    default \"\";");
            for route in &limit.routes {
                let _ = writeln!(text, "    \"{route}\" $http_{header};");
            }
        }
        let _ = writeln!(text, "}}");
        let zone = zone(i);
        let _ = writeln!(text, "limit_req_zone $floodmark_key_{i} zone={zone}:{ZONE} rate={}r/m;", rate(limit));
        let _ = writeln!(text, "limit_req zone={zone} burst={} nodelay;", burst(limit, options));
    }
    let _ = write!(text, "\nlimit_req_status 429;\nlimit_req_log_level warn;\n");
    if options.dry_run {
        text.push_str("limit_req_dry_run on;\n");
    }
    text
}

fn zone(number: usize) -> String {
    format!("floodmark_{number}")
}

/// Requests a minute: NGINX knows whole ones a second or a minute.
fn rate(limit: &Limit) -> u64 {
    let per_ms = limit.per.as_millis().unsigned_abs().max(1);
    (limit.requests.saturating_mul(60_000) / per_ms).max(1)
}

/// Requests that may come early.
fn burst(limit: &Limit, options: &ExportOptions) -> u64 {
    options.burst.unwrap_or(limit.requests.saturating_sub(1))
}

fn head(limits: &Limits, options: &ExportOptions) -> Vec<String> {
    let mut lines = vec![
        "Request limits for NGINX, written by `floodmark limits export --format nginx`.".to_owned(),
        "Include this file in http { }. It holds for every server and location that has no limit_req of its own.".to_owned(),
        String::new(),
        format!(
            "Who is limited is told by the header {}. Your authentication must set it: a client that may choose it has",
            options.header
        ),
        "as many limits as it likes. Requests without it are not limited.".to_owned(),
        String::new(),
        "What NGINX cannot express:".to_owned(),
        "- A span. limit_req lets a request pass when the one before is long enough ago (GCRA), and `burst` of them early."
            .to_owned(),
        match options.burst {
            Some(burst) => format!("  With burst {burst}, whoever sends more than {} at once is refused below the limit.", burst + 1),
            None => "  Here `burst` is the limit less one: whoever keeps to the limit is never refused. After a pause up to"
                .to_owned(),
        },
    ];
    if options.burst.is_none() {
        lines.push("  twice the limit may pass in one span.".to_owned());
    }
    lines.push("- One count over several NGINX: each has its own.".to_owned());
    for limit in &limits.limits {
        let per_ms = limit.per.as_millis().unsigned_abs().max(1);
        let a_minute = limit.requests.saturating_mul(60_000);
        if a_minute % per_ms != 0 {
            let how = if a_minute < per_ms { "the slowest there is, which is laxer" } else { "rounded down" };
            lines.push(format!(
                "- {} requests in {} of {}: NGINX counts whole requests a minute, so it is {}r/m, {how}.",
                limit.requests,
                limit.per,
                limit.name,
                rate(limit)
            ));
        }
    }
    if options.dry_run {
        lines.extend([
            String::new(),
            "limit_req_dry_run: nobody is refused, $limit_req_status says who would be.".to_owned(),
        ]);
    }
    lines
}

/// Names a request's route, where it is known where routes are.
fn route_map(limits: &Limits, options: &ExportOptions) -> String {
    let mut lines = Vec::new();
    let mut unknown = Vec::new();
    for limit in &limits.limits {
        let (known, missing) = places(limit, &options.paths);
        for (name, path) in known {
            let method = path.method().unwrap_or("[A-Z]+");
            let line = format!("    \"~^{method} {}/?$\" \"{name}\";\n", path.path_expression());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        unknown.extend(missing);
    }
    unknown.sort_unstable();
    unknown.dedup();
    let mut text = String::new();
    if !unknown.is_empty() {
        text.push_str(&comments(&[
            format!("Where these routes are is not known: {}.", unknown.join(", ")),
            "Name them in their locations, as in `set $floodmark_route StartProfile;`, or write this file with"
                .to_owned(),
            "--path 'StartProfile=POST /v1/profiles/{id}/start'.".to_owned(),
        ]));
    }
    let _ = write!(text, "map \"$request_method $uri\" $floodmark_route {{\n    default \"\";\n{}}}\n", lines.concat());
    text
}
