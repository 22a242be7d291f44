//! Ceilings and drops.

use super::{Lcg, Log, Outcome};
use crate::model::{AlertName, Dimension, Severity, metric};

const SOURCE: &str = "redis/edge-1";

/// Counters of a host, from rates by second.
struct Host {
    seconds: f64,
    operations: fn(f64) -> f64,
    bytes_per_operation: f64,
    /// Dropped packets a second.
    drops: fn(f64) -> f64,
    limit: Option<f64>,
    read_every: u32,
}

impl Host {
    fn log(&self) -> Log {
        let mut random = Lcg(17);
        let mut log = Log::default();
        let (mut operations, mut bytes, mut drops) = (1e9, 5e12, 700.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        for second in 0..self.seconds as u32 {
            let s = f64::from(second);
            let now = random.count((self.operations)(s));
            operations += now;
            bytes += now * self.bytes_per_operation;
            drops += random.count((self.drops)(s));
            if second % self.read_every == 0 {
                log.signal(s, SOURCE, metric::OPERATIONS_TOTAL, operations);
                log.signal(s, SOURCE, metric::NETWORK_BYTES_TOTAL, bytes.round());
                log.signal(s, SOURCE, metric::DROPPED_PACKETS_TOTAL, drops);
                if let Some(limit) = self.limit {
                    log.signal(s, SOURCE, metric::OPERATIONS_LIMIT_PER_SECOND, limit);
                }
            }
        }
        log
    }
}

/// Load that rises above what the host carries from minute 20 on: the surplus of `factor` is dropped.
fn ceiling(drops: fn(f64) -> f64, limit: Option<f64>, read_every: u32) -> Host {
    Host {
        seconds: 3_000.0,
        operations: |s| if s < 1_200.0 { 100_000.0 } else { 145_000.0 },
        bytes_per_operation: 400.0,
        drops,
        limit,
        read_every,
    }
}

fn with_failures(host: &Host, failing: fn(f64) -> f64) -> Outcome {
    let mut log = host.log();
    log.requests(host.seconds, |s| if s < 1_200.0 { 20.0 } else { 28.0 }, failing, |_| 40.0);
    log.run()
}

#[test]
fn drops_beyond_the_trickle_page_and_name_the_source() {
    let amplitudes: [fn(f64) -> f64; 3] = [
        |s| if s < 1_200.0 { 0.02 } else { 60.0 },
        |s| if s < 1_200.0 { 1.0 } else { 150.0 },
        |s| if s < 1_200.0 { 0.02 } else { 600.0 },
    ];
    for drops in amplitudes {
        for read_every in [10, 60] {
            let outcome = with_failures(&ceiling(drops, None, read_every), |s| if s < 1_200.0 { 0.0 } else { 0.004 });
            let (page, seconds) = outcome.first(AlertName::Saturation, Severity::Critical, SOURCE);
            println!("{read_every}: {seconds}: {}", page.summary);
            assert!(
                (1_200.0..=1_200.0 + 4.0 * f64::from(read_every).max(30.0)).contains(&seconds),
                "{}",
                outcome.told()
            );
            assert_eq!(outcome.fired(AlertName::Saturation, Severity::Critical).len(), 1, "{}", outcome.told());
            let incident = outcome.incidents.iter().find(|i| i.severity == Severity::Critical).unwrap();
            assert_eq!(incident.causes[0].dimensions.get(Dimension::Source), Some(SOURCE));
        }
    }
}

#[test]
fn the_known_limit_is_a_ticket_until_requests_fail() {
    let near = ceiling(|_| 0.01, Some(150_000.0), 10);
    let harmless = with_failures(&near, |_| 0.000_1);
    harmless.assert_nobody_is_woken();
    let (ticket, seconds) = harmless.first(AlertName::Saturation, Severity::Warning, SOURCE);
    assert!((1_500.0..1_620.0).contains(&seconds) && ticket.summary.contains("97 %"), "{}", ticket.summary);
    let hurting = with_failures(&near, |s| if s < 1_300.0 { 0.000_1 } else { 0.02 });
    let (_, seconds) = hurting.first(AlertName::Saturation, Severity::Critical, SOURCE);
    assert!((1_300.0..1_600.0).contains(&seconds), "{}", hurting.told());
}

#[test]
fn drops_from_the_beginning_page_when_requests_fail_with_them() {
    let always = Host { operations: |_| 145_000.0, drops: |_| 400.0, seconds: 1_200.0, ..ceiling(|_| 0.0, None, 10) };
    let outcome = with_failures(&always, |_| 0.005);
    outcome.first(AlertName::Saturation, Severity::Critical, SOURCE);
    with_failures(&always, |_| 0.0).assert_nobody_is_woken();
}

#[test]
fn backups_trickles_and_restarts_wake_nobody() {
    // A backup at full speed for an hour.
    let backup = Host {
        seconds: 3.0 * 3_600.0,
        operations: |s| if (3_600.0..7_200.0).contains(&s) { 900.0 } else { 300.0 },
        bytes_per_operation: 1e6,
        drops: |_| 0.001,
        limit: None,
        read_every: 15,
    };
    let outcome = with_failures(&backup, |_| 0.001);
    outcome.assert_silent();
    // A trickle in bursts, and one that grows with the load of the day.
    let bursts = Host {
        seconds: 4.0 * 3_600.0,
        operations: |s| 50_000.0 * (1.2 + (s / 3_600.0).sin()),
        drops: |s| if s % 1_300.0 < 20.0 { 8.0 } else { 0.1 * (1.2 + (s / 3_600.0).sin()) },
        ..ceiling(|_| 0.0, None, 15)
    };
    with_failures(&bursts, |_| 0.001).assert_silent();
    // Counters that begin anew.
    let mut log = ceiling(|_| 0.05, None, 10).log();
    for event in &mut log.events {
        if let crate::model::Event::Signal(signal) = event
            && signal.timestamp > super::at(1_500.0)
        {
            signal.value =
                (signal.value - if signal.value > 1e12 { 5e12 } else { 700.0_f64.min(signal.value) }).max(0.0);
        }
    }
    log.run().assert_nobody_is_woken();
}

/// Load that grows by 60 % from `from` on within `ramp` seconds.
fn growing(from: f64, ramp: f64) -> impl Fn(f64) -> f64 {
    move |s| 1.0 + 0.6 * ((s - from) / ramp).clamp(0.0, 1.0)
}

#[test]
fn a_ceiling_that_nobody_told_pages_when_requests_fail_or_wait_at_it() {
    let host = Host {
        seconds: 6_000.0,
        operations: |s| 20_000.0 * growing(2_400.0, 600.0)(s).min(1.3),
        bytes_per_operation: 400.0,
        drops: |_| 0.0,
        limit: None,
        read_every: 10,
    };
    let load = |s: f64| 8.0 * growing(2_400.0, 600.0)(s);
    let hit = |s: f64| growing(2_400.0, 600.0)(s) > 1.3;
    let run = |failing: fn(f64) -> f64, waiting: f64| {
        let mut log = host.log();
        log.requests(6_000.0, load, failing, |s| if hit(s) { 40.0 * waiting } else { 40.0 });
        log.run()
    };
    for (failing, waiting) in [((|s| if s > 2_700.0 { 0.03 } else { 0.0 }) as fn(f64) -> f64, 1.0), (|_| 0.0, 4.0)] {
        let outcome = run(failing, waiting);
        let (page, seconds) = outcome.first(AlertName::Saturation, Severity::Critical, SOURCE);
        assert!((2_700.0..3_300.0).contains(&seconds), "{seconds}: {}", page.summary);
        assert!(page.summary.contains("highest rate so far"), "{}", page.summary);
        assert_eq!(outcome.fired(AlertName::Saturation, Severity::Critical).len(), 1, "{}", outcome.told());
    }
    run(|_| 0.0, 1.0).assert_nobody_is_woken();
}

#[test]
fn what_is_flat_by_nature_wakes_nobody_when_others_fail() {
    let constant = Host {
        seconds: 6_000.0,
        operations: |_| 20_000.0,
        bytes_per_operation: 400.0,
        drops: |_| 0.0,
        limit: None,
        read_every: 10,
    };
    let mut log = constant.log();
    log.requests(6_000.0, |s| 8.0 * growing(2_400.0, 600.0)(s), |s| if s > 2_700.0 { 0.03 } else { 0.0 }, |_| 40.0);
    let outcome = log.run();
    assert!(!outcome.transitions.iter().any(|t| t.alert == AlertName::Saturation), "{}", outcome.told());
}
