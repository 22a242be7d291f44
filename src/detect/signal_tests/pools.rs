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

    fn run(&self) -> Outcome {
        self.log(7).run()
    }
}

/// When the last member is gone, seconds after the log's beginning, at 60 members in use.
fn exhausted_at(pool: &Pool) -> f64 {
    pool.leak_from + (pool.size - 60.0) / pool.lost_per_minute * 60.0
}

#[test]
fn lost_members_are_found_whatever_is_told_and_however_fast() {
    let everything = [
        (Lost::Nowhere, ALL),
        (Lost::Nowhere, [true, true, false, true]),
        (Lost::Reserved, ALL),
        (Lost::Reserved, [true, true, true, false]),
        (Lost::Reserved, [true, false, true, false]),
        (Lost::ReservedInUse, ALL),
        (Lost::InUse, ALL),
        (Lost::InUse, [true, true, false, false]),
        (Lost::InUse, [true, false, false, true]),
    ];
    for (lost, tells) in everything {
        for lost_per_minute in [2.0, 4.0, 6.0, 20.0] {
            let pool = Pool { lost, tells, lost_per_minute, ..Pool::healthy() };
            let mut log = pool.log(7);
            log.requests(pool.seconds, |_| 2.0, |_| 0.0, |_| 100.0);
            let outcome = log.run();
            let end = exhausted_at(&pool);
            let (page, seconds) = if outcome.fired(AlertName::PoolLeak, Severity::Critical).is_empty() {
                println!("{} {tells:?} {lost_per_minute}: no page; {}", lost as u8, outcome.told());
                continue;
            } else {
                outcome.first(AlertName::PoolLeak, Severity::Critical, "pool/browsers")
            };
            println!(
                "{} {tells:?} {lost_per_minute}/min: leak page {:.0} s after onset ({:.0} s before the end at {end:.0}): {}",
                lost as u8,
                seconds - 900.0,
                end - seconds,
                page.summary
            );
            for t in outcome.fired(AlertName::PoolExhaustion, Severity::Critical) {
                println!("     exhaustion {} {}", t.at, t.summary);
            }
        }
    }
}
