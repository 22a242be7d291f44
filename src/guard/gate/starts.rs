//! Which query starts next: writes first, then the class with the smallest share of its slots taken, in it the tenant who
//! was served least, if its query's memory has room. A heavy query gets fewer threads, then fewer bytes, then it waits.

use super::admission::Admission;
use super::breaker::Standing;
use super::caps::{Caps, Rung, portion};
use super::learned::Expected;
use super::memory::Room;
use super::running::{Running, breaker_keys, scan_of};
use super::safe_mode::SafeModeLevel;
use super::{Ask, GateOutput, QueryNumber};
use crate::guard::policy::ClassPolicy;
use crate::model::Timestamp;

/// Shares of the room within which a heavy query keeps its means, by rung: the fuller the server, the fewer.
const HEAVY_ROOM_SHARES: [f64; 3] = [0.5, 0.75, 1.0];
/// A reading of the server's memory that is older says nothing, in milliseconds.
const READING_AGE_MS_MAX: i64 = 30_000;

/// What a query is let in with.
struct Means {
    rung: Rung,
    caps: Caps,
    expected_bytes: u64,
    is_reduced: bool,
    is_probe: bool,
}

impl Admission {
    /// Starts whatever can start.
    pub(super) fn start(&mut self, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        while self.start_write(at, outputs) || self.start_read(at, outputs) {}
    }

    fn start_write(&mut self, at: Timestamp, outputs: &mut Vec<GateOutput>) -> bool {
        if self.running.total() >= self.policy.server.slots {
            return false;
        }
        let Some(waiting) = self.writes.pop_front() else { return false };
        let class = self.class_of(&waiting.ask).map(|(name, _)| name.to_owned()).unwrap_or_default();
        let means =
            Means { rung: Rung::Full, caps: Caps::default(), expected_bytes: 0, is_reduced: false, is_probe: false };
        self.admit(class, waiting.ask, means, at, outputs);
        true
    }

    fn start_read(&mut self, at: Timestamp, outputs: &mut Vec<GateOutput>) -> bool {
        if self.running.total() >= self.policy.server.slots || self.running.reads() >= self.read_slots(at) {
            return false;
        }
        for class in self.classes_by_need(at) {
            let turns = self.queues.get(&class).map(|queue| queue.turns(at)).unwrap_or_default();
            for tenant in turns {
                if self.start_head(&class, &tenant, at, outputs) {
                    return true;
                }
            }
        }
        false
    }

    /// Starts the query at the head of a tenant's lane, if its memory has room. Whether anything has changed: who is known
    /// from now on to wait for memory may be the one for whom room is kept, and then it fits, or another does.
    fn start_head(&mut self, class: &str, tenant: &str, at: Timestamp, outputs: &mut Vec<GateOutput>) -> bool {
        let Some(ask) = self.queues.get(class).and_then(|queue| queue.head(tenant)).map(|head| head.ask.clone()) else {
            return false;
        };
        let means = self.means(class, &ask, at);
        let weight = self.weight(tenant);
        let Some(queue) = self.queues.get_mut(class) else { return false };
        let Some(means) = means else {
            return queue.head_mut(tenant).is_some_and(|head| !std::mem::replace(&mut head.for_memory, true));
        };
        let has_waited = queue.pop(tenant).is_some_and(|waiting| at > waiting.since);
        self.counts.waited += u64::from(has_waited);
        queue.started(tenant, weight, at);
        self.admit(class.to_owned(), ask, means, at, outputs);
        true
    }

    fn admit(&mut self, class: String, ask: Ask, means: Means, at: Timestamp, outputs: &mut Vec<GateOutput>) {
        let writes = self.class(&class).is_some_and(|class| class.writes) && ask.writes;
        let settings = if writes { Vec::new() } else { means.caps.settings(ask.limit_trap) };
        self.counts.admitted += 1;
        self.counts.reduced += u64::from(means.rung > Rung::Full);
        outputs.push(GateOutput::Admit { number: ask.number, settings, shadow: None });
        let running = Running {
            scan: scan_of(&ask),
            tenant: ask.tenant,
            class,
            fingerprint: ask.fingerprint,
            query_id: ask.query_id,
            writes,
            started: at,
            expected_bytes: means.expected_bytes,
            rung: means.rung,
            caps: means.caps,
            is_reduced: means.is_reduced,
            is_probe: means.is_probe,
            is_killed: false,
            left: None,
        };
        self.running.insert(ask.number, running);
    }

