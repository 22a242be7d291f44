//! `QueryBlowup` on made query traffic: who is named, when, and who is not.

use crate::detect::test_logs::{
    Factors, GIB, Pattern, at, change, firing, memory, pages, replay, runs, signal, sorted,
};
use crate::model::{
    AlertName, ChangeKind, Dimension, Event, QueryState, SAMPLE_QUERIES_MAX, Severity, Timestamp, Transition,
};

const ONSET_S: f64 = 1_200.0;

fn others() -> Vec<Pattern> {
    vec![
        Pattern { memory_bytes: 0.05 * GIB, ..Pattern::new("aa01", "api") },
        Pattern { memory_bytes: 1.0 * GIB, per_minute: |_| 6.0, ..Pattern::new("bb02", "export") },
        Pattern { sigma: 1.0, ..Pattern::new("cc03", "dashboard") },
    ]
}

/// From minute 20 a new version takes more memory in one pattern.
fn blowup(memory_factor: fn(f64, f64) -> Factors) -> Vec<Pattern> {
    let mut patterns = others();
    patterns.push(Pattern { at: memory_factor, ..Pattern::new("dd04", "funnel report") });
    patterns
}

fn delay_s(alert: &Transition) -> i64 {
    alert.at.since(at(ONSET_S)) / 1_000
}

fn twice(s: f64, _: f64) -> Factors {
    if s < ONSET_S { (Some("4.1"), 1.0, 1.0, 1.0) } else { (Some("4.2"), 2.0, 1.0, 1.0) }
}

fn thrice(s: f64, _: f64) -> Factors {
    if s < ONSET_S { (Some("4.1"), 1.0, 1.0, 1.0) } else { (Some("4.2"), 3.0, 1.2, 1.0) }
}

fn tenfold(s: f64, _: f64) -> Factors {
    if s < ONSET_S { (Some("4.1"), 1.0, 1.0, 1.0) } else { (Some("4.2"), 10.0, 4.0, 1.0) }
}

#[test]
fn memory_above_its_own_normal_is_a_ticket_that_names_pattern_origin_and_version() {
    for (name, factor, delay_max_s) in
        [("2x", twice as fn(f64, f64) -> _, 180), ("3x", thrice, 120), ("10x", tenfold, 90)]
    {
        for seed in 1..=3 {
            let mut events = runs(&blowup(factor), 40.0, seed);
            events.push(change(ONSET_S - 20.0, ChangeKind::Release, "funnel", Some("4.2")));
            let (transitions, incidents) = replay(&sorted(events));
            let alerts = firing(&transitions, AlertName::QueryBlowup);
            assert_eq!(alerts.len(), 1, "{name}/{seed}: {alerts:#?}");
            let alert = alerts[0];
            assert_eq!(alert.severity, Severity::Warning);
            assert_eq!(alert.labels.get(Dimension::Fingerprint), Some("dd04"));
            let cause = &alert.causes[0].dimensions;
            assert_eq!(cause.get(Dimension::Fingerprint), Some("dd04"));
            assert_eq!(cause.get(Dimension::Origin), Some("funnel report"));
            assert_eq!(cause.get(Dimension::Version), Some("4.2"));
            assert!(alert.causes[0].evidence.contains("release of funnel 4.2"), "{}", alert.causes[0].evidence);
            assert!((0..=delay_max_s).contains(&delay_s(alert)), "{name}/{seed}: {} s", delay_s(alert));
            assert!(alert.since.since(at(ONSET_S)).abs() <= 60_000, "{name}/{seed}: {}", alert.since);
            println!("{name}/{seed}: {} s; {} | {}", delay_s(alert), alert.summary, alert.causes[0].evidence);
            assert!(incidents.iter().any(|i| i.alerts.contains(&AlertName::QueryBlowup)));
        }
    }
}

#[test]
fn runs_of_the_cause_are_named_to_look_up_and_not_those_of_another_origin_or_version() {
    let mut patterns = blowup(tenfold);
    patterns.push(Pattern { memory_bytes: 40.0 * GIB, per_minute: |_| 6.0, ..Pattern::new("dd04", "nightly") });
    let mut events = sorted(runs(&patterns, 40.0, 1));
    for (event, number) in events.iter_mut().zip(0..) {
        if let Event::Query(run) = event {
            run.attributes.insert("query_id", &format!("q-{number}"));
        }
    }
    let (_, incidents) = replay(&events);
    let samples = &incidents[0].sample_queries;
    assert!((1..=SAMPLE_QUERIES_MAX).contains(&samples.len()), "{incidents:#?}");
    assert!(samples.is_sorted_by(|a, b| a.memory_bytes >= b.memory_bytes), "{samples:#?}");
    for sample in samples {
        let number: usize = sample.query_id.trim_start_matches("q-").parse().unwrap();
        let Event::Query(run) = &events[number] else { panic!("{sample:?} is no query") };
        assert_eq!((run.origin.as_deref(), run.version.as_deref()), (Some("funnel report"), Some("4.2")));
        assert_eq!((run.timestamp, run.memory_bytes), (sample.timestamp, Some(sample.memory_bytes)));
        assert_eq!((&run.node, &run.user, run.state), (&sample.node, &sample.user, sample.state));
    }
}

