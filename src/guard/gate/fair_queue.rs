//! The queue of a class: a lane for each tenant, and the next query from the lane that has been served least for its
//! weight. Service is time in slots, so that one who asks long queries does not take the turns of those who ask short ones.

use std::collections::{BTreeMap, VecDeque};

use super::{Ask, QueryNumber};
use crate::model::Timestamp;

/// A lane that comes back owes no more service than this for what it had before, in milliseconds.
const DEBT_MS_MAX: u128 = 60_000;
/// Service is compared in thousandths of a millisecond by weight.
const WEIGHT_SCALE: u128 = 1_000;

/// A query that waits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    pub(super) ask: Ask,
    pub(super) since: Timestamp,
    /// When it is refused.
    pub(super) deadline: Timestamp,
    /// Whether it fails to start for lack of memory, not of a slot: for the words of its refusal.
    pub(super) for_memory: bool,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    weight: u128,
    /// Time in slots of queries that have ended, by weight.
    served: u128,
    running: u32,
    /// Sum of the moments at which the running ones started: their service is known without visiting them.
    started_ms_sum: i64,
    /// Number of the start, so that equals take turns.
    last_start: u64,
    waiting: VecDeque<Waiting>,
}

impl Lane {
    fn service(&self, at: Timestamp) -> u128 {
        let running_ms = i128::from(self.running) * i128::from(at.as_millis()) - i128::from(self.started_ms_sum);
        self.served + self.by_weight(u128::try_from(running_ms).unwrap_or(0))
    }

    fn by_weight(&self, ms: u128) -> u128 {
        ms * WEIGHT_SCALE / self.weight.max(1)
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }
}

/// The queue of a class. Lanes are of the policy's tenants: their number is bounded by it.
#[derive(Debug, Clone, Default)]
pub(super) struct FairQueue {
    lanes: BTreeMap<String, Lane>,
    starts: u64,
}

impl FairQueue {
    /// Puts a query at the end of its tenant's lane.
    pub(super) fn push(&mut self, waiting: Waiting, weight: u32, at: Timestamp) {
        self.wake(&waiting.ask.tenant.clone(), weight, at).waiting.push_back(waiting);
    }

    /// Lanes in which something waits, the one to serve first first.
    pub(super) fn turns(&self, at: Timestamp) -> Vec<String> {
        let mut lanes: Vec<(&String, &Lane)> = self.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty()).collect();
        let running = |lane: &Lane| lane.by_weight(u128::from(lane.running));
        lanes.sort_by_key(|(name, lane)| (lane.service(at), running(lane), lane.last_start, *name));
        lanes.into_iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn head(&self, tenant: &str) -> Option<&Waiting> {
        self.lanes.get(tenant).and_then(|lane| lane.waiting.front())
    }

    pub(super) fn head_mut(&mut self, tenant: &str) -> Option<&mut Waiting> {
        self.lanes.get_mut(tenant).and_then(|lane| lane.waiting.front_mut())
    }

    pub(super) fn pop(&mut self, tenant: &str) -> Option<Waiting> {
        self.lanes.get_mut(tenant).and_then(|lane| lane.waiting.pop_front())
    }

    /// A query of the tenant runs from now on.
    pub(super) fn started(&mut self, tenant: &str, weight: u32, at: Timestamp) {
        self.starts += 1;
        let starts = self.starts;
        let lane = self.wake(tenant, weight, at);
        lane.running += 1;
        lane.started_ms_sum += at.as_millis();
        lane.last_start = starts;
    }

    /// A query that had started then runs no more.
    pub(super) fn ended(&mut self, tenant: &str, started: Timestamp, at: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(tenant).filter(|lane| lane.running > 0) {
            lane.running -= 1;
            lane.started_ms_sum -= started.as_millis();
            lane.served += lane.by_weight(u128::try_from(at.since(started)).unwrap_or(0));
        }
    }

    /// Takes a waiting query out, wherever it stands.
    pub(super) fn remove(&mut self, number: QueryNumber) -> Option<Waiting> {
        self.lanes.values_mut().find_map(|lane| {
            let at = lane.waiting.iter().position(|waiting| waiting.ask.number == number)?;
            lane.waiting.remove(at)
        })
    }

    /// Where the queue is too long: the newest query of the lane that holds most of it for its weight.
    pub(super) fn pop_from_longest(&mut self) -> Option<Waiting> {
        let length = |lane: &Lane| lane.by_weight(lane.waiting.len() as u128);
        let longest = self.lanes.values_mut().filter(|lane| !lane.waiting.is_empty()).max_by_key(|lane| length(lane));
        longest.and_then(|lane| lane.waiting.pop_back())
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.lanes.values().flat_map(|lane| &lane.waiting)
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.lanes.values().map(|lane| lane.waiting.len()).sum()
    }

