//! What happens to the gate, and what follows: asks, ends, kills, restarts, orders of operators, time. Which query starts
//! next is in `starts.rs`, why one is refused at once in `standing.rs`.

use std::collections::{BTreeMap, VecDeque};

use super::blocks::{Block, Blocks};
use super::breaker::Breakers;
use super::caps::Rung;
use super::ended_runs::{EndedRun, EndedRuns};
use super::fair_queue::{FairQueue, Waiting};
use super::learned::Learned;
use super::memory::Memory;
use super::offence::{Offence, offence};
use super::running::{Running, RunningQueries, breaker_keys, scan_of};
use super::safe_mode::{SafeMode, SafeModeLevel};
use super::status::Counts;
use super::{Ask, Ended, GateInput, GateOutput, QueryNumber, Refusal, words};
use crate::guard::policy::{ClassPolicy, GuardPolicy};
use crate::model::Timestamp;

/// Longest queue of a class, whatever its policy says; also of writes.
pub(super) const WAITING_MAX: usize = 10_000;
/// Class of queries that read, where the policy names no tenants.
pub const DEFAULT_CLASS: &str = "ad_hoc";
/// Class of those that write.
pub const WRITING_CLASS: &str = "ingest";
/// A class that says nothing waits this long, in milliseconds.
const WAIT_MS_DEFAULT: i64 = 30_000;
/// A class that says nothing lets so many wait.
const WAITING_DEFAULT: u32 = 32;

/// Admission as it is enforced. Shadow mode is this one, watched from outside (`shadow.rs`).
#[derive(Debug, Clone)]
pub(super) struct Admission {
    pub(super) policy: GuardPolicy,
    /// Of the server, where it is known.
    pub(super) cores: Option<u32>,
    pub(super) memory: Memory,
    pub(super) memory_heard: Option<Timestamp>,
    pub(super) learned: Learned,
    pub(super) breakers: Breakers,
    pub(super) blocks: Blocks,
    pub(super) safe_mode: SafeMode,
    /// Queues by class.
    pub(super) queues: BTreeMap<String, FairQueue>,
    /// Writes that wait: before all reads, in order.
    pub(super) writes: VecDeque<Waiting>,
    pub(super) running: RunningQueries,
    pub(super) ended_runs: EndedRuns,
    pub(super) counts: Counts,
    pub(super) now: Timestamp,
}

impl Admission {
    pub(super) fn new(policy: GuardPolicy, limit_bytes: u64) -> Self {
        Self {
            cores: None,
            memory: Memory::new(limit_of(&policy, limit_bytes)),
            memory_heard: None,
            learned: Learned::new(),
            breakers: Breakers::new(policy.breaker.clone()),
            blocks: Blocks::default(),
            safe_mode: SafeMode::default(),
            queues: policy.classes.keys().map(|class| (class.clone(), FairQueue::default())).collect(),
            writes: VecDeque::new(),
            running: RunningQueries::default(),
            ended_runs: EndedRuns::default(),
            counts: Counts::default(),
            now: Timestamp::from_millis(0),
            policy,
        }
    }

    /// Takes in what happened. Time never goes back.
    pub(super) fn apply(&mut self, input: GateInput, at: Timestamp) -> Vec<GateOutput> {
        let at = at.max(self.now);
        self.now = at;
        let mut outputs = Vec::new();
        self.expire(at, &mut outputs);
        match input {
            GateInput::Ask(ask) => self.ask(ask, at, &mut outputs),
            GateInput::Ended(number, ended) => self.ended(number, &ended, at),
            GateInput::Left(number) => self.left(number, at),
            GateInput::Killed { fingerprint, query_id } => self.killed(&fingerprint, &query_id, at),
            GateInput::Memory { used_bytes, limit_bytes } => {
                let limit_bytes = limit_of(&self.policy, limit_bytes);
                self.memory.hear(used_bytes, limit_bytes, self.running.expected_bytes());
                self.memory_heard = Some(at);
            }
            GateInput::Restarted { unclean, suspects } => self.restarted(unclean, &suspects, at),
            GateInput::Block { fingerprint, until, reason } => {
                // A time beyond all times is for good.
                let until = until.filter(|until| *until < Timestamp::MAX);
                self.blocks.block(fingerprint, Block { since: at, until, reason });
            }
            GateInput::Unblock { fingerprint } => {
                self.blocks.unblock(&fingerprint);
                self.breakers.close(&fingerprint);
            }
            GateInput::SafeMode { until } => self.safe_mode.set(until.map(|until| until.min(Timestamp::MAX.plus(-1)))),
            GateInput::Tick => {
                self.blocks.forget_ended(at);
                self.breakers.forget_untried(at);
            }
        }
        self.refuse_who_lost_standing(at, &mut outputs);
        self.start(at, &mut outputs);
        self.shorten_queues(&mut outputs);
        outputs
    }