#[test]
fn a_node_in_danger_pages() {
    // 20 a minute of 2 GiB for 8 s hold 5 GiB; the node has 8 and its reading follows.
    for seed in 1..=3 {
        let mut events = runs(&blowup(tenfold), 40.0, seed);
        events.extend(memory(
            40.0,
            8.0,
            |s| if s < ONSET_S + 20.0 { 3.0 } else { (3.0 + (s - ONSET_S) / 10.0).min(7.6) },
        ));
        let (transitions, _) = replay(&sorted(events));
        let pages: Vec<_> = pages(&transitions).into_iter().filter(|p| p.alert == AlertName::QueryBlowup).collect();
        assert_eq!(pages.len(), 1, "{pages:#?}");
        assert_eq!(pages[0].labels.get(Dimension::Fingerprint), Some("dd04"));
        assert!((0..=90).contains(&delay_s(pages[0])), "{} s", delay_s(pages[0]));
        println!("{} s: {} | {}", delay_s(pages[0]), pages[0].summary, pages[0].causes[0].evidence);
    }
}

#[test]
fn victims_are_not_named_and_the_killer_is() {
    let mut events = runs(&blowup(tenfold), 40.0, 5);
    // The node refuses memory to everybody, small runs first; the killer is refused at its great size.
    for (i, event) in events.iter_mut().enumerate() {
        if let Event::Query(run) = event
            && run.timestamp > at(ONSET_S + 10.0)
            && i % 2 == 0
        {
            run.state = Some(QueryState::Failed);
            run.exception_code = Some(241);
            run.duration_ms = Some(300.0);
            run.memory_bytes = run.memory_bytes.map(|bytes| bytes * 8 / 10);
        }
    }
    let (transitions, _) = replay(&events);
    let alerts = firing(&transitions, AlertName::QueryBlowup);
    assert!(!alerts.is_empty());
    for alert in &alerts {
        assert_eq!(alert.labels.get(Dimension::Fingerprint), Some("dd04"), "{alert:#?}");
    }
    assert!(alerts.iter().any(|a| a.severity == Severity::Critical && a.causes[0].evidence.contains("refused memory")));
}

#[test]
fn a_new_pattern_that_fills_the_node_is_named() {
    let mut patterns = others();
    patterns.push(Pattern {
        per_minute: |_| 12.0,
        memory_bytes: 3.0 * GIB,
        duration_ms: 20_000.0,
        at: |_, _| (Some("9"), 1.0, 1.0, 1.0),
        ..Pattern::new("ee05", "heatmap")
    });
    let mut events = runs(&patterns, 30.0, 6);
    events.retain(|e| !matches!(e, Event::Query(run) if run.fingerprint.as_deref() == Some("ee05") && run.timestamp < at(ONSET_S)));
    events.extend(memory(30.0, 16.0, |s| if s < ONSET_S { 4.0 } else { (4.0 + (s - ONSET_S) / 20.0).min(15.0) }));
    events.push(change(ONSET_S - 300.0, ChangeKind::Flag, "heatmap", None));
    let (transitions, _) = replay(&sorted(events));
    let pages = pages(&transitions);
    let page = pages.iter().find(|p| p.alert == AlertName::QueryBlowup).unwrap();
    assert_eq!(page.causes[0].dimensions.get(Dimension::Fingerprint), Some("ee05"));
    assert_eq!(page.causes[0].dimensions.get(Dimension::Origin), Some("heatmap"));
    assert!(page.causes[0].evidence.contains("flag of heatmap"), "{}", page.causes[0].evidence);
    println!("{} s: {} | {}", delay_s(page), page.summary, page.causes[0].evidence);
}

