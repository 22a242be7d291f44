//! Pools: leaks by every subset of the metrics, and what only looks like one.

use super::{Lcg, Log, Outcome};
use crate::model::{AlertName, Severity, metric};

/// What a pool does, second by second.
#[derive(Clone)]
struct Pool {
    size: f64,
    seconds: f64,
    /// Acquisitions a second, and seconds a member is held, by second.
    demand: fn(f64) -> f64,
    hold: fn(f64) -> f64,
    /// Members lost a minute, from second `leak_from` on.
    lost_per_minute: f64,
    leak_from: f64,
    lost: Lost,
    read_every: f64,
    /// Metrics told: size, in use, reserved, counters.
    tells: [bool; 4],
}

#[derive(Clone, Copy, PartialEq)]
enum Lost {
    /// Acquired, neither in use nor released.
    Nowhere,
    /// Still counted in use.
    InUse,
    /// Reserved for ever, never acquired.
    Reserved,
    /// Reserved for ever, and counted in use as all reserved ones are.
    ReservedInUse,
}

const ALL: [bool; 4] = [true; 4];

impl Pool {
    fn healthy() -> Self {
        Self {
            size: 200.0,
            seconds: 3_600.0,
            demand: |_| 2.0,
            hold: |_| 30.0,
            lost_per_minute: 0.0,
            leak_from: 900.0,
            lost: Lost::Nowhere,
            read_every: 10.0,
            tells: ALL,
        }
    }

    /// Acquired members are released after their hold; what finds no room is turned away (and its request fails).
    fn log(&self, seed: u64) -> Log {
        let mut random = Lcg(seed);
        let (mut log, mut ends) = (Log::default(), std::collections::BTreeMap::<u64, f64>::new());
        let (mut acquired, mut released, mut busy, mut lost) = (5_000.0, 5_000.0, 0.0, 0.0);
        let mut owed = 0.0;
        let mut next_read = 0.0;
        // A minute of five holds before the log begins fills the pool.
        let warm = 5.0 * (self.hold)(0.0);
        let mut second = -warm;
        while second < self.seconds {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let tick = (second + warm) as u64;
            let back = ends.remove(&tick).unwrap_or(0.0);
            busy -= back;
            released += back;
            if second >= self.leak_from {
                owed += self.lost_per_minute / 60.0;
                while owed >= 1.0 && busy + lost < self.size {
                    lost += 1.0;
                    owed -= 1.0;
                    acquired += f64::from(u8::from(matches!(self.lost, Lost::Nowhere | Lost::InUse)));
                }
                owed = owed.min(1.0);
            }
            let room = self.size - busy - lost;
            let new = random.count((self.demand)(second.max(0.0))).min(room.max(0.0));
            acquired += new;
            busy += new;
            for _ in 0..new as u32 {
                let hold = ((self.hold)(second.max(0.0)) * (0.5 + random.next())).max(1.0);
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let end = tick + hold as u64 + 1;
                *ends.entry(end).or_insert(0.0) += 1.0;
            }
            if second >= next_read {
                self.read(&mut log, second, [busy, lost, acquired, released], &mut random);
                next_read += self.read_every;
            }
            second += 1.0;
        }
        log
    }

    fn read(&self, log: &mut Log, second: f64, [busy, lost, acquired, released]: [f64; 4], random: &mut Lcg) {
        let waiting = random.count(3.0);
        let (in_use, reserved) = match self.lost {
            Lost::Nowhere => (busy, waiting),
            Lost::InUse => (busy + lost, waiting),
            Lost::Reserved => (busy, lost + waiting.min(self.size - busy - lost)),
            Lost::ReservedInUse => (busy + lost, lost + waiting.min(busy)),
        };
        let mut tell = |told: bool, name: &str, value: f64| {
            if told {
                log.signal(second, "pool/browsers", name, value);
            }
        };
        let [size, use_, reserve, counters] = self.tells;
        tell(size, metric::POOL_SIZE, self.size);
        tell(use_, metric::POOL_IN_USE, in_use);
        tell(reserve, metric::POOL_RESERVED, reserved);
        tell(counters, metric::POOL_ACQUIRED_TOTAL, acquired);
        tell(counters, metric::POOL_RELEASED_TOTAL, released);
    }
}

