//! What limiters promise, on any order of requests.

use proptest::prelude::*;

use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_772_360_100_000 + ms)
}

fn key(number: u32) -> KeyId {
    KeyId::new(number)
}

/// Moments at which the limiter let a request of key 0 pass.
fn passed(limiter: &mut Limiter, moments: &[i64]) -> Vec<i64> {
    moments.iter().copied().filter(|ms| limiter.admit(key(0), at(*ms))).collect()
}

/// The virtual scheduling algorithm, word for word (ITU-T I.371): times are in units of 1 / requests milliseconds.
struct VirtualScheduling {
    rate: Rate,
    burst: i64,
    theoretical_arrival: i64,
}

impl VirtualScheduling {
    fn admit(&mut self, ms: i64) -> bool {
        let now = ms * i64::try_from(self.rate.requests).unwrap();
        let increment = self.rate.per_ms;
        if now < self.theoretical_arrival - self.burst * increment {
            return false;
        }
        self.theoretical_arrival = now.max(self.theoretical_arrival) + increment;
        true
    }
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::FixedWindow),
        Just(Algorithm::SlidingWindow),
        Just(Algorithm::TokenBucket),
        Just(Algorithm::Gcra)
    ]
}

fn rates() -> impl Strategy<Value = Rate> {
    (1_u64..40, prop_oneof![Just(1_000_i64), Just(7_000), Just(60_000)])
        .prop_map(|(requests, per_ms)| Rate::new(requests, per_ms).unwrap())
}

/// Ascending moments, many of them close together.
fn moments() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(prop_oneof![6 => 0_i64..40, 2 => 0_i64..2_000, 1 => 0_i64..90_000], 1..300).prop_map(
        |gaps| {
            gaps.iter()
                .scan(0, |now, gap| {
                    *now += gap;
                    Some(*now)
                })
                .collect()
        },
    )
}

proptest! {
    #[test]
    fn no_window_passes_more_than_it_may(
        algorithm in algorithms(), rate in rates(), burst in proptest::option::of(0_u64..20), moments in moments()
    ) {
        let burst = burst.map(|burst| if algorithm == Algorithm::TokenBucket { burst.max(1) } else { burst });
        let most = most(algorithm, rate, burst);
        let passed = passed(&mut Limiter::new(algorithm, rate, burst), &moments);
        for (i, from) in passed.iter().enumerate() {
            for (j, until) in passed.iter().enumerate().skip(i) {
                let count = (j - i + 1) as u64;
                let spans = (until - from) as u64;
                let allowed = match algorithm {
                    Algorithm::FixedWindow
                        if at(*from).window_start(rate.per_ms) == at(*until).window_start(rate.per_ms) => most,
                    Algorithm::SlidingWindow if until - from < rate.per_ms => most,
                    Algorithm::FixedWindow | Algorithm::SlidingWindow => u64::MAX,
                    Algorithm::TokenBucket | Algorithm::Gcra => most + spans * rate.requests / rate.per_ms as u64,
                };
                prop_assert!(count <= allowed, "{count} from {from} to {until}, allowed {allowed}");
            }
        }
    }

    #[test]
    fn whoever_keeps_to_the_limit_is_never_refused(
        algorithm in algorithms(), rate in rates(), moments in moments()
    ) {
        // The bucket is as large as the limit: it never refuses what a sliding window passes.
        let burst = (algorithm == Algorithm::Gcra).then_some(rate.requests - 1);
        let kept = passed(&mut Limiter::new(Algorithm::SlidingWindow, rate, None), &moments);
        prop_assert_eq!(&passed(&mut Limiter::new(algorithm, rate, burst), &kept), &kept);
    }

    #[test]
    fn gcra_is_virtual_scheduling_and_a_bucket_of_one_more(
        rate in rates(), burst in 0_u64..20, moments in moments()
    ) {
        let gcra = passed(&mut Limiter::new(Algorithm::Gcra, rate, Some(burst)), &moments);
        prop_assert_eq!(&gcra, &passed(&mut Limiter::new(Algorithm::TokenBucket, rate, Some(burst + 1)), &moments));
        let mut reference = VirtualScheduling { rate, burst: burst as i64, theoretical_arrival: i64::MIN / 2 };
        let expected: Vec<i64> = moments.iter().copied().filter(|ms| reference.admit(*ms)).collect();
        prop_assert_eq!(gcra, expected);
    }

    #[test]
    fn keys_do_not_feel_each_other(
        algorithm in algorithms(), rate in rates(), moments in moments(), keys in proptest::collection::vec(0_u32..4, 300)
    ) {
        let mut together = Limiter::new(algorithm, rate, None);
        let all: Vec<(u32, i64, bool)> =
            moments.iter().zip(&keys).map(|(ms, own)| (*own, *ms, together.admit(key(*own), at(*ms)))).collect();
        for own in 0..4 {
            let alone: Vec<i64> = all.iter().filter(|(key, ..)| *key == own).map(|(_, ms, _)| *ms).collect();
            let expected: Vec<i64> =
                all.iter().filter(|(key, _, passed)| *key == own && *passed).map(|(_, ms, _)| *ms).collect();
            prop_assert_eq!(passed(&mut Limiter::new(algorithm, rate, None), &alone), expected);
        }
    }
}

#[test]
fn a_window_on_the_clock_lets_twice_the_limit_pass_around_its_edge_and_a_sliding_one_does_not() {
    let rate: Rate = "10/min".parse().unwrap();
    let moments: Vec<i64> = (50_000..60_000).chain(60_000..70_000).step_by(500).collect();
    let count = |algorithm| passed(&mut Limiter::new(algorithm, rate, None), &moments).len();
    // `at(0)` is the beginning of a minute.
    assert_eq!(at(0).as_millis() % 60_000, 0);
    assert_eq!((count(Algorithm::FixedWindow), count(Algorithm::SlidingWindow)), (20, 10));
    assert_eq!(count(Algorithm::TokenBucket), 13, "ten at once, and three that came back within 19.5 seconds");
}

#[test]
fn silent_keys_hold_nothing() {
    let mut limiter = Limiter::new(Algorithm::SlidingWindow, "1000/min".parse().unwrap(), None);
    for number in 0..1_000 {
        assert!(limiter.admit(key(0), at(i64::from(number))));
    }
    assert!(limiter.admit(key(1), at(200_000)));
    let States::Sliding { logs, .. } = &limiter.states else { panic!("not sliding") };
    assert_eq!((logs[0].moments.capacity(), logs[0].sum), (0, 0));
}