#[test]
fn a_flood_of_ordinary_runs_is_named_when_it_fills_the_node() {
    let mut patterns = others();
    patterns.push(Pattern {
        per_minute: |s| if s < ONSET_S { 10.0 } else { 150.0 },
        duration_ms: 10_000.0,
        ..Pattern::new("ff06", "mobile")
    });
    let mut events = runs(&patterns, 30.0, 7);
    events.extend(memory(30.0, 8.0, |s| if s < ONSET_S { 2.0 } else { (2.0 + (s - ONSET_S) / 20.0).min(7.5) }));
    let (transitions, _) = replay(&sorted(events));
    let pages = pages(&transitions);
    let page = pages.iter().find(|p| p.alert == AlertName::QueryBlowup).unwrap();
    assert_eq!(page.labels.get(Dimension::Fingerprint), Some("ff06"), "{page:#?}");
    println!("{} s: {} | {}", delay_s(page), page.summary, page.causes[0].evidence);
}

#[test]
fn ordinary_days_are_silent() {
    let calm: Vec<(&str, Vec<Pattern>, f64)> = vec![
        ("steady", others(), 120.0),
        (
            "a nightly export that is always that heavy, and more of everything by day",
            vec![
                Pattern { per_minute: |s| 10.0 + 8.0 * (s / 2_000.0).sin(), sigma: 1.2, ..Pattern::new("aa01", "api") },
                Pattern { per_minute: |_| 0.1, memory_bytes: 6.0 * GIB, ..Pattern::new("bb02", "export") },
            ],
            120.0,
        ),
        (
            "customers ask for longer ranges, as some always did",
            vec![Pattern {
                at: |s, u| {
                    let long = u < if s < ONSET_S { 0.3 } else { 0.9 };
                    if long { (None, 8.0, 4.0, 8.0) } else { (None, 1.0, 1.0, 1.0) }
                },
                sigma: 0.2,
                ..Pattern::new("aa01", "api")
            }],
            60.0,
        ),
        (
            "a migration between versions without harm",
            vec![Pattern {
                at: |s, u| (Some(if u < (s - 600.0) / 1_800.0 { "2.0" } else { "1.9" }), 1.0, 1.0, 1.0),
                sigma: 1.0,
                ..Pattern::new("aa01", "api")
            }],
            60.0,
        ),
    ];
    for (name, patterns, minutes) in calm {
        for seed in 11..=12 {
            let mut events = runs(&patterns, minutes, seed);
            events.extend(memory(minutes, 64.0, |s| 30.0 + 10.0 * (s / 900.0).sin()));
            events.push(change(700.0, ChangeKind::Deploy, "api", Some("2.0")));
            let (transitions, _) = replay(&sorted(events));
            // A node whose memory rises for a quarter of an hour may be suspected of a leak meanwhile.
            let told: Vec<_> = transitions.iter().filter(|t| t.alert != AlertName::MemoryExhaustion).collect();
            assert!(told.is_empty(), "{name}/{seed}: {told:#?}");
        }
    }
}

#[test]
fn heavy_batches_that_have_room_and_restarts_by_deploys_page_nobody() {
    let mut patterns = others();
    patterns.push(Pattern {
        per_minute: |_| 2.0,
        memory_bytes: 9.0 * GIB,
        sigma: 0.8,
        duration_ms: 12_000.0,
        ..Pattern::new("nightly", "batch")
    });
    for seed in 31..=32 {
        let mut events = runs(&patterns, 60.0, seed);
        events.retain(|e| {
            !matches!(e, Event::Query(run) if run.fingerprint.as_deref() == Some("nightly") && run.timestamp < at(ONSET_S))
        });
        events.extend(memory(60.0, 100.0, |s| if s < ONSET_S { 20.0 } else { 47.0 }));
        events.extend(
            (0..360)
                .map(|i| signal(f64::from(i) * 10.0, "clickhouse/ch-1", "uptime_seconds", f64::from(i * 10 % 1_500))),
        );
        let (transitions, _) = replay(&sorted(events));
        assert!(pages(&transitions).is_empty(), "{seed}: {transitions:#?}");
    }
}

#[test]
fn rare_reports_that_take_twice_as_much_are_found_in_time() {
    let rare = Pattern {
        per_minute: |_| 1.5,
        memory_bytes: 3.0 * GIB,
        sigma: 0.35,
        at: |s, _| (None, if s < ONSET_S { 1.0 } else { 2.0 }, 1.0, 1.0),
        ..Pattern::new("dd04", "back office")
    };
    let found = (1..=4).filter(|seed| {
        let (transitions, _) = replay(&runs(std::slice::from_ref(&rare), 60.0, *seed));
        let alerts = firing(&transitions, AlertName::QueryBlowup);
        alerts.iter().for_each(|alert| println!("rare/{seed}: {} s: {}", delay_s(alert), alert.summary));
        !alerts.is_empty()
    });
    assert!(found.count() >= 3);
}