    /// When something happens by itself next: a wait runs out, a slot is given up, safe mode ends.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let waiting = self.queues.values().flat_map(FairQueue::waiting).chain(&self.writes);
        let deadlines = waiting.map(|waiting| waiting.deadline);
        let safe_mode = match self.safe_mode.level(self.now) {
            SafeModeLevel::Reduced { until } => Some(until),
            SafeModeLevel::Off | SafeModeLevel::WritesOnly => None,
        };
        deadlines.chain(self.running.next_left_behind()).chain(safe_mode).min()
    }

    fn ask(&mut self, ask: Ask, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        let is_waiting = self.queues.values().flat_map(FairQueue::waiting).chain(&self.writes);
        if self.running.contains(ask.number) || is_waiting.into_iter().any(|w| w.ask.number == ask.number) {
            return;
        }
        self.counts.asks += 1;
        if let Some(refusal) = self.refused_at_once(&ask, at) {
            return self.refuse(ask.number, refusal, outputs);
        }
        // Asks without a class were refused just now.
        let Some((name, class)) = self.class_of(&ask) else { return };
        let wait_ms = class.wait_max.map_or(WAIT_MS_DEFAULT, crate::config::Span::as_millis);
        let (name, is_write) = (name.to_owned(), class.writes && ask.writes);
        let weight = self.weight(&ask.tenant);
        let waiting = Waiting { deadline: at.plus(wait_ms), since: at, for_memory: false, ask };
        if is_write {
            self.writes.push_back(waiting);
            return;
        }
        self.claim_probe(&name, &waiting.ask, at);
        if let Some(queue) = self.queues.get_mut(&name) {
            queue.push(waiting, weight, at);
        }
    }

    fn ended(&mut self, number: QueryNumber, ended: &Ended, at: Timestamp) {
        let Some(run) = self.running.remove(number) else { return };
        if run.writes {
            return;
        }
        if let Some(queue) = self.queues.get_mut(&run.class) {
            queue.ended(&run.tenant, run.started, at);
        }
        let keys = run.keys();
        let charged = self.charged(&run, ended);
        let has_failed = ended.exception_code.is_some() || run.is_killed || run.left.is_some();
        if charged.is_some() || !has_failed {
            let threads = self.class(&run.class).and_then(|class| self.caps_of(class, 1.0).threads);
            self.learned.learn(&run.class, &run.fingerprint, run.scan, &run.taken(ended, charged, threads));
        }
        match charged {
            Some(what) => {
                self.counts.offence(what);
                self.breakers.charge(&keys[0], run.scan, Some(number), what, at);
                self.breakers.charge_if_open(&keys[1], run.scan, number, what, at);
            }
            None if has_failed => self.breakers.release(&keys, number),
            None => self.breakers.prove(&keys, number),
        }
        if !run.query_id.is_empty() {
            let is_charged = charged.is_some() || run.is_killed;
            let (query_id, scan, is_probe) = (run.query_id, run.scan, run.is_probe);
            self.ended_runs.add(EndedRun { number, query_id, keys, scan, is_probe, is_charged, at });
        }
    }

    /// The offence with which a failure is charged, if it is the query's own fault.
    fn charged(&mut self, run: &Running, ended: &Ended) -> Option<Offence> {
        let code = ended.exception_code.filter(|_| !run.is_killed)?;
        let what = offence(code, ended.exception.as_deref().unwrap_or_default());
        let half_ms = run.caps.duration_ms.unwrap_or(u64::MAX) / 2;
        // By others that run, or by the gate itself, with fewer threads.
        let is_slowed = what == Some(Offence::Time)
            && !run.is_probe
            && (run.rung > Rung::Full || self.learned.usually_ends_within(&run.fingerprint, run.scan, half_ms));
        let is_own_cap = what.is_some_and(|what| ended.own_caps.contains(&what));
        let charged = what.filter(|_| !is_slowed && !is_own_cap && (run.is_probe || !run.is_reduced));
        if charged.is_none() {
            self.counts.failures_not_charged += 1;
        }
        charged
    }

    fn left(&mut self, number: QueryNumber, at: Timestamp) {
        self.running.leave(number, at);
        self.writes.retain(|waiting| waiting.ask.number != number);
        let mut left = None;
        for (class, queue) in &mut self.queues {
            left = left.or_else(|| queue.remove(number).map(|waiting| (class.clone(), waiting)));
        }
        if let Some((class, waiting)) = left {
            self.breakers.release(&breaker_keys(&class, &waiting.ask.fingerprint), number);
        }
    }

    fn killed(&mut self, fingerprint: &str, query_id: &str, at: Timestamp) {
        self.counts.offence(Offence::Killed);
        let (number, keys, scan) = match self.running.kill(fingerprint, query_id) {
            Some((number, run)) => (number, run.keys(), run.scan),
            // ClickHouse has told of its end before the watchdog did.
            None => match self.ended_runs.take(fingerprint, query_id, at) {
                Some(run) if run.is_charged => return,
                Some(run) => {
                    if run.is_probe {
                        // Its end was no verdict; this is.
                        self.breakers.claim(&run.keys, run.scan, run.number, at);
                    }
                    (run.number, run.keys, run.scan)
                }
                // Not one of ours: it came past the proxy, or before its restart. All classes, all scans.
                None => {
                    return self.breakers.charge(&breaker_keys("", fingerprint)[1], 0, None, Offence::Killed, at);
                }
            },
        };
        self.breakers.charge(&keys[0], scan, Some(number), Offence::Killed, at);
        self.breakers.charge_if_open(&keys[1], scan, number, Offence::Killed, at);
    }

    fn restarted(&mut self, unclean: Option<bool>, suspects: &[String], at: Timestamp) {
        self.memory = Memory::new(self.memory.limit_bytes);
        self.memory_heard = None;
        match unclean {
            Some(false) => return,
            Some(true) => self.safe_mode.restarted_unclean(&self.policy.safe_mode, at),
            None => self.safe_mode.restarted_somehow(&self.policy.safe_mode, at),
        }
        let until_min = at.plus(self.policy.safe_mode.duration.as_millis());
        for suspect in suspects {
            self.breakers.suspect(suspect, until_min, at);
        }
    }

    /// Ends waits that ran out, and gives up slots of queries that were left behind.
    fn expire(&mut self, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        for number in self.running.left_behind(at) {
            self.ended(number, &Ended::default(), at);
        }
        let overdue = |waiting: &&Waiting| waiting.deadline <= at;
        let late: Vec<Waiting> = self.writes.iter().filter(overdue).cloned().collect();
        self.writes.retain(|waiting| waiting.deadline > at);
        for waiting in late {
            let refusal = words::wait_too_long(
                "writes",
                waiting.deadline.since(waiting.since),
                self.running.total(),
                self.policy.server.slots,
            );
            self.refuse(waiting.ask.number, refusal, outputs);
        }
        let late: Vec<(String, QueryNumber)> = self
            .queues
            .iter()
            .flat_map(|(class, queue)| {
                queue.waiting().filter(overdue).map(|waiting| (class.clone(), waiting.ask.number))
            })
            .collect();
        for (class, number) in late {
            let Some(waiting) = self.queues.get_mut(&class).and_then(|queue| queue.remove(number)) else { continue };
            let refusal = self.waited_in_vain(&class, &waiting);
            self.dismiss(&class, &waiting.ask, refusal, outputs);
        }
    }

    /// Those who wait and may no more run: blocked, breaker open, class off.
    fn refuse_who_lost_standing(&mut self, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        let mut lost = Vec::new();
        for (class, queue) in &self.queues {
            for waiting in queue.waiting() {
                lost.extend(self.refused_at_once(&waiting.ask, at).map(|why| (class.clone(), waiting.ask.number, why)));
            }
        }
        for (class, number, refusal) in lost {
            if let Some(waiting) = self.queues.get_mut(&class).and_then(|queue| queue.remove(number)) {
                self.dismiss(&class, &waiting.ask, refusal, outputs);
            }
        }
    }

    /// Holds queues to their bounds; who holds most of one gives way first.
    fn shorten_queues(&mut self, outputs: &mut Vec<GateOutput>) {
        while self.writes.len() > WAITING_MAX {
            let Some(waiting) = self.writes.pop_back() else { break };
            let refusal = words::queue_full("writes", WAITING_MAX, WAITING_MAX, WAITING_MAX);
            self.refuse(waiting.ask.number, refusal, outputs);
        }
        for class in self.queues.keys().cloned().collect::<Vec<_>>() {
            let waiting_max = self.class(&class).and_then(|class| class.waiting_max).unwrap_or(WAITING_DEFAULT);
            let waiting_max = (waiting_max as usize).min(WAITING_MAX);
            while let Some(queue) = self.queues.get_mut(&class).filter(|queue| queue.waiting_count() > waiting_max) {
                let Some(waiting) = queue.pop_from_longest() else { break };
                let of_tenant = queue.waiting().filter(|other| other.ask.tenant == waiting.ask.tenant).count();
                let refusal = words::queue_full(&class, of_tenant, queue.waiting_count(), waiting_max);
                self.dismiss(&class, &waiting.ask, refusal, outputs);
            }
        }
    }

    /// Refuses one that waited: it may have been a probe.
    fn dismiss(&mut self, class: &str, ask: &Ask, refusal: Refusal, outputs: &mut Vec<GateOutput>) {
        self.breakers.release(&breaker_keys(class, &ask.fingerprint), ask.number);
        self.refuse(ask.number, refusal, outputs);
    }

    fn refuse(&mut self, number: QueryNumber, refusal: Refusal, outputs: &mut Vec<GateOutput>) {
        self.counts.refused(refusal.reason);
        outputs.push(GateOutput::Refuse(number, refusal));
    }

    pub(super) fn class(&self, name: &str) -> Option<&ClassPolicy> {
        self.policy.classes.get(name)
    }

    /// The class of whoever asks, with its name.
    pub(super) fn class_of(&self, ask: &Ask) -> Option<(&str, &ClassPolicy)> {
        let name = match self.policy.tenants.get(&ask.tenant) {
            Some(tenant) => tenant.class.as_str(),
            // A policy without tenants is for everybody whom the server knows.
            None if !self.policy.tenants.is_empty() => return None,
            None if ask.writes => WRITING_CLASS,
            None => DEFAULT_CLASS,
        };
        self.class(name).map(|class| (name, class))
    }

    pub(super) fn weight(&self, tenant: &str) -> u32 {
        self.policy.tenants.get(tenant).and_then(|tenant| tenant.weight).unwrap_or(1)
    }

    fn claim_probe(&mut self, class: &str, ask: &Ask, at: Timestamp) {
        let keys = breaker_keys(class, &ask.fingerprint);
        if self.breakers.standing(&keys, scan_of(ask), ask.number, at) == super::breaker::Standing::Probe {
            self.breakers.claim(&keys, scan_of(ask), ask.number, at);
        }
    }
}

/// The server's limit, unless the policy says less.
fn limit_of(policy: &GuardPolicy, limit_bytes: u64) -> u64 {
    policy.server.memory_bytes_max.map_or(limit_bytes, |max| match limit_bytes {
        0 => max.0.as_u64(),
        limit_bytes => max.0.as_u64().min(limit_bytes),
    })
}
