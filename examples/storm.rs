//! `cargo run --release --example storm`: fifty thousand subscriptions at once, through the pager alone and through the
//! whole core: how many pages, how long, how much memory.

use std::sync::Arc;
use std::time::Instant;

use floodmark::alert::Rules;
use floodmark::alert::paging::{Decided, PageChange, Pager, PagerSettings};
use floodmark::config::{FlowConfig, PagingConfig};
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{
    Affected, AlertName, Dimension, Dimensions, Event, IncidentReport, Output, Request, Severity, Timestamp,
    Transition, TransitionEvent,
};
use floodmark::pipeline::{Pipeline, Settings};

const SUBSCRIPTIONS: usize = 50_000;
const START: Timestamp = Timestamp::from_millis(1_772_360_105_000);
/// One request a second is too much.
const LIMITS: &str = "[[limits]]\nname = \"storm\"\nrequests = 9\nper = \"10s\"\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = Arc::new(Rules::shipped()?);
    pager_alone(&rules);
    whole_core(&rules)
}

/// Bytes of this process that are in memory.
fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<i64>().ok()).unwrap_or_default() * 4_096
}

#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (before, started) = (resident_bytes(), Instant::now());
    let result = work();
    let mib = (resident_bytes() - before) as f64 / 1_048_576.0;
    println!("{what}: {:.0} ms, {mib:+.1} MiB", started.elapsed().as_secs_f64() * 1e3);
    result
}

fn tell(changes: &[PageChange]) {
    for PageChange { page, .. } in changes {
        println!("  {:?} {} (10 of {})", page.event, page.title, page.contributors_more + 10);
    }
}

fn transition(number: usize, event: TransitionEvent) -> Output {
    Output::Transition(Transition {
        at: START,
        event,
        alert: AlertName::RateLimitExceeded,
        severity: Severity::Warning,
        incident: format!("20260301T101505Z-rate-limit-exceeded-{number:05}").into(),
        since: START,
        labels: Dimensions::new([(Dimension::Subscription, format!("subscription-{number}").into())]),
        value: 100.0,
        baseline: 10.0,
        unit: "requests",
        causes: Vec::new(),
        affected: Affected { subscriptions: 1, requests_share: 1.0 / SUBSCRIPTIONS as f64 },
        summary: format!("subscription subscription-{number} made 100 requests in 10 s; its limit is 10"),
        runbook: "alerts/runbooks/rate-limit-exceeded.md".into(),
    })
}

fn pager_alone(rules: &Arc<Rules>) {
    let mut pager = Pager::new(PagerSettings::new(&PagingConfig::default(), rules));
    for event in [TransitionEvent::Firing, TransitionEvent::Resolved] {
        let outputs: Vec<Output> = (0..SUBSCRIPTIONS).map(|number| transition(number, event)).collect();
        let decided = Decided { outputs: &outputs, watermark: Some(START), reports: &[] };
        let changes = timed(&format!("pager, {SUBSCRIPTIONS} {}", event.as_str()), || pager.step(&decided, START));
        tell(&changes);
        let entry = pager.take_entry();
        let bytes = timed("  journal entry", || serde_json::to_vec(&entry).map_or(0, |json| json.len()));
        println!("  {bytes} bytes");
    }
}

fn whole_core(rules: &Arc<Rules>) -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits::parse(LIMITS, "limits")?;
    let flow = FlowConfig { cells_max: 200_000, ..FlowConfig::default() };
    let mut pipeline = Pipeline::new(&Settings { flow, rules: Rules::clone(rules), limits });
    let mut pager = Pager::new(PagerSettings::new(&PagingConfig::default(), rules));
    for second in 0..40_i64 {
        let mut outputs = Vec::new();
        for number in 0..SUBSCRIPTIONS {
            let request = Request {
                timestamp: START.plus(second * 1_000 + number as i64 / 50),
                subscription: format!("subscription-{number}").into(),
                route: "StartProfile".into(),
                status: 200,
                duration_ms: 5.0,
                request_id: Some(format!("{second}-{number}").into()),
                ..Request::default()
            };
            let event = Event::Request(request);
            if number > 0 || second % 5 != 0 {
                outputs.extend(pipeline.apply(StreamId(0), &event));
                continue;
            }
            // Promised at the edge of a window: what closes it is timed alone.
            let at = START.plus(second * 1_000);
            let closed =
                timed(&format!("core, windows up to {at}"), || pipeline.apply(StreamId(0), &Event::Watermark(at)));
            outputs.extend(closed);
            outputs.extend(pipeline.apply(StreamId(0), &event));
        }
        let open = pipeline.open_incidents();
        let reports: Vec<&IncidentReport> = open.iter().collect();
        let decided = Decided { outputs: &outputs, watermark: pipeline.watermark(), reports: &reports };
        if outputs.is_empty() {
            pager.step(&decided, START.plus(second * 1_000));
            continue;
        }
        let what = format!("pager, {} outputs, {} incidents", outputs.len(), reports.len());
        let changes = timed(&what, || pager.step(&decided, START.plus(second * 1_000)));
        tell(&changes);
    }
    println!("overflowed: {}", pipeline.counts().overflowed);
    Ok(())
}
