//! Memory on its way to its limit: how fast, how soon it is told, how near the foretold time is; and what only looks
//! like it.

use super::{Lcg, Log, Outcome};
use crate::model::{AlertName, Dimension, Severity, metric};

const LIMIT: f64 = 8e9;

/// A source whose memory is a share of its limit, by second.
fn log(seconds: f64, read_every: f64, used_share: impl Fn(f64) -> f64) -> Log {
    let mut random = Lcg(3);
    let mut log = Log::default();
    let mut second = 0.0;
    while second < seconds {
        let share = (used_share(second) + 0.002 * random.normal_of_twelve()).clamp(0.0, 1.0);
        log.signal(second, "redis/cache-2", metric::MEMORY_USED_BYTES, (share * LIMIT).round());
        log.signal(second, "redis/cache-2", metric::MEMORY_LIMIT_BYTES, LIMIT);
        second += read_every;
    }
    log
}

fn run(seconds: f64, read_every: f64, used_share: impl Fn(f64) -> f64) -> Outcome {
    log(seconds, read_every, used_share).run()
}

/// A share that stands still until minute 15 and is full `minutes` later.
fn filling(minutes: f64) -> impl Fn(f64) -> f64 {
    move |s| 0.4 + 0.6 * ((s - 900.0) / (60.0 * minutes)).clamp(0.0, 1.0)
}

#[test]
fn a_limit_is_foretold_at_every_pace() {
    for (minutes, before_min) in [(2.0, 10.0), (6.0, 60.0), (20.0, 240.0), (60.0, 600.0)] {
        let end = 900.0 + 60.0 * minutes;
        let outcome = run(end + 30.0, 10.0, filling(minutes));
        let (page, seconds) = outcome.first(AlertName::MemoryExhaustion, Severity::Critical, "redis/cache-2");
        println!("{minutes} min: {} s before the end: {}", end - seconds, page.summary);
        assert!(seconds > 900.0 && end - seconds >= before_min, "{} s before: {}", end - seconds, outcome.told());
    }
}

/// The time until full that a summary foretells, in seconds.
fn foretold(summary: &str) -> f64 {
    let (_, text) = summary.rsplit_once(" in ").unwrap();
    let likely = text.split(" (").next().unwrap();
    let units = [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0)];
    let words: Vec<&str> = likely.split(' ').collect();
    let unit = |name: &str| units.iter().find(|(unit, _)| *unit == name).unwrap().1;
    words.chunks(2).map(|pair| pair[0].parse::<f64>().unwrap() * unit(pair[1])).sum()
}

#[test]
fn a_leak_is_a_ticket_with_the_time_that_is_left() {
    // Full in 20, 7 and 2 hours; a collector takes a tenth back every ten minutes.
    for hours in [20.0, 7.0, 2.0] {
        let share = |s: f64| 0.3 + 0.7 * s / (3_600.0 * hours);
        for every in [10.0, 60.0] {
            let seconds = 3_600.0 * hours * if hours > 2.0 { 0.4 } else { 0.75 };
            let saw = |s: f64| share(s) - 0.03 * (s % 600.0 / 600.0);
            let outcome = run(seconds, every, saw);
            let (ticket, at) = outcome.first(AlertName::MemoryExhaustion, Severity::Warning, "redis/cache-2");
            let (told, left) = (foretold(&ticket.summary), 3_600.0 * hours - at);
            println!("{hours} h, {every} s: at {at}: told {told}, left {left}: {}", ticket.summary);
            assert!((told / left - 1.0).abs() <= 0.2, "{told} s told, {left} s left: {}", ticket.summary);
            assert!(at <= 3_600.0 * 6.0);
            outcome.assert_nobody_is_woken();
        }
    }
}

#[test]
fn growth_over_weeks_is_a_ticket_and_says_that_load_grows_too() {
    let daily = |days: f64, read_every: f64, growth_a_day: f64, load: fn(f64) -> f64| {
        let shape = |s: f64| 0.05 * (s / 86_400.0 * std::f64::consts::TAU).sin();
        let mut log = log(86_400.0 * days, read_every, |s| 0.55 + shape(s) + growth_a_day * s / 86_400.0);
        let mut second = 0.0;
        while second < 86_400.0 * days {
            log.requests_at(second, load(second));
            second += 3_600.0;
        }
        log.run()
    };
    for read_every in [600.0, 3_600.0, 14_400.0] {
        let outcome = daily(16.0, read_every, 0.014, |_| 10.0);
        let (ticket, at) = outcome.first(AlertName::MemoryExhaustion, Severity::Warning, "redis/cache-2");
        let (told, left) = (foretold(&ticket.summary) / 86_400.0, (1.0 - 0.6) / 0.014 - at / 86_400.0);
        println!("{read_every}: day {}: {told} told, {left} left: {}", at / 86_400.0, ticket.summary);
        assert!((told / left - 1.0).abs() < 0.2, "{told} told, {left} left: {}", ticket.summary);
        assert!(ticket.summary.contains("leaks"), "{}", ticket.summary);
        outcome.assert_nobody_is_woken();
        daily(16.0, read_every, 0.0, |_| 10.0).assert_silent();
    }
    let followed = daily(16.0, 3_600.0, 0.014, |s| 10.0 + (s / 86_400.0).floor());
    let (ticket, _) = followed.first(AlertName::MemoryExhaustion, Severity::Warning, "redis/cache-2");
    assert!(ticket.summary.contains("grows with its load"), "{}", ticket.summary);
}

