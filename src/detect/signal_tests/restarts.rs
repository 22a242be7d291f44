//! Restarts by each way of telling, and deploys.

use super::{Log, Outcome};
use crate::model::{AlertName, Severity, metric};

/// Writes what a container tells at a second, with its restarts so far and its uptime.
type Tells = dyn Fn(&mut Log, f64, usize, f64);

fn told(times: &[f64], tells: &Tells) -> Outcome {
    let mut log = Log::default();
    let mut second = 0.0;
    while second < 3_600.0 {
        let before = times.iter().filter(|time| **time <= second);
        let up = second - before.clone().next_back().copied().unwrap_or(-9_000.0);
        tells(&mut log, second, before.count(), up);
        second += 15.0;
    }
    log.run()
}

#[allow(clippy::cast_precision_loss)]
fn ways() -> Vec<Box<Tells>> {
    let source = "container/worker-3";
    vec![
        Box::new(move |log, s, _, up| log.signal(s, source, metric::UPTIME_SECONDS, up)),
        Box::new(move |log, s, count, _| log.signal(s, source, metric::RESTARTS_TOTAL, 40.0 + count as f64)),
        Box::new(move |log, s, count, _| log.signal(s, source, metric::OOM_KILLS_TOTAL, count as f64)),
        // A counter of restarts that stands still hides no kills.
        Box::new(move |log, s, count, _| {
            log.signal(s, source, metric::RESTARTS_TOTAL, 7.0);
            log.signal(s, source, metric::OOM_KILLS_TOTAL, count as f64);
        }),
    ]
}

#[test]
fn a_loop_is_seen_in_every_way_of_telling() {
    for way in ways() {
        let outcome = told(&[1_200.0, 1_290.0, 1_500.0, 1_710.0], &way);
        let (_, seconds) = outcome.first(AlertName::RestartLoop, Severity::Critical, "container/worker-3");
        assert!((1_500.0..=1_530.0).contains(&seconds), "{seconds}: {}", outcome.told());
        assert_eq!(outcome.fired(AlertName::RestartLoop, Severity::Critical).len(), 1);
        told(&[1_200.0, 1_400.0], &way).assert_silent();
    }
}

#[test]
fn what_was_usual_before_a_loop_stays_so_while_it_lasts() {
    let times: Vec<f64> = (0..20).map(|i| 600.0 + 90.0 * f64::from(i)).collect();
    for way in ways() {
        let outcome = told(&times, &way);
        let of_the_loop = outcome.transitions.iter().filter(|one| one.alert == AlertName::RestartLoop);
        let baselines: Vec<f64> = of_the_loop.map(|one| one.baseline).collect();
        assert!(baselines.len() >= 2 && baselines.iter().all(|baseline| *baseline == 0.0), "{baselines:?}");
    }
}

#[test]
fn a_rolling_deploy_is_no_loop_and_one_container_among_many_is() {
    let deploy = |crashing: bool| {
        let mut log = Log::default();
        for container in 0..20 {
            let source = format!("container/api-{container}");
            let restarted_at = 1_200.0 + 30.0 * f64::from(container);
            let mut second = f64::from(container) / 10.0;
            while second < 3_600.0 {
                let mut total = f64::from(u8::from(second >= restarted_at));
                if crashing && container == 4 {
                    total += ((second - 1_800.0) / 100.0).clamp(0.0, 5.0).floor();
                }
                log.signal(second, &source, metric::RESTARTS_TOTAL, total);
                second += 15.0;
            }
        }
        log.run()
    };
    deploy(false).assert_silent();
    let outcome = deploy(true);
    outcome.first(AlertName::RestartLoop, Severity::Critical, "container/api-4");
    assert_eq!(outcome.pages().len(), 1, "{}", outcome.told());
}

/// A source that tells its restarts or its time up every 15 seconds, with a deploy where there is one.
fn slow(times: &[f64], seconds: f64, uptime: bool, deploy: Option<f64>) -> Outcome {
    let (mut log, mut second, source) = (Log::default(), 0.0, "container/api-3");
    while second < seconds {
        let before: Vec<f64> = times.iter().copied().filter(|time| *time <= second).collect();
        let up = second - before.last().copied().unwrap_or(-90_000.0);
        #[allow(clippy::cast_precision_loss)]
        let count = before.len() as f64;
        if uptime {
            log.signal(second, source, metric::UPTIME_SECONDS, up);
        } else {
            log.signal(second, source, metric::RESTARTS_TOTAL, 3.0 + count);
        }
        second += 15.0;
    }
    if let Some(second) = deploy {
        log.events.push(crate::model::Event::Change(crate::model::Change {
            timestamp: super::at(second),
            kind: crate::model::ChangeKind::Deploy,
            service: "api".into(),
            version: Some("8.1".into()),
            title: None,
            url: None,
            attributes: crate::model::Attributes::default(),
        }));
    }
    log.run()
}

#[test]
fn a_slow_loop_is_seen_at_its_third_restart_and_stays() {
    for gap in [420.0, 600.0, 900.0, 1_200.0] {
        for uptime in [true, false] {
            let times: Vec<f64> = (0..7).map(|i| 3_000.0 + gap * f64::from(i)).collect();
            let outcome = slow(&times, 3_000.0 + 7.0 * gap, uptime, None);
            let (_, seconds) = outcome.first(AlertName::RestartLoop, Severity::Critical, "container/api-3");
            assert!((3_000.0 + 2.0 * gap..3_030.0 + 2.0 * gap).contains(&seconds), "{gap}: {}", outcome.told());
            assert_eq!(outcome.transitions.len(), 1, "{}", outcome.told());
        }
    }
    // After a deploy: its own restart does not count.
    let times: Vec<f64> = (0..7).map(|i| 3_060.0 + 500.0 * f64::from(i)).collect();
    let (_, seconds) =
        slow(&times, 6_500.0, true, Some(3_000.0)).first(AlertName::RestartLoop, Severity::Critical, "container/api-3");
    assert!((4_560.0..4_600.0).contains(&seconds), "{seconds}");
}

#[test]
fn recycled_workers_deploys_and_what_restarts_every_night_are_no_loop() {
    let recycled: Vec<f64> = (1..16).map(|i| 600.0 * f64::from(i) + 40.0 * f64::from(i % 3)).collect();
    slow(&recycled, 10_000.0, false, None).assert_silent();
    slow(&[3_000.0, 4_200.0], 9_000.0, true, Some(2_990.0)).assert_silent();
    // One source that counts the restarts of twelve replicas, two minutes each.
    let rolling: Vec<f64> = (0..12).map(|i| 3_000.0 + 120.0 * f64::from(i)).collect();
    slow(&rolling, 9_000.0, false, Some(2_990.0)).assert_silent();
    let night = |day: f64| [0.0, 900.0, 1_800.0].map(|second| 20_000.0 + second + 86_400.0 * day);
    let nights: Vec<f64> = [night(0.0), night(1.0), night(2.0)].concat();
    let outcome = slow(&nights, 200_000.0, false, None);
    assert!(outcome.pages().len() <= 1, "only the first night is new: {}", outcome.told());
}
