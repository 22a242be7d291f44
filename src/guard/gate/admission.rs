//! What happens to the gate, and what follows: asks, restarts, orders of operators, time. Which query starts next is in
//! `starts.rs`, what follows from the end of one in `ends.rs`, why one is refused at once in `standing.rs`.

use std::collections::{BTreeMap, VecDeque};

use super::blocks::{Block, Blocks};
use super::breaker::Breakers;
use super::ended_runs::EndedRuns;
use super::fair_queue::{FairQueue, Waiting};
use super::learned::Learned;
use super::memory::Memory;
use super::pending_ends::PendingEnds;
use super::running::{RunningQueries, breaker_keys, scan_of};
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
    /// Ended runs of which more is to be told.
    pub(super) pending: PendingEnds,
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
            pending: PendingEnds::default(),
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
            GateInput::EndTold(number, told) => self.end_told(number, told, at),
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
        if self.shorten_queues(&mut outputs) {
            // Room may have been kept for one that is refused now.
            self.start(at, &mut outputs);
        }
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
        for end in self.pending.overdue(at) {
            self.judge(end.number, &end.run, &end.ended, at);
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

    /// Holds queues to their bounds; who holds most of one gives way first. Whether anybody had to.
    fn shorten_queues(&mut self, outputs: &mut Vec<GateOutput>) -> bool {
        let said = outputs.len();
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
        outputs.len() > said
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
