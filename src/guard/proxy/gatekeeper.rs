//! The gate, and who waits at it. One lock, held for as long as `Gate::apply` takes and never over an `await`: a task of its
//! own would be cleaner, and two more switches of threads in every query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::steady_clock::SteadyClock;
use crate::guard::gate::{
    Ask, BeforeEstimate, Ended, Gate, GateInput, GateOutput, GateSnapshot, GateStatus, QueryNumber, Refusal,
};
use crate::metrics::Metrics;
use crate::model::Timestamp;

/// Characters of an id that the watchdog sees.
const QUERY_ID_CHARS: usize = 200;
/// What the gate is told of a query that was let in and not sent, ClickHouse's code of a setting that may not be had: no
/// offence.
const UNSENT_CODE: u32 = 452;

/// What the gate said to a query.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It runs, with these settings.
    Admitted(Vec<(&'static str, String)>),
    /// It does not.
    Refused(Refusal),
}

/// The gate and its queries.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    inner: Mutex<Inner>,
    metrics: Arc<Metrics>,
    /// Told when something happened that a restart of the guard must not forget.
    pub(super) to_keep: Notify,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    clock: SteadyClock,
    waiting: HashMap<QueryNumber, oneshot::Sender<Verdict>>,
    present: HashMap<QueryNumber, Present>,
    next_number: QueryNumber,
}

/// A query that waits or runs.
#[derive(Debug, Clone)]
pub(super) struct Present {
    /// Who asks.
    pub(super) tenant: String,
    /// Its fingerprint.
    pub(super) fingerprint: String,
    /// Since when it waits, or runs.
    pub(super) since: Timestamp,
    /// Whether it runs.
    pub(super) runs: bool,
}

/// A query's place at the gate. Given up when it is dropped before its end: then whoever asked has left.
#[derive(Debug)]
pub(super) struct Place {
    number: QueryNumber,
    verdict: Option<oneshot::Receiver<Verdict>>,
    keeper: Arc<Gatekeeper>,
    /// Whether ClickHouse may have heard of it.
    is_sent: bool,
    has_ended: bool,
}

impl Gatekeeper {
    pub(super) fn new(gate: Gate, metrics: Arc<Metrics>) -> Self {
        let (waiting, present) = (HashMap::new(), HashMap::new());
        let inner = Inner { gate, clock: SteadyClock::new(), waiting, present, next_number: 1 };
        Self { inner: Mutex::new(inner), metrics, to_keep: Notify::new() }
    }

    /// Nothing panics under the lock that leaves the gate half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; the number of the query is the gatekeeper's to give. The number of those present is bounded by that of the
    /// connections.
    pub(super) fn ask(self: &Arc<Self>, mut ask: Ask) -> Place {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        let number = inner.next_number;
        inner.next_number += 1;
        ask.number = number;
        // As much as a look says of it.
        ask.query_id = ask.query_id.chars().take(QUERY_ID_CHARS).collect();
        let at = inner.clock.now();
        let (tenant, fingerprint) = (ask.tenant.clone(), ask.fingerprint.clone());
        inner.present.insert(number, Present { tenant, fingerprint, since: at, runs: false });
        inner.waiting.insert(number, sender);
        let outputs = inner.gate.apply(GateInput::Ask(ask), at);
        self.deliver(&mut inner, outputs, at);
        Place { number, verdict: Some(receiver), keeper: Arc::clone(self), is_sent: false, has_ended: false }
    }

    /// What the gate says of a query before it is estimated.
    pub(super) fn before_estimate(&self, ask: &Ask) -> BeforeEstimate {
        let mut inner = self.lock();
        let at = inner.clock.now();
        inner.gate.before_estimate(ask, at)
    }

    /// Tells the gate what happened.
    pub(super) fn tell(&self, input: GateInput) {
        let mut inner = self.lock();
        let at = inner.clock.now();
        if let GateInput::Ended(number, _) | GateInput::Left(number) = &input {
            inner.present.remove(number);
            inner.waiting.remove(number);
        }
        let must_be_kept = must_be_kept(&input);
        let outputs = inner.gate.apply(input, at);
        self.deliver(&mut inner, outputs, at);
        if must_be_kept {
            self.to_keep.notify_one();
        }
    }

    /// The gate's time.
    pub(super) fn now(&self) -> Timestamp {
        self.lock().clock.now()
    }

