//! Caches that collapse, and caches that only look like it.

use crate::detect::test_traffic::{Lcg, Told, at, run, signal};
use crate::model::{AlertName, Dimension, Event, Severity, Transition};

const ONSET: f64 = 900.0;

type ByTime = fn(f64) -> f64;

/// Readings of a cache every `step` seconds: look-ups a second and hit ratio by time.
struct Counters {
    source: &'static str,
    step: f64,
    seconds: f64,
    lookups: fn(f64) -> f64,
    hit_ratio: fn(f64) -> f64,
    /// When its process starts anew.
    restart: Option<f64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            source: "redis/pages",
            step: 10.0,
            seconds: 1_500.0,
            lookups: |_| 100.0,
            hit_ratio: |_| 0.95,
            restart: None,
        }
    }
}

impl Counters {
    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = Lcg(seed);
        let (mut hits, mut misses, mut time) = (5_000.0, 300.0, 0.0);
        let mut events = Vec::new();
        while time < self.seconds {
            let lookups = ((self.lookups)(time) * self.step * (1.0 + 0.2 * random.normal())).max(0.0).round();
            let ratio = ((self.hit_ratio)(time) + 0.008 * random.normal()).clamp(0.0, 1.0);
            let answered = (lookups * ratio).round();
            if self.restart.is_some_and(|at| (time..time + self.step).contains(&at)) {
                (hits, misses) = (0.0, 0.0);
            }
            hits += answered;
            misses += lookups - answered;
            events.push(signal(time, self.source, "cache_hits_total", hits));
            events.push(signal(time, self.source, "cache_misses_total", misses));
            let uptime = self.restart.filter(|at| time >= *at).map_or(1e5 + time, |at| time - at);
            events.push(signal(time, self.source, "uptime_seconds", uptime));
            time += self.step;
        }
        events
    }
}

fn collapsed(told: &Told) -> Vec<&Transition> {
    told.fired(AlertName::CacheCollapse)
}

fn after(time: f64, then: f64) -> f64 {
    if time >= ONSET { then } else { 0.95 }
}

#[test]
fn misses_multiplied_are_a_ticket_that_names_the_source() {
    let cases: [(ByTime, i64); 4] =
        [(|t| after(t, 0.90), 150), (|t| after(t, 0.85), 90), (|t| after(t, 0.5), 60), (|t| after(t, 0.02), 60)];
    for (hit_ratio, delay_s_max) in cases {
        for step in [5.0, 10.0, 15.0, 30.0] {
            let told = run(Counters { hit_ratio, step, ..Counters::default() }.events(1));
            let alerts = collapsed(&told);
            assert_eq!(alerts.len(), 1, "{step}: {alerts:#?}");
            let alert = alerts[0];
            assert_eq!(alert.severity, Severity::Warning);
            assert_eq!(alert.labels.get(Dimension::Source), Some("redis/pages"));
            assert_eq!(alert.causes[0].dimensions.get(Dimension::Source), Some("redis/pages"));
            let delay_s = alert.at.since(at(ONSET)) / 1_000;

            assert!((0..=delay_s_max).contains(&delay_s), "{step}: {delay_s} s");
            assert!((alert.baseline - 0.95).abs() < 0.01 && alert.value < alert.baseline);
        }
    }
}

#[test]
fn several_layers_at_once_name_each_other_and_a_restart_is_said() {
    let mut events = Vec::new();
    for source in ["redis/pages", "memcached/sessions", "edge-cache/eu"] {
        events.extend(
            Counters { source, hit_ratio: |t| after(t, 0.1), restart: Some(ONSET), ..Counters::default() }.events(2),
        );
    }
    let told = run(events);
    let alerts = collapsed(&told);
    assert_eq!(alerts.len(), 3, "{alerts:#?}");
    for alert in alerts {
        assert!(alert.summary.contains("several cache layers vanished at once"), "{}", alert.summary);
        assert!(alert.causes[0].evidence.contains("it restarted at"), "{}", alert.causes[0].evidence);
    }
}

#[test]
fn what_only_looks_like_it() {
    let silent = |name: &str, counters: Counters| {
        let told = run(counters.events(3));
        assert!(told.transitions.is_empty(), "{name}: {:#?}", told.transitions);
    };
    silent("steady", Counters::default());
    silent("more of the same", Counters { lookups: |t| if t > ONSET { 900.0 } else { 100.0 }, ..Counters::default() });
    silent("always low", Counters { hit_ratio: |t| 0.12 + 0.06 * (t / 200.0).sin(), ..Counters::default() });
    let night = Counters {
        lookups: |t| if t > ONSET { 4.0 } else { 100.0 },
        hit_ratio: |t| if t > ONSET { 0.7 } else { 0.95 },
        ..Counters::default()
    };
    silent("few look-ups at night", night);
    let evening = Counters {
        seconds: 14_400.0,
        lookups: |t| (100.0 - t / 160.0) * if (t / 240.0).fract() < 0.3 { 2.5 } else { 0.6 },
        hit_ratio: |t| 0.95 - 0.25 * t / 14_400.0,
        ..Counters::default()
    };
    silent("a slow decline in bursts", evening);
    silent("cold start", Counters { hit_ratio: |t| (t / 600.0).min(0.95), ..Counters::default() });
    silent("restarted and full", Counters { restart: Some(ONSET), ..Counters::default() });
    let blip = |t: f64| if (ONSET..ONSET + 20.0).contains(&t) { 0.6 } else { 0.95 };
    assert!(collapsed(&run(Counters { hit_ratio: blip, ..Counters::default() }.events(3))).len() <= 1);
}

#[test]
fn silence_is_no_collapse_and_late_readings_change_nothing() {
    let mut events = Counters::default().events(4);
    events.retain(|event| event.timestamp() < at(ONSET) || event.timestamp() > at(ONSET + 400.0));
    assert!(run(events).transitions.is_empty());
    let hits_only: Vec<Event> = Counters::default()
        .events(4)
        .into_iter()
        .filter(|event| !matches!(event, Event::Signal(s) if s.metric == "cache_misses_total"))
        .collect();
    assert!(run(hits_only).transitions.is_empty());
    let collapse = Counters { hit_ratio: |t| after(t, 0.3), ..Counters::default() }.events(5);
    let mut swapped = collapse.clone();
    swapped.chunks_mut(3).for_each(<[Event]>::reverse);
    let told = run(collapse);
    assert_eq!(told.transitions, crate::detect::test_traffic::run_in_order(&swapped).transitions);
    assert!(!told.transitions.is_empty());
}
