//! The pure core on hand-made traffic: what fires, what does not, what it says, and that order inside the lateness does
//! not matter. (Closed-loop traffic comes from the simulator, in `replay.rs`.)

use floodmark::alert::Rules;
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{
    AlertName, Change, ChangeKind, Dimension, Event, IncidentReport, Output, Request, Severity, Signal, Text,
    Timestamp, Transition, TransitionEvent,
};
use floodmark::pipeline::{Pipeline, Settings};
use proptest::prelude::*;

const START_MS: i64 = 1_772_352_000_000;

fn settings() -> Settings {
    Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() }
}

fn run(events: &[Event]) -> (Vec<Transition>, Vec<IncidentReport>) {
    let mut pipeline = Pipeline::new(&settings());
    let mut outputs = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    split(outputs)
}

fn split(outputs: Vec<Output>) -> (Vec<Transition>, Vec<IncidentReport>) {
    let (mut transitions, mut incidents) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            Output::Transition(transition) => transitions.push(transition),
            Output::Incident(incident) => incidents.push(incident),
        }
    }
    (transitions, incidents)
}

fn at(seconds: f64) -> Timestamp {
    #[allow(clippy::cast_possible_truncation)]
    let ms = (seconds * 1_000.0) as i64;
    Timestamp::from_millis(START_MS + ms)
}

/// A small linear congruential generator: the tests must not depend on a crate's stream.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss)]
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

#[derive(Clone)]
struct Traffic {
    seconds: f64,
    per_second: f64,
    subscriptions: u32,
    /// Failure probability of a request, by second.
    failing: fn(f64) -> f64,
    /// Attempts a client makes at most, by subscription and second.
    attempts_max: fn(u32, f64) -> u32,
    version: fn(u32, f64) -> &'static str,
    with_attempt: bool,
    with_key: bool,
}

impl Traffic {
    fn steady() -> Self {
        Self {
            seconds: 1_200.0,
            per_second: 10.0,
            subscriptions: 40,
            failing: |_| 0.001,
            attempts_max: |_, _| 3,
            version: |_, _| "3.4.1",
            with_attempt: true,
            with_key: false,
        }
    }

    /// Each logical request is tried every two seconds until it succeeds or its client gives up.
    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = Lcg(seed);
        let mut events = Vec::new();
        let mut time = 0.0;
        let mut logical = 0;
        while time < self.seconds {
            time += -(1.0 - random.next()).ln() / self.per_second;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let subscription = (random.next() * f64::from(self.subscriptions)) as u32;
            logical += 1;
            let attempts_max = (self.attempts_max)(subscription, time);
            for attempt in 1..=attempts_max {
                let now = time + 2.0 * f64::from(attempt - 1);
                let failed = random.next() < (self.failing)(now);
                events.push(self.request(now, subscription, attempt, logical, failed));
                if !failed || now > self.seconds {
                    break;
                }
            }
        }
        events.sort_by_key(Event::timestamp);
        events
    }

    fn request(&self, now: f64, subscription: u32, attempt: u32, logical: u32, failed: bool) -> Event {
        Event::Request(Request {
            timestamp: at(now),
            subscription: Text::from(format!("sub-{subscription:03}")),
            client: Some(Text::from("kameleo-cli")),
            client_version: Some(Text::from((self.version)(subscription, now))),
            service: Some(Text::from("api")),
            route: Text::from(["SearchFingerprints", "CreateProfile", "StartProfile"][logical as usize % 3]),
            status: if failed { 503 } else { 200 },
            duration_ms: 80.0,
            attempt: self.with_attempt.then_some(attempt),
            request_key: self.with_key.then(|| Text::from(format!("key-{logical}"))),
            request_id: Some(Text::from(format!("r-{logical}-{attempt}"))),
            ..Request::default()
        })
    }
}

/// From minute 10, half of the requests fail for ten minutes; a third of the customers run 4.0.0, which never gives up.
fn storm() -> Traffic {
    Traffic {
        seconds: 2_400.0,
        failing: |s| if (600.0..1_200.0).contains(&s) { 0.7 } else { 0.001 },
        attempts_max: |subscription, _| if subscription % 3 == 0 { 200 } else { 3 },
        version: |subscription, _| if subscription % 3 == 0 { "4.0.0" } else { "3.4.1" },
        ..Traffic::steady()
    }
}