/// When the last member is gone, seconds after the log's beginning, at 60 members in use.
fn exhausted_at(pool: &Pool) -> f64 {
    pool.leak_from + (pool.size - 60.0) / pool.lost_per_minute * 60.0
}

fn with_requests(pool: &Pool, duration_ms: impl Fn(f64) -> f64) -> Outcome {
    let mut log = pool.log(7);
    log.requests(pool.seconds, |s| (pool.demand)(s), |_| 0.0, duration_ms);
    log.run()
}

#[test]
fn lost_members_are_found_whatever_is_told_and_however_fast() {
    let everything = [
        (Lost::Nowhere, ALL, 240.0),
        (Lost::Nowhere, [true, true, false, true], 240.0),
        (Lost::Reserved, ALL, 300.0),
        (Lost::Reserved, [true, true, true, false], 300.0),
        (Lost::Reserved, [true, false, true, false], 300.0),
        (Lost::ReservedInUse, ALL, 300.0),
        (Lost::InUse, ALL, 600.0),
        (Lost::InUse, [true, true, false, false], 600.0),
        (Lost::InUse, [true, false, false, true], 600.0),
    ];
    for (lost, tells, delay_max) in everything {
        for lost_per_minute in [6.0, 20.0] {
            let pool = Pool { lost, tells, lost_per_minute, ..Pool::healthy() };
            let outcome = with_requests(&pool, |_| 100.0);
            let (page, seconds) = outcome.first(AlertName::PoolLeak, Severity::Critical, "pool/browsers");
            let (delay, end) = (seconds - pool.leak_from, exhausted_at(&pool));
            println!(
                "{} {tells:?} {lost_per_minute}: {delay} s ({} before the end) {}",
                lost as u8,
                end - seconds,
                page.summary
            );
            assert!((0.0..=delay_max).contains(&delay), "{delay} s: {}", page.summary);
            // Where only the gauge of members in use is told, a fast leak is proven when all is over.
            let late = lost == Lost::InUse && !tells[3] && lost_per_minute > 10.0;
            assert!(end - seconds > if late { -120.0 } else { 0.0 }, "{} s before: {}", end - seconds, page.summary);
            assert_eq!(outcome.fired(AlertName::PoolLeak, Severity::Critical).len(), 1, "{}", outcome.told());
            let exhausted = outcome.fired(AlertName::PoolExhaustion, Severity::Critical);
            if tells[1] || tells[3] {
                assert_eq!(exhausted.len(), 1, "{}", outcome.told());
                assert!(late || exhausted[0].summary.contains("it leaks"), "{}", exhausted[0].summary);
                assert_eq!(exhausted[0].incident, page.incident);
            }
        }
    }
}

#[test]
fn a_leak_far_from_its_end_is_a_ticket_and_its_end_is_foretold() {
    for lost in [Lost::Nowhere, Lost::Reserved] {
        let pool = Pool { lost, size: 1_000.0, lost_per_minute: 3.0, seconds: 7_200.0, ..Pool::healthy() };
        let outcome = with_requests(&pool, |_| 100.0);
        outcome.assert_nobody_is_woken();
        let (ticket, seconds) = outcome.first(AlertName::PoolLeak, Severity::Warning, "pool/browsers");
        println!("{seconds} {}", ticket.summary);
        assert!(seconds < 900.0 + 900.0, "{}", outcome.told());
        assert_eq!(outcome.fired(AlertName::PoolLeak, Severity::Warning).len(), 1, "{}", outcome.told());
    }
}

