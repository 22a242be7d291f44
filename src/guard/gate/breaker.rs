//! The circuit breaker: a fingerprint that offends again and again is refused for a while, then proved by one query at
//! reduced caps (its class's where nothing else reads) before it is let in again.
//!
//! It is kept by class, because what is too much for a dashboard may be right for an export, and it refuses only scans
//! about as large as those that offended: one who asks for three years does not shut out those who look at one day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::QueryNumber;
use super::learned::ScanSize;
use super::offence::Offence;
use super::recent::Recent;
use crate::guard::policy::BreakerPolicy;
use crate::model::Timestamp;

/// Fingerprints with offences that have not opened a breaker; at the bound the one that offended longest ago is forgiven.
pub(super) const OFFENDERS_MAX: usize = 10_000;
/// Breakers that are not closed; at the bound the one that was touched longest ago is closed.
pub(super) const BREAKERS_MAX: usize = 1_000;
/// A breaker that nobody has tried for this long, or for the policy's `open_max` if that is longer, is closed.
const UNTRIED_MS_MIN: i64 = 24 * 3_600_000;
/// Offences that count at most, whatever the policy says.
const OFFENCES_MAX: usize = 100;

/// Whose breaker: a fingerprint in a class, or in all of them (a suspect of a crash).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct BreakerKey {
    pub(super) fingerprint: String,
    pub(super) class: Option<String>,
}

/// Why a breaker opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerCause {
    /// It offended; the last offence.
    Offences(Offence),
    /// It was in flight with much memory when the server died.
    Suspect,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Breaker {
    pub(super) cause: BreakerCause,
    pub(super) opened_at: Timestamp,
    /// From then on it is half-open.
    pub(super) until: Timestamp,
    /// Times that it opened in a row.
    pub(super) times: u32,
    /// Smaller scans pass. 0: none.
    pub(super) scan_min: ScanSize,
    /// The query that proves it. A restart of the proxy forgets it, and another one does.
    #[serde(skip)]
    pub(super) probe: Option<QueryNumber>,
}

impl Breaker {
    /// Whether it has anything against scans of this size. One of unknown size is as large as any.
    fn concerns(&self, scan: ScanSize) -> bool {
        scan == 0 || scan >= self.scan_min
    }
}

/// How a breaker stands to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing against it.
    Closed,
    /// It may run as the probe.
    Probe,
    /// It is refused. `probing`: until a probe has ended.
    Open { until: Timestamp, cause: BreakerCause, probing: bool },
}

#[derive(Debug, Clone)]
pub(super) struct Breakers {
    policy: BreakerPolicy,
    offenders: Recent<BreakerKey, VecDeque<(Timestamp, ScanSize)>>,
    open: Recent<BreakerKey, Breaker>,
}