fn firing(transitions: &[Transition], alert: AlertName) -> Vec<&Transition> {
    transitions.iter().filter(|t| t.event == TransitionEvent::Firing && t.alert == alert).collect()
}

#[test]
fn unlimited_retries_name_the_version_and_nothing_else() {
    for (with_attempt, with_key) in [(true, false), (false, true), (true, true)] {
        let (transitions, incidents) = run(&Traffic { with_attempt, with_key, ..storm() }.events(1));
        let pages: Vec<_> = firing(&transitions, AlertName::RetryAmplification)
            .into_iter()
            .filter(|t| t.severity == Severity::Critical)
            .collect();
        assert_eq!(pages.len(), 1, "{pages:#?}");
        let page = pages[0];
        assert_eq!(page.labels.get(Dimension::ClientVersion), Some("4.0.0"));
        assert_eq!(page.causes[0].dimensions.get(Dimension::ClientVersion), Some("4.0.0"));
        // Seconds after the onset: no client has got far with its repeats yet.
        assert!(page.value > 1.15 && page.baseline < 1.1, "{page:#?}");
        let delay_s = page.at.since(at(600.0)) / 1_000;
        assert!((0..=60).contains(&delay_s), "{delay_s} s after the onset");
        let resolved = transitions
            .iter()
            .find(|t| t.event == TransitionEvent::Resolved && t.alert == AlertName::RetryAmplification)
            .expect("resolved");
        assert!(resolved.at > at(1_200.0) && resolved.at < at(1_600.0), "{}", resolved.at);
        let worst: Vec<_> = incidents.iter().filter(|i| i.severity == Severity::Critical).collect();
        assert_eq!(worst.len(), 1, "one cause, one incident: {worst:#?}");
        assert_eq!(worst[0].causes[0].dimensions.get(Dimension::ClientVersion), Some("4.0.0"));
        assert!(worst[0].alerts.contains(&AlertName::ErrorBudgetBurn));
        assert!(worst[0].ended_at.is_some());
    }
}

#[test]
fn an_incident_names_failed_requests_of_its_cause_to_look_up() {
    let events = storm().events(1);
    let (_, incidents) = run(&events);
    let worst = incidents.iter().find(|i| i.severity == Severity::Critical).expect("an incident");
    let samples = &worst.sample_requests;
    assert_eq!(samples.len(), 3, "{samples:#?}");
    for sample in samples {
        let logged = events.iter().find_map(|event| match event {
            Event::Request(r) if r.request_id.as_ref() == Some(&sample.request_id) => Some(r),
            _ => None,
        });
        let logged = logged.expect("it is in the log");
        assert_eq!(logged.client_version.as_deref(), Some("4.0.0"));
        assert!(logged.failed() || logged.attempt > Some(1), "{logged:?}");
        assert_eq!((logged.timestamp, logged.status), (sample.timestamp, sample.status));
        assert_eq!((&logged.subscription, &logged.route), (&sample.subscription, &sample.route));
        assert!(sample.timestamp >= at(600.0) && sample.timestamp < at(1_260.0), "{}", sample.timestamp);
    }
    let unnamed = |event: &Event| match event {
        Event::Request(request) => Event::Request(Request { request_id: None, ..request.clone() }),
        other => other.clone(),
    };
    let (_, without) = run(&events.iter().map(unnamed).collect::<Vec<_>>());
    let blank = |incident: &IncidentReport| IncidentReport { sample_requests: Vec::new(), ..incident.clone() };
    assert_eq!(without, incidents.iter().map(blank).collect::<Vec<_>>(), "ids decide nothing");
}

#[test]
fn memory_has_no_sample_requests() {
    let mut events = Traffic::steady().events(6);
    events.extend(memory("redis/main", 20, |s| 0.5 + s / 2_500.0));
    events.sort_by_key(Event::timestamp);
    let (_, incidents) = run(&events);
    let incident = incidents.iter().find(|i| i.alerts.contains(&AlertName::MemoryExhaustion)).expect("an incident");
    assert_eq!(incident.sample_requests, [], "requests say nothing of it");
}

