//! Every operation of the API.

use crate::config::Scope;

/// An operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    /// What a token needs; absent: open to all.
    pub(super) scope: Option<Scope>,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [(&'static str, Place, &'static str)],
    pub(super) takes: Option<Body>,
    pub(super) needs_body: bool,
    pub(super) answers: (&'static str, Body),
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
}

/// A body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// JSON of a schema.
    Json(&'static str),
    /// Text of a media type.
    Text(&'static str),
    /// Rows, in the format that is asked for.
    Rows,
    /// The same, or what they would cost.
    RowsOrExplanation,
    /// SQL.
    Sql,
    /// Parameters of a named query.
    Parameters,
    /// Native events.
    Records,
    /// OTLP logs.
    Otlp,
}

use Body::Json;
use Place::{Path, Query};

const fn get(
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    answers: Body,
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        tag,
        scope: Some(Scope::Read),
        summary,
        parameters: &[],
        takes: None,
        needs_body: false,
        answers: ("What was asked for.", answers),
    }
}

const fn post(
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    scope: Scope,
    summary: &'static str,
    (takes, answers): (Option<Body>, Body),
) -> Operation {
    let needs_body = takes.is_some();
    Operation { method: "post", scope: Some(scope), takes, needs_body, ..get(path, id, tag, summary, answers) }
}

const fn open(operation: Operation) -> Operation {
    Operation { scope: None, ..operation }
}

const fn with(operation: Operation, parameters: &'static [(&'static str, Place, &'static str)]) -> Operation {
    Operation { parameters, ..operation }
}

const fn delete(operation: Operation) -> Operation {
    Operation { method: "delete", ..operation }
}

const NAME: (&str, Place, &str) = ("name", Path, "Name of the query. All other parameters are the query's own.");
const KEY: (&str, Place, &str) = ("key", Path, "The page's `dedup_key`.");

