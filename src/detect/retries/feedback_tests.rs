//! Loops of clients that all give up after three attempts, on hand-made logs through the whole core.

use crate::detect::test_traffic::{Lcg, Told, request, run};
use crate::model::{AlertName, Dimension, Event, Severity};

const TICKS_A_SECOND: usize = 10;
const TRIGGER_S: usize = 480;
const END_S: usize = 1_200;
/// What a client waits for an answer, in seconds.
const PATIENCE_S: f64 = 2.0;
/// A queue has so many places, however slowly it moves: eight seconds at full capacity.
const PLACES: f64 = 120.0;

/// A service with a queue, and clients that ask it seven times a second, by turns more and less.
#[derive(Clone, Copy)]
struct Shop {
    /// Requests a second that it works off, by second.
    capacity: fn(usize) -> f64,
    /// Share that fails at once or hangs whatever the load, by second, and the status of those.
    broken: fn(usize) -> (f64, u16),
    with_attempt: bool,
}

const HEALTHY: Shop = Shop { capacity: |_| 15.0, broken: |_| (0.0, 503), with_attempt: true };

impl Shop {
    fn told(self, seed: u64) -> Told {
        let (mut random, mut backlog) = (Lcg(seed), 0.0_f64);
        let mut due: Vec<Vec<(u32, u32)>> = vec![Vec::new(); (END_S + 60) * TICKS_A_SECOND];
        let mut events = Vec::new();
        for tick in 0..END_S * TICKS_A_SECOND {
            let second = tick / TICKS_A_SECOND;
            let capacity = (self.capacity)(second);
            #[allow(clippy::cast_precision_loss)]
            let (now, ticks_a_second) = (tick as f64 / TICKS_A_SECOND as f64, TICKS_A_SECOND as f64);
            backlog = (backlog - capacity / ticks_a_second).max(0.0);
            let mut tries = std::mem::take(&mut due[tick]);
            let demand = if (second / 15).is_multiple_of(2) { 5.0 } else { 9.0 };
            tries.extend((0..random.times(demand / ticks_a_second)).map(|_| (random.below(40), 1)));
            for (customer, attempt) in tries {
                let wait_s = backlog / capacity;
                let (share, status) = (self.broken)(second);
                let (status, duration_s) = if random.next() < share {
                    (status, if status == 504 { PATIENCE_S } else { 0.02 })
                } else if backlog > PLACES {
                    (503, 0.003)
                } else {
                    backlog += 1.0;
                    if wait_s > PATIENCE_S { (504, PATIENCE_S) } else { (200, wait_s + 0.05) }
                };
                let mut answered = request(now + duration_s, customer, ("", "shop", "Order"));
                answered.status = status;
                answered.duration_ms = duration_s * 1_000.0;
                answered.attempt = self.with_attempt.then_some(attempt);
                events.push(Event::Request(answered));
                if status != 200 && attempt < 3 {
                    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                    let later = ((duration_s + 0.4 + 2.0 * random.next()) * ticks_a_second) as usize;
                    due[tick + later.max(1)].push((customer, attempt + 1));
                }
            }
        }
        run(events)
    }
}

#[test]
fn a_loop_of_three_attempts_is_named_with_its_service_once_its_trigger_is_gone() {
    let slow = |second| if (TRIGGER_S..TRIGGER_S + 120).contains(&second) { 3.0 } else { 15.0 };
    for seed in 1..4 {
        let told = Shop { capacity: slow, ..HEALTHY }.told(seed);
        let pages = told.pages(AlertName::FeedbackLoop);
        let page = pages.first().expect("a loop");
        assert_eq!((page.severity, page.labels.get(Dimension::Service)), (Severity::Critical, Some("shop")));
        assert_eq!(page.causes[0].dimensions.to_string(), "service = shop", "{:?}", page.causes);
        let after_s = page.at.since(crate::detect::test_traffic::at(TRIGGER_S as f64 + 120.0)) / 1_000;
        assert!((60..=360).contains(&after_s), "{after_s} s after the trigger was gone");
        assert!(told.pages(AlertName::RetryAmplification).is_empty(), "nobody misbehaves");
    }
}

#[test]
fn while_the_trigger_lasts_and_where_load_is_not_the_cause_there_is_no_loop() {
    let lasting = Shop { capacity: |second| if second >= TRIGGER_S { 3.0 } else { 15.0 }, ..HEALTHY };
    let failing = Shop { broken: |second| (if second >= TRIGGER_S { 1.0 } else { 0.0 }, 503), ..HEALTHY };
    let partly = Shop { broken: |second| (if second >= TRIGGER_S { 0.7 } else { 0.0 }, 503), ..HEALTHY };
    let hanging = Shop { broken: |second| (if second >= TRIGGER_S { 1.0 } else { 0.0 }, 504), ..HEALTHY };
    for (name, shop) in [("lasting", lasting), ("failing", failing), ("partly", partly), ("hanging", hanging)] {
        for with_attempt in [true, false] {
            let told = Shop { with_attempt, ..shop }.told(7);
            assert!(told.pages(AlertName::FeedbackLoop).is_empty(), "{name}");
            assert!(told.pages(AlertName::RetryAmplification).is_empty(), "{name}");
        }
    }
}