#[test]
fn three_attempts_in_a_full_outage_are_nobodys_fault() {
    let outage = Traffic {
        failing: |s| if (600.0..900.0).contains(&s) { 1.0 } else { 0.001 },
        version: |subscription, _| if subscription % 3 == 0 { "4.0.0" } else { "3.4.1" },
        ..Traffic::steady()
    };
    let (transitions, incidents) = run(&outage.events(2));
    assert!(firing(&transitions, AlertName::RetryAmplification).is_empty());
    let burn = firing(&transitions, AlertName::ErrorBudgetBurn);
    assert_eq!(burn.len(), 1);
    assert!(burn[0].causes[0].dimensions.is_empty(), "{:#?}", burn[0].causes);
    assert!(burn[0].causes[0].evidence.contains("no narrower culprit"));
    assert_eq!(incidents.len(), 1);
}

#[test]
fn one_customer_on_a_version_that_others_use_well_is_the_culprit() {
    let one = Traffic {
        seconds: 1_200.0,
        failing: |s| if s > 600.0 { 0.5 } else { 0.001 },
        attempts_max: |subscription, _| if subscription == 7 { 300 } else { 3 },
        subscriptions: 10,
        ..Traffic::steady()
    };
    let (transitions, _) = run(&one.events(3));
    let pages = firing(&transitions, AlertName::RetryAmplification);
    assert!(!pages.is_empty());
    for page in pages {
        assert_eq!(page.labels.get(Dimension::Subscription), Some("sub-007"), "{page:#?}");
        assert_eq!(page.labels.get(Dimension::ClientVersion), None);
    }
}

#[test]
fn healthy_traffic_is_silent() {
    let (transitions, incidents) = run(&Traffic { seconds: 7_200.0, ..Traffic::steady() }.events(4));
    assert!(transitions.is_empty() && incidents.is_empty(), "{transitions:#?}");
}

#[test]
fn the_limit_is_1200_and_not_1199() {
    let steady = |per_minute: u32| {
        let request = |i: u32| {
            let mut event = Traffic::steady().request(f64::from(i) * 60.0 / f64::from(per_minute), 1, 1, i, false);
            if let Event::Request(request) = &mut event {
                // Requests in the first moment of a window belong to it: keep them off the boundary.
                request.timestamp = request.timestamp.plus(1);
            }
            event
        };
        run(&(0..per_minute * 3).map(request).collect::<Vec<_>>()).0
    };
    assert!(firing(&steady(1_200), AlertName::RateLimitExceeded).is_empty());
    let above = steady(1_260);
    let alerts = firing(&above, AlertName::RateLimitExceeded);
    assert_eq!(alerts.len(), 1, "one alert an episode");
    assert_eq!(alerts[0].labels.get(Dimension::Subscription), Some("sub-001"));
    assert_eq!(alerts[0].severity, Severity::Warning);
}

fn signal(seconds: f64, source: &str, metric: &str, value: f64) -> Event {
    Event::Signal(Signal {
        timestamp: at(seconds),
        source: Text::from(source),
        metric: Text::from(metric),
        value,
        attributes: floodmark::model::Attributes::default(),
    })
}

fn memory(source: &str, minutes: u32, used: impl Fn(f64) -> f64) -> Vec<Event> {
    let limit = 1_000_000_000.0;
    (0..minutes * 6)
        .flat_map(|i| {
            let s = f64::from(i) * 10.0;
            [signal(s, source, "memory_used_bytes", used(s) * limit), signal(s, source, "memory_limit_bytes", limit)]
        })
        .collect()
}

#[test]
fn memory_on_its_way_to_the_limit_pages_before_it_is_there() {
    // 1 % a minute from 50 %: full after 50 minutes. It climbs from the first reading on, so that nothing tells it from a
    // collector's first cycle until it is nearly full.
    let (transitions, _) = run(&memory("redis/main", 50, |s| 0.5 + s / 6_000.0));
    let pages = firing(&transitions, AlertName::MemoryExhaustion);
    let page = pages.iter().find(|t| t.severity == Severity::Critical).expect("a page");
    assert_eq!(page.labels.get(Dimension::Source), Some("redis/main"));
    assert_eq!(page.causes[0].dimensions.get(Dimension::Source), Some("redis/main"));
    let minute = page.at.since(at(0.0)) / 60_000;
    // The trend must be sure before it wakes anybody, with minutes to spare.
    assert!((33..=48).contains(&minute), "paged at minute {minute}");
}