    /// What a restart must not forget.
    pub(super) fn snapshot(&self) -> GateSnapshot {
        self.lock().gate.snapshot()
    }

    /// How the gate is.
    pub(super) fn status(&self) -> GateStatus {
        let mut inner = self.lock();
        let at = inner.clock.now();
        inner.gate.status(at)
    }

    /// Who waits and runs now, the oldest first.
    pub(super) fn present(&self) -> Vec<(QueryNumber, Present)> {
        let mut present: Vec<_> = self.lock().present.iter().map(|(number, one)| (*number, one.clone())).collect();
        present.sort_unstable_by_key(|(number, _)| *number);
        present
    }

    fn deliver(&self, inner: &mut Inner, outputs: Vec<GateOutput>, at: Timestamp) {
        for output in outputs {
            let (number, verdict) = match output {
                GateOutput::Admit { number, settings, shadow } => {
                    if let Some(refusal) = shadow {
                        self.metrics.add_guard_would_refuse(refusal.reason);
                    }
                    if let Some(present) = inner.present.get_mut(&number) {
                        (present.runs, present.since) = (true, at);
                    }
                    (number, Verdict::Admitted(settings))
                }
                GateOutput::WouldRefuse(_, refusal) => {
                    self.metrics.add_guard_would_refuse(refusal.reason);
                    continue;
                }
                GateOutput::Refuse(number, refusal) => {
                    self.metrics.add_guard_refusal(refusal.reason);
                    inner.present.remove(&number);
                    (number, Verdict::Refused(refusal))
                }
            };
            if let Some(waiting) = inner.waiting.remove(&number) {
                // Whoever has left meanwhile says so by dropping its place.
                let _ = waiting.send(verdict);
            }
        }
        let running = inner.present.values().filter(|present| present.runs).count();
        self.metrics.set_guard_queries(running, inner.waiting.len());
    }
}

/// Whether a guard that is killed now would come back without something that holds queries off: an order, safe mode, or
/// a breaker that this may have opened.
fn must_be_kept(input: &GateInput) -> bool {
    match input {
        GateInput::Block { .. }
        | GateInput::Unblock { .. }
        | GateInput::SafeMode { .. }
        | GateInput::Killed { .. }
        | GateInput::Restarted { unclean: Some(true), .. } => true,
        GateInput::Ended(_, ended) => ended.exception_code.is_some(),
        _ => false,
    }
}

impl Place {
    /// Waits for what the gate says.
    pub(super) async fn verdict(&mut self) -> Option<Verdict> {
        let verdict = self.verdict.take()?.await.ok()?;
        if matches!(verdict, Verdict::Refused(_)) {
            self.has_ended = true;
        }
        Some(verdict)
    }

    /// Number of the query.
    pub(super) fn number(&self) -> QueryNumber {
        self.number
    }

    /// The query goes to ClickHouse now.
    pub(super) fn sent(&mut self) {
        self.is_sent = true;
    }

    /// The query has ended by itself.
    pub(super) fn end(mut self, ended: Ended) {
        self.has_ended = true;
        self.keeper.tell(GateInput::Ended(self.number, ended));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.keeper.tell(GateInput::Left(self.number));
        if !self.is_sent {
            // Nothing of it runs on in ClickHouse, for which a slot would have to be held.
            let ended = Ended { exception_code: Some(UNSENT_CODE), ..Ended::default() };
            self.keeper.tell(GateInput::Ended(self.number, ended));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::policy::GuardPolicy;

    #[tokio::test]
    async fn a_slot_is_held_only_for_what_was_sent() {
        let mut policy = GuardPolicy::parse(include_str!("../../../config/guard.toml")).unwrap();
        policy.proxy.enforce = true;
        policy.tenants.clear();
        let keeper = Arc::new(Gatekeeper::new(Gate::new(policy, 100 << 30), Arc::new(Metrics::new())));
        let running = || keeper.status().classes.values().map(|class| class.running).sum::<u32>();
        let admitted = async || {
            let mut place = keeper.ask(Ask { fingerprint: "f".to_owned(), ..Ask::default() });
            assert!(matches!(place.verdict().await, Some(Verdict::Admitted(_))));
            place
        };
        let place = admitted().await;
        assert_eq!(running(), 1);
        drop(place);
        assert_eq!(running(), 0);
        let mut place = admitted().await;
        place.sent();
        drop(place);
        assert_eq!(running(), 1);
    }
}