#[test]
fn without_a_limit_growth_is_a_ticket() {
    let mut log = log(4.0 * 3_600.0, 30.0, |s| 0.2 + 0.1 * s / 3_600.0);
    log.events.retain(
        |event| !matches!(event, crate::model::Event::Signal(signal) if signal.metric == metric::MEMORY_LIMIT_BYTES),
    );
    let outcome = log.run();
    let (ticket, _) = outcome.first(AlertName::MemoryExhaustion, Severity::Warning, "redis/cache-2");
    assert!(ticket.summary.contains("no limit is known"), "{}", ticket.summary);
    outcome.assert_nobody_is_woken();
}

#[test]
fn collectors_caches_and_days_wake_nobody() {
    // Saw-teeth of 4, 12 and 25 minutes up to 85 %.
    for period in [240.0, 720.0, 1_500.0] {
        run(3.0 * 3_600.0, 10.0, |s| 0.45 + 0.4 * ((s + 0.85 * period) % period / period)).assert_nobody_is_woken();
    }
    // A cache that fills and stays; one that lives full and is trimmed now and then.
    run(7_200.0, 10.0, |s| 0.85 * (1.0 - (-s / 1_200.0).exp())).assert_nobody_is_woken();
    run(4.0 * 3_600.0, 10.0, |s| 0.985 - 0.1 * (1.0 - (s + 1_200.0) % 3_600.0 / 3_600.0).powi(8))
        .assert_nobody_is_woken();
    // A day between 30 and 88 %, twice.
    let day = run(2.0 * 86_400.0, 60.0, |s| 0.59 - 0.29 * (s / 86_400.0 * std::f64::consts::TAU).cos());
    day.assert_nobody_is_woken();
}

#[test]
fn memory_that_follows_a_crowd_wakes_nobody() {
    // Three times the load within four minutes, kept for half an hour; memory follows at once, or five minutes late.
    let crowd = |s: f64| 1.0 + 2.0 * ((s - 1_200.0) / 240.0).clamp(0.0, 1.0) * f64::from(u8::from(s < 3_000.0));
    for lag in [1.0, 300.0] {
        let mut levels = vec![1.0];
        for second in 1..4_800_u32 {
            let before = levels[second as usize - 1];
            levels.push(before + (crowd(f64::from(second)) - before) / lag);
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mut log = log(4_800.0, 10.0, |s| 0.28 * levels[s as usize]);
        log.requests(4_800.0, |s| 3.0 * crowd(s), |_| 0.0, |_| 50.0);
        log.run().assert_nobody_is_woken();
    }
}

#[test]
fn a_leak_that_is_killed_and_restarted_is_told_each_time_and_as_a_loop() {
    // Full every 20 minutes, three times and more in an hour.
    let life = 1_200.0;
    let mut log = log(3.0 * 3_600.0, 10.0, |s| 0.2 + 0.8 * (s % life / life));
    let mut second = 0.0;
    while second < 3.0 * 3_600.0 {
        log.signal(second, "redis/cache-2", metric::OOM_KILLS_TOTAL, (second / life).floor());
        second += 10.0;
    }
    let outcome = log.run();
    outcome.first(AlertName::MemoryExhaustion, Severity::Critical, "redis/cache-2");
    let (page, _) = outcome.first(AlertName::RestartLoop, Severity::Critical, "redis/cache-2");
    assert_eq!(page.labels.get(Dimension::Source), Some("redis/cache-2"));
    assert!(page.summary.contains("killed for memory"), "{}", page.summary);
}

#[test]
fn the_first_backup_and_the_first_cycle_of_a_collector_wake_nobody() {
    // Up to 85 % within 5 to 60 minutes, kept for a quarter of an hour and released.
    for minutes in [5.0, 10.0, 20.0, 30.0, 45.0, 60.0] {
        for every in [15.0, 60.0] {
            let up = |s: f64| ((s - 7_200.0) / (60.0 * minutes)).clamp(0.0, 1.0);
            let down = |s: f64| ((8_100.0 + 60.0 * minutes + 300.0 - s) / 300.0).clamp(0.0, 1.0);
            run(14_400.0, every, |s| 0.42 + 0.43 * up(s).min(down(s))).assert_nobody_is_woken();
        }
    }
    for period in [240.0, 600.0, 1_300.0, 2_400.0] {
        run(4.0 * period, 15.0, |s| 0.35 + 0.6 * (s % period / period)).assert_nobody_is_woken();
    }
}

#[test]
fn what_is_read_once_a_minute_is_told_within_its_readings() {
    for (minutes, before_min) in [(4.0, 50.0), (6.0, 30.0), (10.0, 50.0), (20.0, 120.0)] {
        for every in [30.0, 60.0] {
            let end = 900.0 + 60.0 * minutes;
            let outcome = run(end + 90.0, every, filling(minutes));
            println!("{minutes} min, every {every} s");
            let (page, seconds) = outcome.first(AlertName::MemoryExhaustion, Severity::Critical, "redis/cache-2");
            assert!(end - seconds >= before_min - every, "{minutes} min, {every} s: {seconds}: {}", page.summary);
        }
    }
}