#[test]
fn a_full_cache_a_filling_cache_and_noise_page_nobody() {
    let home = memory("cache/home", 60, |s| 0.985 + 0.004 * (s / 40.0).sin());
    let filling = memory("cache/filling", 60, |s| (s / 900.0).min(0.69));
    let noisy = memory("container/noisy", 60, |s| 0.6 + 0.08 * (s / 7.0).sin());
    for events in [home, filling, noisy] {
        let (transitions, _) = run(&events);
        assert!(transitions.iter().all(|t| t.severity != Severity::Critical), "{transitions:#?}");
    }
}

#[test]
fn a_slow_leak_is_a_ticket() {
    let (transitions, incidents) = run(&memory("container/agent", 180, |s| 0.3 + s / 72_000.0));
    let alerts = firing(&transitions, AlertName::MemoryExhaustion);
    assert_eq!(alerts.len(), 1, "{transitions:#?}");
    assert_eq!(alerts[0].severity, Severity::Warning);
    assert_eq!(incidents.len(), 1);
}

#[test]
fn three_restarts_are_a_loop_and_two_are_a_deploy() {
    let restarts = |times: &[f64]| {
        let times = times.to_vec();
        let events: Vec<Event> = (0..180)
            .map(|i| {
                let s = f64::from(i) * 10.0;
                #[allow(clippy::cast_precision_loss)]
                let total = 5.0 + times.iter().filter(|t| **t <= s).count() as f64;
                signal(s, "container/api-1", "restarts_total", total)
            })
            .collect();
        run(&events).0
    };
    assert!(restarts(&[300.0, 400.0]).is_empty());
    assert!(restarts(&[100.0, 900.0, 1_700.0]).is_empty(), "spread over half an hour");
    let alerts = restarts(&[300.0, 400.0, 500.0]);
    let fired = firing(&alerts, AlertName::RestartLoop);
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].labels.get(Dimension::Source), Some("container/api-1"));
    assert_eq!(alerts.last().map(|t| t.event), Some(TransitionEvent::Resolved));
}

#[test]
fn the_leak_and_the_innocent_deploy_beside_a_storm_are_ruled_out() {
    let mut events = storm().events(5);
    events.extend(memory("container/agent", 40, |s| 0.3 + s / 14_400.0));
    let change = |seconds, service: &str, version: &str, kind| {
        Event::Change(Change {
            timestamp: at(seconds),
            kind,
            service: Text::from(service),
            version: Some(Text::from(version)),
            title: None,
            url: None,
            attributes: floodmark::model::Attributes::default(),
        })
    };
    events.push(change(-7.0 * 86_400.0, "kameleo-cli", "4.0.0", ChangeKind::Release));
    events.push(change(120.0, "api", "8.1.0", ChangeKind::Deploy));
    events.sort_by_key(Event::timestamp);
    let (_, incidents) = run(&events);
    let storm = incidents.iter().find(|i| i.alerts.contains(&AlertName::RetryAmplification)).unwrap();
    let candidates: Vec<&str> = storm.ruled_out.iter().map(|r| r.candidate.as_str()).collect();
    assert!(candidates.iter().any(|c| c.contains("memory growth of container/agent")), "{candidates:?}");
    assert!(candidates.iter().any(|c| c.contains("api 8.1.0")), "{candidates:?}");
    assert!(!candidates.iter().any(|c| c.contains("4.0.0")), "{candidates:?}");
    assert!(storm.causes[0].evidence.contains("released"), "{}", storm.causes[0].evidence);
}

#[test]
fn silence_neither_fires_nor_resolves() {
    let mut events = storm().events(6);
    events.retain(|event| event.timestamp() < at(900.0));
    // Requests stop in the middle of the storm; signals go on for an hour.
    events.extend(memory("redis/main", 75, |_| 0.4).into_iter().filter(|e| e.timestamp() >= at(900.0)));
    let (transitions, _) = run(&events);
    assert!(!firing(&transitions, AlertName::RetryAmplification).is_empty());
    assert!(transitions.iter().all(|t| t.event != TransitionEvent::Resolved), "absent data is not zero");
}