    /// With which means a query can start now. None: its memory has no room, even with the fewest.
    fn means(&self, class_name: &str, ask: &Ask, at: Timestamp) -> Option<Means> {
        let class = self.class(class_name)?;
        let keys = breaker_keys(class_name, &ask.fingerprint);
        let is_probe = self.breakers.standing(&keys, scan_of(ask), ask.number, at) == Standing::Probe;
        let is_alone = self.running.reads() == 0;
        // A query that needs more than a probe's share could never prove itself; alone it harms nobody with all of its
        // class's caps.
        let probe_share = if is_probe && !is_alone { self.policy.breaker.probe_caps_share } else { 1.0 };
        let caps_share = self.caps_share(at) * probe_share;
        let caps = self.caps_of(class, caps_share);
        let expected = self.expected(class_name, ask, &caps);
        let is_heavy = self.is_heavy(ask, &caps, &expected);
        let room = self.room_beside(ask.number, at);
        let at_rung = |rung: Rung| Means {
            rung,
            caps: caps.at(rung, expected.read_bytes),
            expected_bytes: rung.memory_bytes(expected.memory_bytes, caps.threads),
            is_reduced: caps_share < 1.0 || rung == Rung::FewerBytes,
            is_probe,
        };
        let fits = |(rung, share): &(Rung, f64)| {
            room.fits(rung.memory_bytes(expected.memory_bytes, caps.threads), if is_heavy { *share } else { 1.0 })
        };
        let fitting = Rung::ALL.into_iter().zip(HEAVY_ROOM_SHARES).find(fits).map(|(rung, _)| rung);
        // With nothing else running, what is in use are caches and the like, which give way: the gate must not shut itself.
        let alone = is_alone.then_some(Rung::FewerBytes);
        fitting.or(alone).map(at_rung)
    }

    pub(super) fn expected(&self, class: &str, ask: &Ask, caps: &Caps) -> Expected {
        self.learned.expect(class, &ask.fingerprint, scan_of(ask), caps.memory_bytes, self.memory.limit_bytes)
    }

    fn is_heavy(&self, ask: &Ask, caps: &Caps, expected: &Expected) -> bool {
        let above =
            |value: u64, cap: Option<u64>| cap.is_some_and(|cap| value > portion(cap, self.policy.proxy.heavy_share));
        let rows = ask.estimated_rows.filter(|_| !ask.limit_trap).unwrap_or(0);
        above(expected.memory_bytes, caps.memory_bytes) || above(rows, caps.read_rows)
    }

    /// Room for reads now.
    pub(super) fn room(&self) -> Room {
        let mut memory = self.memory;
        if self.memory_heard.is_none_or(|heard| self.now.since(heard) > READING_AGE_MS_MAX) {
            memory = super::memory::Memory::new(memory.limit_bytes);
        }
        memory.room(self.running.expected_bytes())
    }

    /// Room beside what is kept free for the query that has waited longest for memory: others may pass it for half of its
    /// wait, then they may not take what it needs.
    fn room_beside(&self, number: QueryNumber, at: Timestamp) -> Room {
        let mut room = self.room();
        let patient = self
            .queues
            .iter()
            .flat_map(|(class, queue)| queue.waiting().map(move |waiting| (class, waiting)))
            .filter(|(_, waiting)| {
                waiting.for_memory && at.since(waiting.since) * 2 >= waiting.deadline.since(waiting.since)
            })
            .min_by_key(|(_, waiting)| (waiting.since, waiting.ask.number));
        if let Some((class, waiting)) = patient.filter(|(_, waiting)| waiting.ask.number != number) {
            let caps = self.class(class).map(|policy| self.caps_of(policy, self.caps_share(at))).unwrap_or_default();
            let expected = self.expected(class, &waiting.ask, &caps).memory_bytes;
            let kept = Rung::FewerBytes.memory_bytes(expected, caps.threads);
            room.committed_bytes = room.committed_bytes.saturating_add(kept);
        }
        room
    }

    /// Classes in which something waits and a slot is free, the one with the smallest share of its slots taken first.
    fn classes_by_need(&self, at: Timestamp) -> Vec<String> {
        let mut classes: Vec<(u64, &String)> = Vec::new();
        for (name, queue) in &self.queues {
            let slots = self.class(name).map_or(0, |class| self.class_slots(class, at));
            if queue.waiting_count() > 0 && queue.running_count() < slots {
                classes.push((u64::from(queue.running_count()) * 1_000_000 / u64::from(slots), name));
            }
        }
        classes.sort();
        classes.into_iter().map(|(_, name)| name.clone()).collect()
    }

    /// Slots of a class now.
    pub(super) fn class_slots(&self, class: &ClassPolicy, at: Timestamp) -> u32 {
        self.in_safe_mode(class.slots.unwrap_or(u32::MAX).min(self.policy.server.slots), at)
    }

    /// Slots that reads of all classes may take: never those that are kept for writes.
    pub(super) fn read_slots(&self, at: Timestamp) -> u32 {
        let slots = self.policy.server.slots;
        let share = 1.0 - self.policy.server.ingest_slots_share_min.clamp(0.0, 1.0);
        self.in_safe_mode(u32::try_from(portion(u64::from(slots), share)).unwrap_or(slots).max(1), at)
    }

    fn in_safe_mode(&self, slots: u32, at: Timestamp) -> u32 {
        match self.safe_mode.level(at) {
            SafeModeLevel::Off => slots,
            SafeModeLevel::WritesOnly => 0,
            SafeModeLevel::Reduced { .. } => {
                let left = portion(u64::from(slots), self.policy.safe_mode.slots_share);
                u32::try_from(left).unwrap_or(slots).max(1).min(slots)
            }
        }
    }
}
