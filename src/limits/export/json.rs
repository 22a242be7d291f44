//! The limits for programs.

use serde::Serialize;

use super::ExportOptions;
use super::routes::places;
use crate::config::Span;
use crate::detect::Limits;

#[derive(Serialize)]
struct Exported<'a> {
    header: &'a str,
    dry_run: bool,
    limits: Vec<ExportedLimit<'a>>,
}

#[derive(Serialize)]
struct ExportedLimit<'a> {
    name: &'a str,
    requests: u64,
    per: Span,
    per_ms: i64,
    burst: Option<u64>,
    routes: Vec<ExportedRoute<'a>>,
}

#[derive(Serialize)]
struct ExportedRoute<'a> {
    name: &'a str,
    method: Option<String>,
    path_expression: Option<String>,
}

/// Pretty-printed, with a line end.
pub(super) fn json(limits: &Limits, options: &ExportOptions) -> String {
    let limit = |limit| {
        let limit: &crate::detect::Limit = limit;
        let (known, unknown) = places(limit, &options.paths);
        let place = |name| known.iter().find(|(known, _)| *known == name).map(|(_, path)| path);
        debug_assert!(known.len() + unknown.len() == limit.routes.len());
        let route = |name| ExportedRoute {
            name,
            method: place(name).and_then(|path| path.method().map(str::to_owned)),
            path_expression: place(name).map(|path| format!("^{}/?$", path.path_expression())),
        };
        ExportedLimit {
            name: &limit.name,
            requests: limit.requests,
            per: limit.per,
            per_ms: limit.per.as_millis(),
            burst: options.burst,
            routes: limit.routes.iter().map(|name| route(name.as_str())).collect(),
        }
    };
    let exported = Exported {
        header: &options.header,
        dry_run: options.dry_run,
        limits: limits.limits.iter().map(limit).collect(),
    };
    // Texts and numbers: there is nothing that JSON cannot hold.
    serde_json::to_string_pretty(&exported).unwrap_or_default() + "\n"
}
