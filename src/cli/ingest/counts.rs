//! What became of the lines.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::decode::Decoded;
use crate::flow::ratio;
use crate::model::{AttemptSource, Event, EventKind, Request, Timestamp};

/// Counts of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Counts {
    /// Lines read.
    pub(super) lines: u64,
    /// Lines that gave nothing but events.
    pub(super) lines_good: u64,
    /// Events decoded, by kind.
    pub(super) events: BTreeMap<EventKind, u64>,
    /// What the requests say of retries and customers.
    pub(super) requests: RequestCounts,
    /// Records refused, by code.
    pub(super) rejected: BTreeMap<&'static str, u64>,
    /// Kafka messages sent as records, lines as they are or events.
    pub(super) sent: u64,
    /// Bad records sent to the dead-letter topic from here.
    pub(super) dead_lettered: u64,
    /// Watermark messages sent.
    pub(super) watermarks: u64,
    /// Oldest event.
    pub(super) first_event: Option<Timestamp>,
    /// Newest event.
    pub(super) last_event: Option<Timestamp>,
}

/// What requests say of retries and customers: whether repeats can be seen in this log at all.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct RequestCounts {
    /// Requests whose attempt is known.
    with_attempt: u64,
    /// Requests with a key.
    with_request_key: u64,
    /// Requests with neither.
    without_either: u64,
    /// Where attempt or key were read; absent where a native event does not say so.
    sources: BTreeMap<AttemptSource, u64>,
    /// Requests whose proxy says how often it tried its upstreams.
    with_upstream_attempts: u64,
    /// Requests whose subscription is an address: nobody was named.
    address_as_subscription: u64,
}

impl RequestCounts {
    fn add(&mut self, request: &Request) {
        self.with_attempt += u64::from(request.attempt.is_some());
        self.with_request_key += u64::from(request.request_key.is_some());
        self.without_either += u64::from(request.attempt.is_none() && request.request_key.is_none());
        self.with_upstream_attempts += u64::from(request.upstream_attempts.is_some());
        self.address_as_subscription += u64::from(request.subscription.parse::<IpAddr>().is_ok());
        if let Some(source) = request.attempt_source {
            *self.sources.entry(source).or_default() += 1;
        }
    }

    /// Lines for people, given the number of requests and where to read how to say more.
    fn lines(&self, requests: u64, page: &str) -> Vec<String> {
        let percent = |count: u64| format!("{:>5.1} %", 100.0 * ratio(count, requests));
        let row = |name: &str, count: u64| format!("  {name:<34}{}", percent(count));
        let mut lines = vec!["of the requests:".to_owned(), row("attempt known", self.with_attempt)];
        lines.push(row("request key known", self.with_request_key));
        lines.extend(
            self.sources.iter().map(|(source, count)| row(&format!("  read from {}", source.as_str()), *count)),
        );
        lines.push(row("upstream attempts known", self.with_upstream_attempts));
        lines.push(row("subscription is a named customer", requests - self.address_as_subscription));
        lines.push(row("subscription is only an address", self.address_as_subscription));
        if self.without_either == requests {
            lines.push(format!(
                "no attempt and no request key was seen: repeats look like requests. How to add them: {page}"
            ));
        }
        if self.address_as_subscription == requests {
            lines.push(format!("no customer was named: addresses stand for them. How to add who is billed: {page}"));
        }
        lines
    }
}

impl Counts {
    pub(super) fn add(&mut self, decoded: &[Decoded]) {
        self.lines += 1;
        self.lines_good += u64::from(decoded.iter().all(Result::is_ok));
        for one in decoded {
            match one {
                Ok(event) => {
                    *self.events.entry(event.kind()).or_default() += 1;
                    if let Event::Request(request) = event {
                        self.requests.add(request);
                    }
                    let at = event.timestamp();
                    self.first_event = Some(self.first_event.map_or(at, |first| first.min(at)));
                    self.last_event = Some(self.last_event.map_or(at, |last| last.max(at)));
                }
                Err(reason) => *self.rejected.entry(reason.code.as_str()).or_default() += 1,
            }
        }
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// One line of JSON.
    pub(super) fn json(&self) -> String {
        // Numbers and text always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people: only what is not 0. `page` says how to have more in such a log.
    pub(super) fn table(&self, page: &str) -> String {
        let mut rows = vec![("lines read".to_owned(), self.lines)];
        let kind = |kind: &EventKind| format!("  {kind:?} events").to_lowercase();
        rows.extend(self.events.iter().map(|(of, count)| (kind(of), *count)));
        rows.extend(self.rejected.iter().map(|(code, count)| (format!("  rejected: {code}"), *count)));
        let sent = [
            ("messages sent", self.sent),
            ("dead letters sent", self.dead_lettered),
            ("watermarks sent", self.watermarks),
        ];
        rows.extend(sent.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)));
        let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let mut table: Vec<String> = rows.iter().map(|(name, count)| format!("{name:<widest$}  {count:>10}")).collect();
        table.extend(
            self.first_event.zip(self.last_event).map(|(first, last)| format!("events from {first} to {last}")),
        );
        if let Some(requests) = self.events.get(&EventKind::Request) {
            table.extend(self.requests.lines(*requests, page));
        }
        table.join("\n")
    }
}
