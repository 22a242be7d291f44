//! The answer for people.

use std::fmt::Write as _;

use crate::cli::output::table;
use crate::limits::words::{percent, thousands};
use crate::limits::{CustomerEffect, IncidentEffect, PeakEffect, Report, Sweep, Traffic};
use crate::model::Timestamp;

/// Customers of the table; `--output json` tells more.
const CUSTOMERS_SHOWN: usize = 20;
/// Stretches of time shown of a customer.
const INTERVALS_SHOWN: usize = 2;
/// Width of a bar that stands for all of it.
const BAR: f64 = 24.0;

/// The whole answer.
pub(super) fn text(report: &Report) -> String {
    let mut text = head(report);
    if !report.customers.is_empty() {
        let _ =
            write!(text, "\nCustomers ({} throttled)\n{}", report.customers_throttled, customers(&report.customers));
    }
    if !report.incidents.is_empty() {
        let _ = write!(text, "\nIncidents\n{}", incidents(&report.incidents));
    }
    if let Some(sweep) = &report.sweep {
        let _ = write!(text, "\nOther limits\n{}", curve(sweep));
    }
    text.push('\n');
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn head(report: &Report) -> String {
    let limit = &report.limit;
    let over = if limit.routes.is_empty() { "all routes".to_owned() } else { limit.routes.join(" + ") };
    let by: Vec<&str> = limit.by.iter().map(|by| by.as_str()).collect();
    let burst = limit.burst.map(|burst| format!(", burst {burst}")).unwrap_or_default();
    let (load, traffic, outside) = (&report.load, &report.traffic, &report.outside_incidents);
    let mut rows = table(["", ""]);
    rows.set_header(Vec::<String>::new());
    let mut row = |name: &str, value: String| {
        rows.add_row([name.to_owned(), value]);
    };
    row(
        "limit",
        format!(
            "{} over {over}, by {}, {}{burst}, retries {}",
            limit.rate,
            by.join(" + "),
            limit.algorithm.as_str(),
            limit.retries.as_str()
        ),
    );
    row("looked at", looked_at(report));
    row("precision", report.source.precision.clone());
    row("throttled", throttled(traffic, report.customers_throttled));
    let (before, after) = (load.times_usual_before, load.times_usual_after);
    row(
        "peak minute",
        format!(
            "{}; {before:.1} -> {after:.1} times the usual {}",
            peak(&load.all_minute),
            plain(load.usual_per_minute)
        ),
    );
    if let Some(second) = &load.all_second {
        row("peak second", peak(second));
    }
    row("peak minute, counted", peak(&load.counted_minute));
    if let Some(through) = load.not_refused_then_minute.filter(|_| traffic.refused_then.is_some_and(|n| n > 0)) {
        row("peak minute, not 429", thousands(through));
    }
    if traffic.sent_again > 0 {
        let (again, passed) = (thousands(traffic.sent_again), thousands(traffic.passed_again));
        row("sent again", format!("{again}, of which {passed} pass"));
    }
    row(
        "outside incidents",
        format!(
            "{} of {} throttled ({}) in {} minutes; {} touched",
            thousands(outside.throttled),
            thousands(outside.counted),
            percent(outside.share),
            thousands(outside.minutes),
            customers_of(outside.customers_throttled)
        ),
    );
    rows.trim_fmt() + "\n"
}

fn looked_at(report: &Report) -> String {
    let (Some(from), Some(until)) = (report.source.from, report.source.until) else { return "nothing".to_owned() };
    format!("{} requests from {from} until {until}", thousands(report.traffic.requests))
}

fn throttled(traffic: &Traffic, customers: u64) -> String {
    let most = if traffic.throttled_most > traffic.throttled {
        format!(" to {}", thousands(traffic.throttled_most))
    } else {
        String::new()
    };
    format!(
        "{}{most} of {} counted ({}), {} of all; {}",
        thousands(traffic.throttled),
        thousands(traffic.counted),
        percent(traffic.share_of_counted),
        percent(traffic.share_of_all),
        customers_of(customers)
    )
}

fn customers_of(number: u64) -> String {
    match number {
        0 => "nobody".to_owned(),
        1 => "1 customer".to_owned(),
        more => format!("{} customers", thousands(more)),
    }
}

fn plain(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}

fn peak(peak: &PeakEffect) -> String {
    format!("{} -> {} ({})", thousands(peak.before), thousands(peak.after), percent(peak.ratio))
}

fn customers(customers: &[CustomerEffect]) -> String {
    let mut rows = table(["customer", "requests", "throttled", "share", "outside", "busiest", "when"]);
    for customer in customers.iter().take(CUSTOMERS_SHOWN) {
        let most = if customer.throttled_most > customer.throttled {
            format!(" to {}", thousands(customer.throttled_most))
        } else {
            String::new()
        };
        let plan = customer.plan.as_ref().map(|plan| format!(" [{plan}]")).unwrap_or_default();
        rows.add_row([
            format!("{}{plan}", printable(&customer.key)),
            thousands(customer.requests),
            format!("{}{most}", thousands(customer.throttled)),
            percent(customer.share),
            thousands(customer.throttled_outside_incidents),
            format!("{}/min", thousands(customer.busiest_minute)),
            when(customer),
        ]);
    }
    let mut text = rows.trim_fmt() + "\n";
    if customers.len() > CUSTOMERS_SHOWN {
        let _ = writeln!(text, " and {} more (--output json)", customers.len() - CUSTOMERS_SHOWN);
    }
    text
}

fn when(customer: &CustomerEffect) -> String {
    let shown: Vec<String> = customer
        .intervals
        .iter()
        .take(INTERVALS_SHOWN)
        .map(|interval| format!("{} to {}", minute(interval.from), minute(interval.until)))
        .collect();
    let more = customer.intervals.len().saturating_sub(INTERVALS_SHOWN) as u64 + customer.further_intervals;
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// `2026-03-05 14:20`.
fn minute(at: Timestamp) -> String {
    at.window_start(60_000).to_string().replace('T', " ").trim_end_matches(":00Z").to_owned()
}

/// A name comes from a log: it must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn incidents(incidents: &[IncidentEffect]) -> String {
    let mut rows =
        table(["incident", "severity", "culprits", "held back of theirs", "of others", "peak minute", "times usual"]);
    for incident in incidents {
        let (culprits, others) = (&incident.held_back_of_culprits, &incident.held_back_of_others);
        let who = if incident.culprits.is_empty() {
            "nobody in particular".to_owned()
        } else {
            incident.culprits.to_string()
        };
        rows.add_row([
            printable(&incident.incident),
            incident.severity.as_str().to_owned(),
            printable(&who),
            format!(
                "{} of {} ({})",
                thousands(culprits.held_back),
                thousands(culprits.requests),
                percent(culprits.share)
            ),
            format!("{} of {} ({})", thousands(others.held_back), thousands(others.requests), percent(others.share)),
            peak(&incident.peak_minute),
            format!("{:.1} -> {:.1}", incident.times_usual_before, incident.times_usual_after),
        ]);
    }
    rows.trim_fmt() + "\n"
}

fn curve(sweep: &Sweep) -> String {
    let mut rows = table(["limit", "refused outside", "touched", "left of the incidents' peak", ""]);
    for point in &sweep.points {
        let proposed = sweep.proposal.rate.is_some_and(|rate| rate.requests <= point.rate.requests);
        let first = proposed
            && !sweep.points.iter().any(|other| {
                other.rate.requests < point.rate.requests
                    && sweep.proposal.rate.is_some_and(|rate| rate.requests <= other.rate.requests)
            });
        rows.add_row([
            point.rate.to_string(),
            percent(point.throttled_share_outside),
            customers_of(point.customers_outside),
            format!("{:<24} {}", bar(point.incident_peak_ratio), percent(point.incident_peak_ratio)),
            if first { "<- proposed, or the next above it".to_owned() } else { String::new() },
        ]);
    }
    let mut text = rows.trim_fmt() + "\n";
    let named = |rate: Option<crate::limits::Rate>| rate.map_or("none".to_owned(), |rate| rate.to_string());
    let _ = writeln!(text, "proposed: {} ({})", named(sweep.proposal.rate), printable(&sweep.proposal.reason));
    for plan in &sweep.plans {
        let (rate, reason) = (named(plan.proposal.rate), &plan.proposal.reason);
        let _ = writeln!(text, "plan {} ({}): {rate} ({reason})", printable(&plan.plan), customers_of(plan.customers));
    }
    text
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share, times a small number
fn bar(share: f64) -> String {
    "#".repeat((share * BAR).round() as usize)
}