/// All of them.
pub(super) const OPERATIONS: &[Operation] = &[
    open(get("/livez", "live", "health", "Whether the process answers", Json("Live"))),
    open(get("/readyz", "ready", "health", "How the service is; 503 while nothing can be detected", Json("Readiness"))),
    get("/metrics", "metrics", "health", "Metrics (OpenMetrics 1.0)", Body::Text("application/openmetrics-text")),
    open(get("/api/v1/openapi.json", "openapi", "health", "This document", Body::Text("application/json"))),
    with(
        get("/api/v1/alerts", "alerts", "alerts", "Pending and firing alerts", Json("Alerts")),
        &[
            ("alert", Query, "Only alerts of this name."),
            ("severity", Query, "Only of this severity: critical, warning, info."),
            ("state", Query, "Only pending or only firing ones."),
        ],
    ),
    with(
        get(
            "/api/v1/alerts/history",
            "alerts_history",
            "alerts",
            "What was said of pages, from ClickHouse",
            Json("History"),
        ),
        &[
            ("since", Query, "From this moment on; a day ago, if absent."),
            ("until", Query, "To before this one; now, if absent."),
            ("key", Query, "Of this page only."),
            ("limit", Query, "No more rows; at most 1,000."),
        ],
    ),
    get("/api/v1/incidents", "incidents", "incidents", "Open and recent incidents", Json("Incidents")),
    with(
        get("/api/v1/incidents/{id}", "incident", "incidents", "One incident", Json("Incident")),
        &[("id", Path, "The incident's id.")],
    ),
    with(
        get(
            "/api/v1/incidents/{id}/postmortem.md",
            "postmortem",
            "incidents",
            "A draft of its post-mortem; also of one that is only stored",
            Body::Text("text/markdown"),
        ),
        &[("id", Path, "The incident's id.")],
    ),
    get("/api/v1/pages", "pages", "alerts", "What receivers were told", Json("Pages")),
    with(get("/api/v1/pages/{key}", "page", "alerts", "One page", Json("PageView")), &[KEY]),
    with(
        Operation {
            needs_body: false,
            ..post(
                "/api/v1/pages/{key}/acknowledge",
                "acknowledge",
                "alerts",
                Scope::Admin,
                "Takes a page",
                (Some(Json("NewAcknowledgement")), Json("PageView")),
            )
        },
        &[KEY],
    ),
    with(
        delete(post(
            "/api/v1/pages/{key}/acknowledge",
            "unacknowledge",
            "alerts",
            Scope::Admin,
            "Gives a page back",
            (None, Json("PageView")),
        )),
        &[KEY],
    ),
    get("/api/v1/silences", "silences", "alerts", "Silences in force or to come", Json("Silences")),
    post(
        "/api/v1/silences",
        "silence",
        "alerts",
        Scope::Admin,
        "Makes a silence",
        (Some(Json("NewSilence")), Json("Silence")),
    ),
    with(
        delete(post(
            "/api/v1/silences/{id}",
            "end_silence",
            "alerts",
            Scope::Admin,
            "Ends a silence",
            (None, Json("SilenceEnded")),
        )),
        &[("id", Path, "The silence's id.")],
    ),
    get(
        "/api/v1/events",
        "events",
        "alerts",
        "Pages and transitions as they come (server-sent events)",
        Body::Text("text/event-stream"),
    ),
    get("/api/v1/status", "status", "status", "Public incidents, as those see them who word them", Json("Status")),
    post(
        "/api/v1/status/commands",
        "status_command",
        "status",
        Scope::Publish,
        "Publishes, updates, resolves; announces work; says how components are",
        (Some(Json("StatusCommand")), Json("StatusDone")),
    ),
    post(
        "/-/reload",
        "reload",
        "health",
        Scope::Admin,
        "Reads rules, objectives and limits again",
        (None, Json("Reloaded")),
    ),
    post(
        "/api/v1/events",
        "send_events",
        "records",
        Scope::Ingest,
        "Takes native events",
        (Some(Body::Records), Json("Taken")),
    ),
    post("/v1/logs", "send_logs", "records", Scope::Ingest, "Takes OTLP logs", (Some(Body::Otlp), Json("OtlpTaken"))),
    with(
        get("/api/v1/limits/what-if", "what_if", "limits", "What a request limit would have done", Json("LimitReport")),
        &[
            ("limit", Query, "Requests in a span: `1200/min`. Has to be given."),
            ("routes", Query, "Routes counted together, with commas between; all, if absent."),
            ("by", Query, "Who has a count of its own; `subscription`, if absent."),
            ("burst", Query, "Requests beyond the limit, as the algorithm takes it."),
            ("algorithm", Query, "fixed-window, sliding-window, token-bucket, gcra."),
            ("exempt", Query, "Subscriptions without a limit, with commas between."),
            ("retries", Query, "What clients do when refused: as-logged, none, client."),
            ("sweep", Query, "Rates to try as well: `100/min..5000/min`."),
            ("since", Query, "A time, or how long ago; a day, if absent."),
            ("until", Query, "The same; now, if absent."),
            ("precision", Query, "auto, requests, minutes."),
        ],
    ),
    post(
        "/api/v1/limits/what-if",
        "what_if_of_body",
        "limits",
        Scope::Read,
        "What a request limit would have done, also for each plan",
        (Some(Json("LimitQuestion")), Json("LimitReport")),
    ),
    get("/api/v1/queries", "queries", "queries", "The named queries", Json("NamedQueries")),
    with(
        get("/api/v1/queries/{name}", "query", "queries", "What a named query takes and gives", Json("NamedQuery")),
        &[NAME],
    ),
    with(get("/api/v1/queries/{name}/results", "query_results", "queries", "Runs a named query", Body::Rows), &[NAME]),
    with(
        Operation {
            needs_body: false,
            ..post(
                "/api/v1/queries/{name}/results",
                "query_results_posted",
                "queries",
                Scope::Read,
                "Runs a named query, its parameters in the body",
                (Some(Body::Parameters), Body::Rows),
            )
        },
        &[NAME],
    ),
    with(
        post(
            "/api/v1/sql",
            "sql",
            "queries",
            Scope::Query,
            "Runs SQL of one's own, or says what it would cost",
            (Some(Body::Sql), Body::RowsOrExplanation),
        ),
        &[("explain", Query, "`true`: only what it would cost, and whether it would run.")],
    ),
    get("/api/v1/series", "series", "queries", "The curves there are", Json("Series")),
    with(
        get("/api/v1/query_range", "query_range", "queries", "Curves, as Prometheus gives them", Json("Matrix")),
        &[
            ("series", Query, "Which; `/api/v1/series` lists them. Has to be given."),
            ("start", Query, "RFC 3339 or seconds since 1970; an hour before the end, if absent."),
            ("end", Query, "The same; now, if absent."),
            ("step", Query, "Seconds, or a span like 5m. At most 11,000 points."),
            ("by", Query, "A dimension: a curve for each of its values, at most 100."),
            ("limit", Query, "No more curves."),
            ("metric", Query, "Of the series `signal`: which metric."),
            ("subscription", Query, "Only this one; so all dimensions of the series."),
        ],
    ),
];