#[test]
fn late_events_are_counted_and_not_detected_on() {
    let events = Traffic::steady().events(7);
    let mut pipeline = Pipeline::new(&settings());
    for event in &events {
        pipeline.apply(StreamId(0), event);
    }
    for _ in 0..100 {
        pipeline.apply(StreamId(0), &Traffic::steady().request(5.0, 1, 9, 1, true));
    }
    assert_eq!(pipeline.counts().late, 100);
    assert_eq!(pipeline.summary(0).alerts, 0);
}

#[test]
fn a_broken_clock_in_the_far_future_changes_nothing() {
    let mut events = storm().events(8);
    let expected = run(&events);
    let stray = Traffic::steady().request(70.0 * 365.0 * 86_400.0, 1, 1, 1, false);
    events.insert(events.len() / 2, stray);
    assert_eq!(run(&events), expected);
}

#[test]
fn a_key_passed_on_between_services_is_no_repeat() {
    let mut events = Vec::new();
    for i in 0..6_000 {
        let hops =
            [(None, "gateway"), (Some("gateway"), "api"), (Some("api"), "profiles"), (Some("profiles"), "storage")];
        for (caller, service) in hops {
            let mut event =
                Traffic { with_key: true, ..Traffic::steady() }.request(f64::from(i) / 10.0, 1, 1, i as u32, false);
            if let Event::Request(request) = &mut event {
                request.caller = caller.map(Text::from);
                request.service = Some(Text::from(service));
            }
            events.push(event);
        }
    }
    let (transitions, _) = run(&events);
    assert!(firing(&transitions, AlertName::RetryAmplification).is_empty(), "{transitions:#?}");
}

#[test]
fn a_new_customer_storming_on_a_good_version_is_named_itself() {
    // Nobody else fails, so nobody else shows how the version behaves; the customer came to it from no other version.
    let mut events = Traffic { seconds: 1_500.0, failing: |_| 0.0, ..Traffic::steady() }.events(9);
    let bad =
        Traffic { subscriptions: 1, per_second: 1.0, failing: |_| 0.9, attempts_max: |_, _| 100, ..Traffic::steady() };
    for mut event in bad.events(10).into_iter().filter(|event| event.timestamp() >= at(600.0)) {
        if let Event::Request(request) = &mut event {
            request.subscription = Text::from("sub-new");
        }
        events.push(event);
    }
    events.sort_by_key(Event::timestamp);
    let (transitions, _) = run(&events);
    let pages = firing(&transitions, AlertName::RetryAmplification);
    assert!(!pages.is_empty());
    assert!(pages.iter().all(|page| page.labels.get(Dimension::Subscription) == Some("sub-new")), "{pages:#?}");
}

#[test]
fn many_customers_without_a_client_field_are_one_page() {
    let mut events = storm().events(11);
    for event in &mut events {
        if let Event::Request(request) = event {
            (request.client, request.client_version) = (None, None);
        }
    }
    let (transitions, incidents) = run(&events);
    let critical: Vec<_> = firing(&transitions, AlertName::RetryAmplification)
        .into_iter()
        .filter(|t| t.severity == Severity::Critical)
        .collect();
    assert_eq!(critical.len(), 1, "{critical:#?}");
    assert!(critical[0].labels.is_empty() && critical[0].causes[0].evidence.contains("no narrower culprit"));
    let worst: Vec<_> = incidents.iter().filter(|i| i.severity == Severity::Critical).collect();
    assert_eq!(worst.len(), 1, "{worst:#?}");
}