    pub(super) fn running_count(&self) -> u32 {
        self.lanes.values().map(|lane| lane.running).sum()
    }

    /// Tenants with what runs and what waits.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (&String, u32, usize)> {
        self.lanes.iter().map(|(name, lane)| (name, lane.running, lane.waiting.len()))
    }

    /// The lane of a tenant. One that comes back has saved up no service by its absence, and owes little for the past.
    fn wake(&mut self, tenant: &str, weight: u32, at: Timestamp) -> &mut Lane {
        let active = self.lanes.values().filter(|lane| !lane.is_idle());
        let least = active.map(|lane| lane.service(at)).min();
        let lane = self.lanes.entry(tenant.to_owned()).or_default();
        lane.weight = u128::from(weight.max(1));
        if lane.is_idle() {
            lane.served = match least {
                Some(least) => lane.served.clamp(least, least + DEBT_MS_MAX * WEIGHT_SCALE),
                // Nobody to be fair to.
                None => 0,
            };
        }
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    fn push(queue: &mut FairQueue, tenant: &str, number: QueryNumber, weight: u32) {
        let ask = Ask { number, tenant: tenant.to_owned(), ..Ask::default() };
        queue.push(Waiting { ask, since: at(0), deadline: at(1_000), for_memory: false }, weight, at(0));
    }

    /// Runs one query after the other, each `duration_ms(tenant)` long, and says whose they were.
    fn serve(
        queue: &mut FairQueue,
        weight: impl Fn(&str) -> u32,
        duration_ms: impl Fn(&str) -> i64,
        ms: i64,
    ) -> String {
        let (mut now, mut served) = (0, String::new());
        while now < ms {
            let Some(next) = queue.turns(at(now)).first().cloned() else { break };
            queue.pop(&next);
            queue.started(&next, weight(&next), at(now));
            let end = now + duration_ms(&next);
            queue.ended(&next, at(now), at(end));
            (now, served) = (end, served + &next);
        }
        served
    }

    #[test]
    fn equals_take_turns_and_weights_count() {
        let mut queue = FairQueue::default();
        (0..60).for_each(|number| push(&mut queue, if number < 50 { "a" } else { "b" }, number, 1));
        assert_eq!(serve(&mut queue, |_| 1, |_| 100, 1_000), "ababababab");
        let mut queue = FairQueue::default();
        let weight = |tenant: &str| if tenant == "a" { 3 } else { 1 };
        (0..100).for_each(|n| push(&mut queue, if n % 2 == 0 { "a" } else { "b" }, n, if n % 2 == 0 { 3 } else { 1 }));
        let served = serve(&mut queue, weight, |_| 100, 4_000);
        assert_eq!(served.matches('a').count(), 30, "{served}");
    }

    #[test]
    fn long_queries_do_not_take_the_turns_of_short_ones() {
        let mut queue = FairQueue::default();
        (0..400).for_each(|n| push(&mut queue, if n % 2 == 0 { "a" } else { "b" }, n, 1));
        let served = serve(&mut queue, |_| 1, |tenant| if tenant == "a" { 900 } else { 100 }, 10_000);
        let (long, short) = (served.matches('a').count(), served.matches('b').count());
        assert!(short >= 7 * long, "{served}");
    }

    #[test]
    fn absence_saves_up_nothing_and_the_past_is_soon_forgotten() {
        let mut queue = FairQueue::default();
        push(&mut queue, "a", 0, 1);
        queue.pop("a");
        queue.started("a", 1, at(0));
        queue.ended("a", at(0), at(3_600_000));
        push(&mut queue, "b", 1, 1);
        push(&mut queue, "a", 2, 1);
        let debt = queue.lanes["a"].service(at(0)) - queue.lanes["b"].service(at(0));
        assert!(debt <= DEBT_MS_MAX * WEIGHT_SCALE, "an hour of service is not an hour of waiting");
    }

    #[test]
    fn the_longest_lane_gives_way() {
        let mut queue = FairQueue::default();
        (0..5).for_each(|number| push(&mut queue, "hog", number, 1));
        push(&mut queue, "b", 9, 1);
        assert_eq!(queue.pop_from_longest().map(|waiting| waiting.ask.number), Some(4));
        assert_eq!(queue.remove(2).map(|waiting| waiting.ask.number), Some(2));
        assert_eq!(queue.waiting_count(), 4);
    }
}
