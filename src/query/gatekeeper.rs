//! The guard's gate for ad-hoc questions: who runs, who waits, who is refused and with which words.
//!
//! The same pure gate as that of the guard's proxy, with one class made of `[query]`: a fair queue over tokens, refusals by
//! estimate, breakers for what has repeatedly done harm. How much one token may ask at a time is seen to before (`shares`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock;
use crate::config::QueryConfig;
use crate::guard::gate::{
    Ask, BeforeEstimate, DEFAULT_CLASS, Ended, Gate, GateInput, GateOutput, QueryNumber, Refusal,
};
use crate::guard::policy::{ClassPolicy, GuardPolicy};
use crate::model::Timestamp;
use crate::store::StoreError;

/// How often one who waits has the gate look at the time.
const TICK: Duration = Duration::from_millis(250);
/// ClickHouse's code of a query that was cancelled.
const CANCELLED: u32 = 394;

/// What the gate says.
pub(super) type Verdict = Result<Vec<(&'static str, String)>, Refusal>;

/// The gate, and who waits at it.
#[derive(Debug)]
pub(super) struct Gatekeeper {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    gate: Gate,
    waiting: HashMap<QueryNumber, oneshot::Sender<Verdict>>,
    next_number: QueryNumber,
}

/// A question's place. Dropped before its end: whoever asked has left.
#[derive(Debug)]
pub(super) struct Place {
    keeper: Arc<Gatekeeper>,
    number: QueryNumber,
    verdict: Option<oneshot::Receiver<Verdict>>,
    admitted_at: Option<Timestamp>,
    ended: Option<Ended>,
}

impl Gatekeeper {
    pub(super) fn new(config: &QueryConfig) -> Self {
        let limit_bytes = config.memory_bytes_max.0.as_u64().saturating_mul(u64::from(config.at_once_max) * 2);
        let gate = Gate::new(policy(config), limit_bytes);
        let inner = Inner { gate, waiting: HashMap::new(), next_number: 1 };
        Self { inner: Mutex::new(inner) }
    }

    /// Nothing panics under the lock that leaves the gate half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What holds an estimate.
    pub(super) fn before_estimate(&self, ask: &Ask) -> BeforeEstimate {
        self.lock().gate.before_estimate(ask, clock::now())
    }

    /// Asks. The number of those present is bounded: by those that are prepared at a time, and by the gate's queue.
    pub(super) fn ask(self: &Arc<Self>, token: &Arc<str>, mut ask: Ask) -> Place {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        let number = inner.next_number;
        inner.next_number += 1;
        (ask.number, ask.tenant) = (number, token.to_string());
        inner.waiting.insert(number, sender);
        apply(&mut inner, GateInput::Ask(ask));
        Place { keeper: Arc::clone(self), number, verdict: Some(receiver), admitted_at: None, ended: None }
    }
}

/// One class, for everybody: fairness is by tenant, and each token is one.
fn policy(config: &QueryConfig) -> GuardPolicy {
    let class = ClassPolicy {
        query_memory_share_max: Some(0.5 / f64::from(config.at_once_max)),
        read_rows_max: Some(config.read_rows_max),
        read_bytes_max: Some(config.read_bytes_max),
        result_rows_max: Some(config.result_rows_max),
        duration_max: Some(config.timeout),
        threads_max: Some(config.threads_max),
        slots: Some(config.at_once_max),
        waiting_max: Some(config.waiting_max),
        wait_max: Some(config.wait_max),
        ..ClassPolicy::default()
    };
    let mut policy = GuardPolicy { classes: [(DEFAULT_CLASS.to_owned(), class)].into(), ..GuardPolicy::default() };
    (policy.server.slots, policy.server.ingest_slots_share_min) = (config.at_once_max, 0.0);
    policy.proxy.enforce = true;
    policy
}

fn apply(inner: &mut Inner, input: GateInput) {
    let mut gone = Vec::new();
    for output in inner.gate.apply(input, clock::now()) {
        let (number, verdict) = match output {
            GateOutput::Admit { number, settings, .. } => (number, Ok(settings)),
            GateOutput::Refuse(number, refusal) => (number, Err(refusal)),
            GateOutput::WouldRefuse(..) => continue,
        };
        match inner.waiting.remove(&number) {
            // Whoever has left says so by dropping the place.
            Some(waiting) => drop(waiting.send(verdict)),
            None if verdict.is_ok() => gone.push(number),
            None => {}
        }
    }
    // Nobody waits for these any more: their slots are for others.
    for number in gone {
        apply(inner, GateInput::Ended(number, Ended { exception_code: Some(CANCELLED), ..Ended::default() }));
    }
}

impl Place {
    /// What the gate has said by now.
    pub(super) fn said(&mut self) -> Option<Verdict> {
        self.verdict.as_mut()?.try_recv().ok()
    }

    /// Waits for what the gate says.
    pub(super) async fn verdict(&mut self) -> Verdict {
        let Some(mut receiver) = self.verdict.take() else { return Ok(Vec::new()) };
        loop {
            match tokio::time::timeout(TICK, &mut receiver).await {
                Ok(Ok(verdict)) => {
                    self.admitted_at = verdict.is_ok().then(clock::now);
                    return verdict;
                }
                // The gate answers everybody whom it does not forget.
                Ok(Err(_)) => return Ok(Vec::new()),
                Err(_) => apply(&mut self.keeper.lock(), GateInput::Tick),
            }
        }
    }

    /// The question has ended by itself: well, or with `error`, for which it is charged where it is its own fault.
    pub(super) fn end(&mut self, error: Option<&StoreError>) {
        let (exception_code, exception) = match error {
            None => (None, None),
            Some(StoreError::Refused { number, message }) => (Some(*number), Some(message.clone())),
            // Nobody reads the rest, so that ClickHouse cancels it.
            Some(_) => (Some(CANCELLED), None),
        };
        let ran_ms = self.admitted_at.map_or(0, |at| clock::now().since(at));
        let duration_ms = u64::try_from(ran_ms).unwrap_or(0);
        self.ended = Some(Ended { exception_code, exception, duration_ms, ..Ended::default() });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.keeper.lock();
        inner.waiting.remove(&self.number);
        let ended = self.ended.take();
        if ended.is_none() {
            apply(&mut inner, GateInput::Left(self.number));
        }
        // ClickHouse cancels what nobody reads.
        let cancelled = || Ended { exception_code: Some(CANCELLED), ..Ended::default() };
        apply(&mut inner, GateInput::Ended(self.number, ended.unwrap_or_else(cancelled)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;
    use crate::guard::gate::RefusalReason;

    fn keeper(config: &QueryConfig) -> Arc<Gatekeeper> {
        Arc::new(Gatekeeper::new(config))
    }

    fn ask(rows: u64) -> Ask {
        Ask { fingerprint: "f".to_owned(), estimated_rows: Some(rows), ..Ask::default() }
    }

    #[tokio::test]
    async fn a_question_that_reads_too_much_is_refused_with_words() {
        let config = QueryConfig { read_rows_max: 1_000, ..QueryConfig::default() };
        let keeper = keeper(&config);
        let token: Arc<str> = "a".into();
        let refusal = keeper.ask(&token, ask(1_001)).verdict().await.unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::TooManyRows);
        assert!(refusal.explanation.contains("1,001") && refusal.suggestion.contains("time range"), "{refusal}");
        let settings = keeper.ask(&token, ask(1_000)).verdict().await.unwrap();
        for setting in [("max_rows_to_read", "1000"), ("max_execution_time", "30"), ("max_threads", "2")] {
            assert!(settings.contains(&(setting.0, setting.1.to_owned())), "{settings:?}");
        }
        let memory = settings.iter().find(|(name, _)| *name == "max_memory_usage").unwrap();
        assert_eq!(memory.1, (1_u64 << 30).to_string());
    }

    #[tokio::test]
    async fn others_wait_their_turn_and_then_in_vain() {
        let config =
            QueryConfig { at_once_max: 2, waiting_max: 1, wait_max: Span::from_secs(1), ..QueryConfig::default() };
        let keeper = keeper(&config);
        let tokens: Vec<Arc<str>> = ["a", "b", "c", "d"].map(Arc::from).into();
        let mut places = Vec::new();
        for token in &tokens[..2] {
            let mut place = keeper.ask(token, ask(1));
            place.verdict().await.unwrap();
            places.push(place);
        }
        let mut third = keeper.ask(&tokens[2], ask(1));
        assert_eq!(third.said(), None);
        let full = keeper.ask(&tokens[3], ask(1)).verdict().await.unwrap_err();
        assert_eq!(full.reason, RefusalReason::QueueFull);
        assert_eq!(third.verdict().await.unwrap_err().reason, RefusalReason::WaitTooLong);
        drop(third);
        places.clear();
        assert!(keeper.ask(&tokens[0], ask(1)).verdict().await.is_ok(), "the places are free again");
    }

    #[tokio::test]
    async fn who_looks_and_leaves_while_it_would_wait_takes_no_place() {
        let config = QueryConfig { at_once_max: 1, waiting_max: 4, ..QueryConfig::default() };
        let keeper = keeper(&config);
        let (first, other): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for _ in 0..8 {
            let mut running = keeper.ask(&first, ask(1));
            running.verdict().await.unwrap();
            let mut look = keeper.ask(&other, ask(1));
            assert_eq!(look.said(), None, "it would wait");
            drop(look);
            running.end(None);
            drop(running);
        }
        assert!(keeper.ask(&other, ask(1)).verdict().await.is_ok());
    }

    #[tokio::test]
    async fn what_dies_of_its_own_memory_again_and_again_is_refused_and_a_victim_is_not() {
        let died = |message: &str| StoreError::Refused { number: 241, message: message.to_owned() };
        let own = died("Query memory limit exceeded: would use 2.00 GiB");
        let others = died("(total) memory limit exceeded: would use 20.00 GiB");
        for (error, is_refused) in [(own, true), (others, false)] {
            let keeper = keeper(&QueryConfig::default());
            let token: Arc<str> = "a".into();
            let mut refusals = 0;
            for _ in 0..8 {
                let mut place = keeper.ask(&token, ask(1));
                match place.verdict().await {
                    Ok(_) => place.end(Some(&error)),
                    Err(_) => refusals += 1,
                }
            }
            assert_eq!(refusals > 0, is_refused, "{error}: {refusals}");
        }
    }
}