#[test]
fn a_release_that_makes_many_patterns_heavier_pages_for_the_greatest() {
    let names = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
    let patterns: Vec<Pattern> = names
        .into_iter()
        .map(|name| Pattern { per_minute: |_| 15.0, at: thrice, ..Pattern::new(name, "portal") })
        .chain(others())
        .collect();
    let mut events = runs(&patterns, 40.0, 41);
    // Each pattern alone holds 0.2 GiB of 6 GiB more than it did.
    events.extend(memory(40.0, 6.0, |s| if s < ONSET_S + 30.0 { 3.5 } else { 5.4 }));
    let (transitions, _) = replay(&sorted(events));
    let pages = pages(&transitions);
    assert!(!pages.is_empty() && pages.len() <= 4, "{pages:#?}");
    assert!(pages.iter().all(|p| p.causes[0].dimensions.get(Dimension::Version) == Some("4.2")), "{pages:#?}");
}

#[test]
fn a_full_node_with_everybody_as_always_names_nobody() {
    let mut events = runs(&others(), 60.0, 21);
    events.extend(memory(60.0, 8.0, |_| 7.4));
    let (transitions, _) = replay(&sorted(events));
    assert!(firing(&transitions, AlertName::QueryBlowup).is_empty(), "{transitions:#?}");
}

#[test]
fn running_queries_tell_before_they_end_and_count_once() {
    let mut events = runs(&others(), 30.0, 8);
    let slow = Pattern { per_minute: |_| 2.0, duration_ms: 5_000.0, ..Pattern::new("dd04", "funnel") };
    events.extend(runs(std::slice::from_ref(&slow), 20.0, 9));
    let mut random = crate::detect::test_logs::Lcg(3);
    for i in 0..60 {
        let mut run = slow.run(ONSET_S + 5.0 * f64::from(i), &mut random);
        run.state = Some(QueryState::Running);
        run.node = "ch-1".into();
        run.duration_ms = Some(5_000.0 * f64::from(i));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let bytes = (f64::from(i).mul_add(0.4, 1.0).min(7.0) * GIB) as u64;
        run.memory_bytes = Some(bytes);
        events.push(Event::Query(Box::new(run)));
    }
    events.extend((0..180).map(|i| signal(f64::from(i) * 10.0, "ch-1", "memory_limit_bytes", 8.0 * GIB)));
    let (transitions, _) = replay(&sorted(events));
    let pages = pages(&transitions);
    assert_eq!(pages.len(), 1, "{pages:#?}");
    assert_eq!(pages[0].labels.get(Dimension::Fingerprint), Some("dd04"));
    assert!((0..=75).contains(&delay_s(pages[0])), "{} s", delay_s(pages[0]));
    println!("{} s: {} | {}", delay_s(pages[0]), pages[0].summary, pages[0].causes[0].evidence);
}

#[test]
fn order_inside_the_lateness_does_not_matter_and_silence_ends_nothing_early() {
    let mut events = runs(&blowup(tenfold), 26.0, 4);
    let (transitions, _) = replay(&events);
    // Neighbours up to 2 s apart change places.
    let key = |event: &Event| (event.timestamp().as_millis() / 2_000, std::cmp::Reverse(event.timestamp()));
    events.sort_by_key(key);
    assert_eq!(replay(&events).0, transitions);
    // Nothing at all for an hour: the newest word is still that of the blow-up.
    events.retain(|event| event.timestamp() < at(1_500.0));
    let silent = replay(&events).0;
    assert!(silent.iter().all(|t| t.at < at(1_520.0)));
    let onset: Vec<Timestamp> = firing(&silent, AlertName::QueryBlowup).iter().map(|t| t.since).collect();
    assert_eq!(onset.len(), 1);
}

#[test]
fn text_alone_is_enough() {
    let mut events = runs(&blowup(tenfold), 30.0, 2);
    for (i, event) in events.iter_mut().enumerate() {
        if let Event::Query(run) = event {
            let table = run.fingerprint.take().unwrap();
            run.query = Some(format!("SELECT count() /* {i} */ FROM {table} WHERE id IN ({i}, {})", i * 7).into());
            (run.origin, run.version) = (None, None);
        }
    }
    let (transitions, _) = replay(&events);
    let alerts = firing(&transitions, AlertName::QueryBlowup);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].labels.get(Dimension::Fingerprint).map(str::len), Some(16));
    assert!(alerts[0].summary.contains("from dd04"), "{}", alerts[0].summary);
}
