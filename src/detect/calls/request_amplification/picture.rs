//! What is known of two services between which too many calls are made, at the end of a window.

use super::health::{Harm, Health};
use super::hop::{HopHistory, Quantity};
use crate::flow::{Name, ratio};
use crate::model::Timestamp;

/// A route with this share of the excess is the one to name.
const ROUTE_SHARE_MIN: f64 = 0.8;
/// What one route makes more the others must not make less: a route that replaces another is no amplification.
const NET_SHARE_MIN: f64 = 0.5;
/// Keys are repeated when half of the calls repeat one, and far more than normally.
const REPEATED_SHARE_MIN: f64 = 0.5;
const REPEATED_RISE_MIN: f64 = 0.3;

/// Two services, and what is too much between them.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Who calls.
    pub caller: Name,
    /// Who is called.
    pub service: Name,
    /// The route that makes most of the excess, if one does.
    pub route: Option<Name>,
    /// Its share of the excess.
    pub route_share: f64,
    /// What is counted.
    pub quantity: Quantity,
    /// When it began.
    pub since: Timestamp,
    /// From when on "now" is summed.
    pub from: Timestamp,
    /// Amount per request served; per minute when none was.
    pub value: f64,
    /// The normal of `value`.
    pub baseline: f64,
    /// `value / baseline`.
    pub factor: f64,
    /// Whether the caller serves requests; else `value` is per request at the edge.
    pub serves: bool,
    /// No request was served: `value` is per minute.
    pub by_time: bool,
    /// Calls beyond the normal (none where it is bytes that are too many).
    pub calls_added: f64,
    /// Amount beyond the normal, a second.
    pub added_per_second: f64,
    /// Share of all calls between services that is beyond the normal; for the first of several layers, of all of them.
    pub load_share: f64,
    /// Their share of all requests to the service.
    pub callee_share: f64,
    /// How many times its normal load the service has.
    pub callee_growth: f64,
    /// Share of calls that repeat a key now, and normally; nothing where keys are not known.
    pub repeated: Option<(f64, f64)>,
    /// Share of the calls that fail.
    pub failing: f64,
    /// Whether one customer makes most of them, who normally does not.
    pub concentrated: bool,
    /// What suffers (nobody in particular: the edge).
    pub harm: Option<(Option<Name>, Harm)>,
}

impl Picture {
    /// Nothing when what grew on one route was lost on others.
    pub fn new(
        (caller, service): (Name, Name),
        quantity: Quantity,
        (since, from): (Timestamp, Timestamp),
        pair: &HopHistory,
        routes: &[(Name, &HopHistory)],
        internal: u64,
    ) -> Option<Self> {
        let whole = pair.span(quantity, from);
        let excess = whole.amount - whole.expected;
        let excess_of = |history: &HopHistory| {
            let span = history.span(quantity, from);
            span.amount - span.expected
        };
        let top = routes.iter().map(|(route, history)| (excess_of(history), *route, *history));
        let top = top.max_by(|a, b| a.0.total_cmp(&b.0));
        if excess <= 0.0 || top.is_some_and(|(own, _, _)| excess < NET_SHARE_MIN * own) {
            return None;
        }
        let named = top.filter(|(own, _, _)| *own >= ROUTE_SHARE_MIN * excess);
        // A route that was never taken before has no normal of its own.
        let told = named.map(|(_, _, history)| history.span(quantity, from)).filter(|span| span.expected > 0.0);
        let told = told.unwrap_or(whole);
        let by_time = told.served == 0;
        #[allow(clippy::cast_precision_loss)]
        let (seconds, served) = (whole.ms.max(1) as f64 / 1_000.0, told.served as f64);
        let per = if by_time { seconds / 60.0 } else { served };
        let calls_added = match quantity {
            Quantity::Calls => excess,
            Quantity::Bytes => 0.0,
        };
        #[allow(clippy::cast_precision_loss)]
        let load_share = match quantity {
            Quantity::Calls => calls_added / internal.max(1) as f64,
            // Bytes of other hops may not be known: the hop's share of the calls stands in for its share of the bytes.
            Quantity::Bytes => ratio(whole.cell.requests, internal) * (excess / whole.amount.max(1.0)),
        };
        let known = whole.cell.attempts_known > 0;
        let repeated = ratio(told.cell.resends, told.cell.requests);
        Some(Self {
            caller,
            service,
            route: named.map(|(_, route, _)| route),
            route_share: named.map_or(0.0, |(own, _, _)| (own / excess).min(1.0)),
            quantity,
            since,
            from,
            value: told.amount / per,
            baseline: told.expected / per,
            factor: told.amount / told.expected.max(f64::MIN_POSITIVE),
            serves: pair.serves(),
            by_time,
            calls_added,
            added_per_second: excess / seconds,
            load_share,
            callee_share: 0.0,
            callee_growth: 1.0,
            repeated: known.then(|| (repeated, pair.repeated_normally())),
            failing: whole.cell.failure_ratio(),
            concentrated: pair.concentrated(&whole),
            harm: None,
        })
    }

    /// Whether it asks for the same things again and again, without being refused.
    pub fn repeats(&self) -> bool {
        let beyond = |(now, normal): (f64, f64)| {
            now - self.failing >= REPEATED_SHARE_MIN && now - self.failing >= normal + REPEATED_RISE_MIN
        };
        self.repeated.is_some_and(beyond)
    }

    /// How many times its normal load the caller serves.
    pub fn served_growth(&self, health: &Health, end: Timestamp) -> f64 {
        let (now, normal) = health.load(self.caller, self.from, end);
        if normal > 0.0 { now / normal } else { 1.0 }
    }
}