#[test]
fn the_failing_slice_is_kept_after_the_failures_are_over_and_chance_names_none() {
    let mut events = Traffic { seconds: 1_800.0, ..Traffic::steady() }.events(12);
    for event in &mut events {
        if let Event::Request(request) = event {
            let failing = request.route == "CreateProfile" && (at(600.0)..at(900.0)).contains(&request.timestamp);
            request.status = if failing { 500 } else { 200 };
        }
    }
    let (transitions, incidents) = run(&events);
    let burn: Vec<_> = transitions.iter().filter(|t| t.alert == AlertName::ErrorBudgetBurn).collect();
    assert_eq!(burn.len(), 3, "pending, firing, resolved");
    assert!(burn.iter().all(|t| t.causes[0].dimensions.get(Dimension::Route) == Some("CreateProfile")), "{burn:#?}");
    assert_eq!(incidents[0].causes.len(), 1);
    let even = Traffic {
        failing: |s| if s > 300.0 { 0.05 } else { 0.0 },
        attempts_max: |_, _| 1,
        version: |subscription, _| if subscription == 0 { "3.3.0" } else { "3.4.1" },
        ..Traffic::steady()
    };
    for seed in 0..10 {
        let (transitions, _) = run(&even.events(seed));
        for t in firing(&transitions, AlertName::ErrorBudgetBurn) {
            assert!(t.causes[0].dimensions.is_empty(), "{:#?}", t.causes);
        }
    }
}

#[test]
fn two_kills_told_by_two_counters_and_a_gap_in_the_readings_are_no_loop() {
    let mut events = Vec::new();
    for i in 0..120 {
        let s = f64::from(i) * 10.0;
        let kills = |from: f64| f64::from(u8::from(s >= from)) + f64::from(u8::from(s >= from + 200.0));
        events.push(signal(s + 1.0, "container/api-1", "restarts_total", kills(300.0)));
        events.push(signal(s + 8.0, "container/api-1", "oom_kills_total", kills(310.0)));
    }
    assert!(run(&events).0.is_empty());
    let gap = [(0.0, 2.0), (60.0, 2.0), (3_060.0, 5.0), (3_120.0, 5.0)];
    let events: Vec<Event> = gap.iter().map(|(s, v)| signal(*s, "container/api-2", "restarts_total", *v)).collect();
    assert!(run(&events).0.is_empty());
}

#[test]
fn alerts_on_readings_a_minute_apart_resolve_in_time() {
    let total = |minute: u32| f64::from(minute.saturating_sub(10).min(4));
    let events: Vec<Event> = (0..60)
        .map(|minute| signal(f64::from(minute) * 60.0, "container/api-1", "restarts_total", total(minute)))
        .collect();
    let (transitions, _) = run(&events);
    let resolved = transitions.iter().find(|t| t.event == TransitionEvent::Resolved).expect("resolved");
    let minute = resolved.at.since(at(0.0)) / 60_000;
    assert!((19..=27).contains(&minute), "the last restart was at minute 14, resolved at minute {minute}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Permuting events inside the allowed lateness, and spreading them over streams, changes nothing.
    #[test]
    fn order_inside_the_lateness_does_not_matter(seed in 0_u64..1_000, jitter_ms in 0_i64..1_900) {
        let traffic = Traffic { seconds: 1_000.0, with_key: seed % 2 == 0, with_attempt: seed % 3 != 0, ..storm() };
        let events = traffic.events(seed);
        let (expected, expected_incidents) = run(&events);
        let mut random = Lcg(seed ^ 0x5eed);
        let mut shuffled: Vec<(i64, Event)> = events
            .iter()
            .map(|event| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
                let delay = (random.next() * jitter_ms as f64) as i64;
                (event.timestamp().as_millis() + delay, event.clone())
            })
            .collect();
        shuffled.sort_by_key(|(arrival, _)| *arrival);
        let mut pipeline = Pipeline::new(&settings());
        (0..4).for_each(|stream| pipeline.add_stream(StreamId(stream)));
        let mut outputs = Vec::new();
        for (_, event) in &shuffled {
            let Event::Request(request) = event else { unreachable!() };
            let stream = u32::from(request.subscription.as_bytes().last().copied().unwrap_or(0)) % 4;
            outputs.extend(pipeline.apply(StreamId(stream), event));
        }
        outputs.extend(pipeline.finish());
        let (transitions, incidents) = split(outputs);
        prop_assert_eq!(pipeline.counts().late, 0);
        prop_assert_eq!(transitions, expected);
        prop_assert_eq!(incidents, expected_incidents);
    }
}