#[test]
fn a_slow_or_busy_pool_is_no_leak() {
    // Held three times as long for twenty minutes, which shows in the time requests take.
    let slow =
        Pool { hold: |s| if (900.0..2_100.0).contains(&s) { 90.0 } else { 30.0 }, size: 300.0, ..Pool::healthy() };
    with_requests(&slow, |s| if (900.0..2_100.0).contains(&s) { 300.0 } else { 100.0 }).assert_silent();
    // The same, where nothing but the pool shows it.
    with_requests(&slow, |_| 100.0).assert_nobody_is_woken();
    let slower_and_slower =
        Pool { hold: |s| 30.0 + (s - 900.0).clamp(0.0, 1_200.0) / 20.0, size: 300.0, ..Pool::healthy() };
    with_requests(&slower_and_slower, |s| 100.0 * (1.0 + (s - 900.0).clamp(0.0, 1_200.0) / 600.0)).assert_silent();
    // Twice and three times the demand, at once and over half an hour.
    let busy =
        Pool { demand: |s| if (900.0..2_100.0).contains(&s) { 6.0 } else { 2.0 }, size: 300.0, ..Pool::healthy() };
    with_requests(&busy, |_| 100.0).assert_silent();
    let busier = Pool { demand: |s| 2.0 + (s - 900.0).clamp(0.0, 1_800.0) / 450.0, size: 300.0, ..Pool::healthy() };
    for tells in [ALL, [true, true, false, false], [true, true, true, false]] {
        let log = Pool { tells, ..busier.clone() };
        with_requests(&log, |_| 100.0).assert_silent();
    }
}

#[test]
fn a_day_with_its_peak_is_no_leak() {
    let day = Pool {
        demand: |s| 2.0 - 1.7 * (s / 86_400.0 * std::f64::consts::TAU).cos(),
        seconds: 1.4 * 86_400.0,
        read_every: 30.0,
        ..Pool::healthy()
    };
    let mut log = day.log(3);
    log.requests(day.seconds, |s| (day.demand)(s) / 10.0, |_| 0.0, |_| 100.0);
    log.run().assert_silent();
}

#[test]
fn a_pool_that_is_always_full_wakes_nobody_until_requests_fail() {
    let workers = Pool { demand: |_| 20.0, ..Pool::healthy() };
    with_requests(&workers, |_| 100.0).assert_nobody_is_woken();
    let mut log = workers.log(7);
    log.requests(workers.seconds, |_| 5.0, |s| if s > 1_800.0 { 0.2 } else { 0.0 }, |_| 100.0);
    let outcome = log.run();
    let (_, seconds) = outcome.first(AlertName::PoolExhaustion, Severity::Critical, "pool/browsers");
    assert!((1_800.0..1_900.0).contains(&seconds), "{}", outcome.told());
}

#[test]
fn a_pool_that_is_asked_for_more_than_it_has_is_exhausted_and_does_not_leak() {
    let asked = Pool { demand: |s| if s > 900.0 { 12.0 } else { 2.0 }, seconds: 1_800.0, ..Pool::healthy() };
    let mut log = asked.log(7);
    log.requests(asked.seconds, |s| (asked.demand)(s), |s| if s > 930.0 { 0.4 } else { 0.0 }, |_| 100.0);
    let outcome = log.run();
    let (page, seconds) = outcome.first(AlertName::PoolExhaustion, Severity::Critical, "pool/browsers");
    assert!((900.0..1_020.0).contains(&seconds) && page.summary.contains("no leak"), "{}", outcome.told());
    assert!(outcome.fired(AlertName::PoolLeak, Severity::Critical).is_empty(), "{}", outcome.told());
    assert!(page.affected.subscriptions > 10, "{page:#?}");
    assert!(page.baseline < 100.0, "{page:#?}");
}