impl Breakers {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, offenders: Recent::new(OFFENDERS_MAX), open: Recent::new(BREAKERS_MAX) }
    }

    /// How the breakers of a fingerprint stand to query `number`. The worse of class and all classes counts.
    pub(super) fn standing(
        &self,
        keys: &[BreakerKey; 2],
        scan: ScanSize,
        number: QueryNumber,
        at: Timestamp,
    ) -> Standing {
        let mut worst = Standing::Closed;
        for breaker in keys.iter().filter_map(|key| self.open.get(key)) {
            if !breaker.concerns(scan) {
                continue;
            }
            let probing = breaker.probe.is_some_and(|probe| probe != number);
            if at < breaker.until || probing {
                return Standing::Open { until: breaker.until, cause: breaker.cause, probing: at >= breaker.until };
            }
            worst = Standing::Probe;
        }
        worst
    }

    /// Query `number` is the probe of what stands half-open to it; what does not concern it, it cannot prove.
    pub(super) fn claim(&mut self, keys: &[BreakerKey; 2], scan: ScanSize, number: QueryNumber, at: Timestamp) {
        for key in keys {
            let half_open = self.open.get_mut(key).filter(|breaker| at >= breaker.until && breaker.concerns(scan));
            if let Some(breaker) = half_open {
                breaker.probe = Some(number);
            }
        }
    }

    /// Closes what has been half-open for so long that nothing is held against it any more: nobody asked again.
    pub(super) fn forget_untried(&mut self, at: Timestamp) {
        let untried_ms = self.policy.open_max.as_millis().max(UNTRIED_MS_MIN);
        let is_over = |breaker: &Breaker| breaker.probe.is_none() && at.since(breaker.until) > untried_ms;
        let over: Vec<BreakerKey> =
            self.open.iter().filter(|(_, breaker)| is_over(breaker)).map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.open.remove(key);
        }
    }

    /// The probe has ended without a verdict, or never ran: the next query is one.
    pub(super) fn release(&mut self, keys: &[BreakerKey; 2], number: QueryNumber) {
        for key in keys {
            if let Some(breaker) = self.open.get_mut(key).filter(|breaker| breaker.probe == Some(number)) {
                breaker.probe = None;
            }
        }
    }

    /// The probe has succeeded: closed, nothing held against it.
    pub(super) fn prove(&mut self, keys: &[BreakerKey; 2], number: QueryNumber) {
        for key in keys {
            if self.open.get(key).is_some_and(|breaker| breaker.probe == Some(number)) {
                self.open.remove(key);
                self.offenders.remove(key);
            }
        }
    }

    /// An offence of a query of this key (its number, where it is known: it may be the probe).
    pub(super) fn charge(
        &mut self,
        key: &BreakerKey,
        scan: ScanSize,
        number: Option<QueryNumber>,
        what: Offence,
        at: Timestamp,
    ) {
        if let Some(breaker) = self.open.get_mut(key) {
            // A query that ran already when it opened says nothing new; the probe does.
            if number.is_some() && breaker.probe == number {
                let scan_min = breaker.scan_min.min(scan);
                self.reopen(key, BreakerCause::Offences(what), scan_min, at);
            }
            return;
        }
        let window_ms = self.policy.window.as_millis();
        let needed = (self.policy.offences.max(1) as usize).min(OFFENCES_MAX);
        let offences = self.offenders.get_or_insert(key, VecDeque::new);
        offences.push_back((at, scan));
        while offences.len() > needed || offences.front().is_some_and(|(first, _)| at.since(*first) > window_ms) {
            offences.pop_front();
        }
        if offences.len() >= needed {
            let smallest = offences.iter().map(|(_, scan)| *scan).min().unwrap_or(0);
            self.offenders.remove(key);
            // Half the smallest scan that offended is taken for as bad.
            self.reopen(key, BreakerCause::Offences(what), smallest.saturating_sub(1), at);
        }
    }

    /// The same, where a breaker may be open but offences are not counted: a probe that proves two breakers fails both.
    pub(super) fn charge_if_open(
        &mut self,
        key: &BreakerKey,
        scan: ScanSize,
        number: QueryNumber,
        what: Offence,
        at: Timestamp,
    ) {
        if self.open.get(key).is_some() {
            self.charge(key, scan, Some(number), what, at);
        }
    }

    /// A suspect of a crash: open for all classes and scans, at least until `until_min`.
    pub(super) fn suspect(&mut self, fingerprint: &str, until_min: Timestamp, at: Timestamp) {
        let key = BreakerKey { fingerprint: fingerprint.to_owned(), class: None };
        self.reopen(&key, BreakerCause::Suspect, 0, at);
        if let Some(breaker) = self.open.get_mut(&key) {
            breaker.until = breaker.until.max(until_min);
        }
    }

    /// An operator closes all breakers of a fingerprint.
    pub(super) fn close(&mut self, fingerprint: &str) {
        let keys: Vec<BreakerKey> =
            self.open.iter().map(|(key, _)| key).filter(|key| key.fingerprint == fingerprint).cloned().collect();
        for key in keys {
            self.open.remove(&key);
        }
        let keys: Vec<BreakerKey> =
            self.offenders.iter().map(|(key, _)| key).filter(|key| key.fingerprint == fingerprint).cloned().collect();
        for key in keys {
            self.offenders.remove(&key);
        }
    }

    /// Breakers that are not closed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&BreakerKey, &Breaker)> {
        self.open.iter()
    }

    /// Breakers and offenders that were forgotten at the bounds.
    pub(super) const fn forgotten(&self) -> u64 {
        self.open.forgotten() + self.offenders.forgotten()
    }

    pub(super) fn snapshot(&self) -> Vec<(BreakerKey, Breaker)> {
        self.open.iter().map(|(key, breaker)| (key.clone(), breaker.clone())).collect()
    }

    pub(super) fn snapshot_offenders(&self) -> Vec<(BreakerKey, VecDeque<(Timestamp, ScanSize)>)> {
        self.offenders.iter().map(|(key, offences)| (key.clone(), offences.clone())).collect()
    }

    pub(super) fn restore(
        policy: BreakerPolicy,
        open: Vec<(BreakerKey, Breaker)>,
        offenders: Vec<(BreakerKey, VecDeque<(Timestamp, ScanSize)>)>,
    ) -> Self {
        let mut breakers = Self::new(policy);
        open.into_iter().for_each(|(key, breaker)| breakers.open.insert(&key, breaker));
        offenders.into_iter().for_each(|(key, offences)| breakers.offenders.insert(&key, offences));
        breakers
    }

    fn reopen(&mut self, key: &BreakerKey, cause: BreakerCause, scan_min: ScanSize, at: Timestamp) {
        let times = self.open.get(key).map_or(0, |breaker| breaker.times) + 1;
        let first_ms = self.policy.open_min.as_millis();
        let doubled_ms = first_ms.saturating_mul(1_i64.checked_shl(times - 1).unwrap_or(i64::MAX));
        let open_ms = doubled_ms.clamp(0, self.policy.open_max.as_millis().max(first_ms));
        self.open.insert(
            key,
            Breaker { cause, opened_at: at, until: at.plus(open_ms), times: times.min(60), scan_min, probe: None },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn keys() -> [BreakerKey; 2] {
        [Some("ad_hoc".to_owned()), None].map(|class| BreakerKey { fingerprint: "f".to_owned(), class })
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minutes * MINUTE_MS)
    }

    fn is_open(breakers: &Breakers, minutes: i64) -> bool {
        matches!(breakers.standing(&keys(), 0, 1, at(minutes)), Standing::Open { .. })
    }

    fn charge(breakers: &mut Breakers, minutes: i64) {
        breakers.charge(&keys()[0], 20, None, Offence::Memory, at(minutes));
    }

    #[test]
    fn three_offences_in_ten_minutes_open_it_and_two_do_not() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        for minutes in [0, 5, 11] {
            charge(&mut breakers, minutes);
        }
        assert!(!is_open(&breakers, 11), "the first is older than the window");
        charge(&mut breakers, 12);
        assert!(is_open(&breakers, 12) && is_open(&breakers, 21) && !is_open(&breakers, 22));
    }

    #[test]
    fn smaller_scans_pass() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        (0..3).for_each(|minutes| charge(&mut breakers, minutes));
        let standing = |scan| breakers.standing(&keys(), scan, 1, at(3));
        assert_eq!(standing(18), Standing::Closed);
        assert!(matches!(standing(19), Standing::Open { .. }) && matches!(standing(0), Standing::Open { .. }));
    }

    #[test]
    fn one_probe_closes_it_or_doubles_its_time() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        (0..3).for_each(|_| charge(&mut breakers, 0));
        assert_eq!(breakers.standing(&keys(), 0, 7, at(10)), Standing::Probe);
        breakers.claim(&keys(), 0, 7, at(10));
        assert_eq!(breakers.standing(&keys(), 0, 7, at(10)), Standing::Probe, "the probe itself");
        assert!(is_open(&breakers, 10), "others wait for it");
        breakers.charge(&keys()[0], 20, Some(6), Offence::Memory, at(10));
        assert!(breakers.standing(&keys(), 0, 7, at(10)) == Standing::Probe, "an older query is no probe");
        breakers.charge(&keys()[0], 20, Some(7), Offence::Memory, at(10));
        assert!(is_open(&breakers, 29) && !is_open(&breakers, 30), "twice as long");
        breakers.claim(&keys(), 0, 8, at(30));
        breakers.release(&keys(), 8);
        assert_eq!(breakers.standing(&keys(), 0, 9, at(30)), Standing::Probe, "no verdict: the next one");
        breakers.claim(&keys(), 0, 9, at(30));
        breakers.prove(&keys(), 9);
        assert_eq!(breakers.standing(&keys(), 0, 1, at(30)), Standing::Closed);
    }

    #[test]
    fn it_opens_for_two_hours_at_most() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        (0..3).for_each(|_| charge(&mut breakers, 0));
        for number in 10..100 {
            breakers.claim(&keys(), 0, number, at(number as i64 * 120));
            breakers.charge(&keys()[0], 20, Some(number), Offence::Killed, at(number as i64 * 120));
        }
        assert!(is_open(&breakers, 99 * 120 + 119) && !is_open(&breakers, 100 * 120));
    }

    #[test]
    fn a_probe_proves_only_what_concerned_it() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        (0..3).for_each(|_| charge(&mut breakers, 0));
        breakers.suspect("f", at(0), at(0));
        // Smaller than what offended in its class, but not for the suspect's breaker.
        assert_eq!(breakers.standing(&keys(), 10, 7, at(15)), Standing::Probe);
        breakers.claim(&keys(), 10, 7, at(15));
        breakers.prove(&keys(), 7);
        assert_eq!(breakers.standing(&keys(), 10, 8, at(15)), Standing::Closed);
        assert_eq!(breakers.standing(&keys(), 20, 8, at(15)), Standing::Probe, "large scans are still to be proved");
    }

    #[test]
    fn a_breaker_that_nobody_tries_ends_after_a_day() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        (0..3).for_each(|_| charge(&mut breakers, 0));
        breakers.forget_untried(at(24 * 60));
        assert_eq!(breakers.iter().count(), 1);
        breakers.forget_untried(at(25 * 60));
        assert_eq!(breakers.iter().count(), 0);
    }

    #[test]
    fn a_suspect_is_refused_in_every_class_until_it_is_closed() {
        let mut breakers = Breakers::new(BreakerPolicy::default());
        breakers.suspect("f", at(5), at(0));
        assert!(is_open(&breakers, 9));
        let again = Breakers::restore(BreakerPolicy::default(), breakers.snapshot(), breakers.snapshot_offenders());
        assert!(is_open(&again, 9), "a restart of the proxy forgets nothing");
        breakers.close("f");
        assert!(!is_open(&breakers, 0));
    }
}
