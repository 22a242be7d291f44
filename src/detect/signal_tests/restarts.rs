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