#[test]
fn late_absent_and_restarted_readings_are_no_leak_and_hide_none() {
    let thin = |log: Log| {
        let mut random = Lcg(5);
        Log { events: log.events.into_iter().filter(|_| random.next() > 0.3).collect() }
    };
    thin(Pool::healthy().log(11)).run().assert_silent();
    let leaking = Pool { lost_per_minute: 10.0, ..Pool::healthy() };
    let outcome = thin(leaking.log(11)).run();
    outcome.first(AlertName::PoolLeak, Severity::Critical, "pool/browsers");
    // Two hours of silence, and another process afterwards: its counters begin at zero.
    let mut log = Pool::healthy().log(12);
    for event in Pool::healthy().log(13).events {
        if let crate::model::Event::Signal(signal) = event {
            let seconds = signal.timestamp.since(super::at(0.0)) as f64 / 1_000.0 + 10_800.0;
            let counter = signal.metric.ends_with("_total");
            log.signal(seconds, &signal.source, &signal.metric, signal.value - if counter { 5_000.0 } else { 0.0 });
        }
    }
    log.run().assert_silent();
}

#[test]
fn a_leak_that_fills_its_pool_at_once_is_named_by_what_is_conserved() {
    for lost in [Lost::Nowhere, Lost::Reserved] {
        for (lost_per_minute, read_every) in [(140.0, 5.0), (140.0, 30.0), (140.0, 60.0), (60.0, 10.0), (60.0, 60.0)] {
            let pool = Pool { lost_per_minute, lost, read_every, seconds: 2_400.0, ..Pool::healthy() };
            let outcome = pool.log(21).run();
            let (page, seconds) = outcome.first(AlertName::PoolLeak, Severity::Critical, "pool/browsers");
            let full = exhausted_at(&pool);
            assert!(seconds <= full + 120.0 && seconds > 900.0, "{seconds}, full at {full}: {}", page.summary);
            let fired = outcome.fired(AlertName::PoolLeak, Severity::Critical).len();
            assert_eq!(fired, 1, "it stays lost: {}", outcome.told());
            let over = |t: &&crate::model::Transition| t.event == crate::model::TransitionEvent::Resolved;
            assert!(!outcome.transitions.iter().any(|t| over(&t)), "{}", outcome.told());
        }
    }
}

#[test]
fn a_pool_that_fills_at_once_because_it_is_slow_or_busy_does_not_leak() {
    let slow = |s: f64| if (900.0..1_800.0).contains(&s) { 180.0 } else { 30.0 };
    let busy = |s: f64| if (900.0..1_800.0).contains(&s) { 9.0 } else { 2.0 };
    for read_every in [10.0, 60.0] {
        for pool in [Pool { hold: slow, ..Pool::healthy() }, Pool { demand: busy, ..Pool::healthy() }] {
            let outcome = Pool { read_every, ..pool }.log(22).run();
            assert!(outcome.fired(AlertName::PoolLeak, Severity::Critical).is_empty(), "{}", outcome.told());
            assert!(!outcome.fired(AlertName::PoolExhaustion, Severity::Critical).is_empty(), "{}", outcome.told());
        }
    }
}

#[test]
fn a_leak_read_once_a_minute_neither_comes_late_nor_goes_between_readings() {
    let pool = Pool {
        lost: Lost::Reserved,
        lost_per_minute: 2.5,
        read_every: 60.0,
        seconds: 4_000.0,
        leak_from: 1_200.0,
        ..Pool::healthy()
    };
    let outcome = pool.log(23).run();
    let (_, seconds) = outcome.first(AlertName::PoolLeak, Severity::Warning, "pool/browsers");
    assert!(seconds <= 2_400.0, "{}", outcome.told());
    assert!(outcome.fired(AlertName::PoolLeak, Severity::Critical).len() <= 1, "{}", outcome.told());
    let over = outcome.transitions.iter().filter(|t| t.event == crate::model::TransitionEvent::Resolved);
    assert!(over.filter(|t| t.alert == AlertName::PoolLeak).count() == 0, "{}", outcome.told());
}
