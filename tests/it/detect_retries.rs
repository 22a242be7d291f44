//! Retries that no field tells of, and loops they keep up: what is named, how soon, how sure, and what is not.

use floodmark::alert::Rules;
use floodmark::config::FlowConfig;
use floodmark::detect::Limits;
use floodmark::flow::StreamId;
use floodmark::model::{
    AlertName, Confidence, Dimension, Event, Output, Request, Severity, Text, Timestamp, Transition, TransitionEvent,
};
use floodmark::pipeline::{Pipeline, Settings};

const START_MS: i64 = 1_772_352_000_000;
const ONSET_S: f64 = 600.0;

fn run(events: &[Event]) -> Vec<Transition> {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    let mut outputs = Vec::new();
    for event in events {
        outputs.extend(pipeline.apply(StreamId(0), event));
    }
    outputs.extend(pipeline.finish());
    let transition = |output| match output {
        Output::Transition(transition) => Some(transition),
        Output::Incident(_) => None,
    };
    outputs.into_iter().filter_map(transition).collect()
}

fn pages(events: &[Event], alert: AlertName) -> Vec<Transition> {
    let mut transitions = run(events);
    transitions.retain(|t| t.alert == alert && t.event == TransitionEvent::Firing && t.severity == Severity::Critical);
    transitions
}

struct Random(u64);

impl Random {
    #[allow(clippy::cast_precision_loss)]
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn gap(&mut self, per_second: f64) -> f64 {
        -(1.0 - self.unit()).ln() / per_second
    }
}

/// Customers of a shop: every third runs `bad`, which tries `bad_attempts` times, the others three times.
struct Shop {
    seconds: f64,
    customers: u32,
    per_second: f64,
    /// Times the demand, by second.
    demand: fn(f64) -> f64,
    failing: fn(f64) -> f64,
    attempts: u32,
    bad_attempts: u32,
    /// Seconds between attempts, a tenth more or less.
    pause_s: f64,
    versions: bool,
    status: u16,
}

impl Shop {
    fn storm(failing: fn(f64) -> f64) -> Self {
        Self {
            seconds: 1_200.0,
            customers: 30,
            per_second: 4.0,
            demand: |_| 1.0,
            failing,
            attempts: 3,
            bad_attempts: 10_000,
            pause_s: 1.0,
            versions: true,
            status: 503,
        }
    }

    fn outage() -> Self {
        Self { bad_attempts: 3, ..Self::storm(|s| if s >= ONSET_S { 1.0 } else { 0.001 }) }
    }

    fn events(&self, seed: u64) -> Vec<Event> {
        let mut random = Random(seed);
        let mut events = Vec::new();
        let mut time = 0.0;
        while time < self.seconds {
            time += random.gap(self.per_second * (self.demand)(time));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let customer = (random.unit() * f64::from(self.customers)) as u32;
            let route = ["Search", "Basket", "Pay"][(random.unit() * 3.0) as usize];
            let attempts = if customer.is_multiple_of(3) { self.bad_attempts } else { self.attempts };
            let mut now = time;
            for _ in 0..attempts {
                now += 0.1 * random.unit();
                let failed = random.unit() < (self.failing)(now);
                events.push(self.request(now, customer, route, if failed { self.status } else { 200 }));
                if !failed || now > self.seconds {
                    break;
                }
                now += self.pause_s * (0.9 + 0.2 * random.unit());
            }
        }
        events.sort_by_key(Event::timestamp);
        events
    }

    fn request(&self, now: f64, customer: u32, route: &str, status: u16) -> Event {
        let version = if customer.is_multiple_of(3) { "7.1" } else { "6.9" };
        #[allow(clippy::cast_possible_truncation)]
        let ms = (now * 1_000.0) as i64;
        Event::Request(Request {
            timestamp: Timestamp::from_millis(START_MS + ms),
            subscription: Text::from(format!("customer-{customer}")),
            client_version: self.versions.then(|| Text::from(version)),
            service: Some(Text::from("shop")),
            route: Text::from(route),
            status,
            duration_ms: 100.0,
            ..Request::default()
        })
    }
}

fn delay_s(page: &Transition) -> i64 {
    page.at.since(Timestamp::from_millis(START_MS + 600_000)) / 1_000
}

#[test]
fn unlimited_retries_without_attempt_and_key_name_the_version_with_medium_confidence() {
    let ten: fn(f64) -> f64 = |s| if s >= ONSET_S { 0.9 } else { 0.001 };
    let three: fn(f64) -> f64 = |s| if s >= ONSET_S { 0.667 } else { 0.001 };
    for (failing, delay_s_max) in [(ten, 30), (three, 240)] {
        let pages = pages(&Shop::storm(failing).events(1), AlertName::RetryAmplification);
        assert_eq!(pages.len(), 1, "{pages:#?}");
        let page = &pages[0];
        assert_eq!(page.labels.get(Dimension::ClientVersion), Some("7.1"));
        assert_eq!(page.causes[0].dimensions.get(Dimension::ClientVersion), Some("7.1"));
        assert_eq!(page.causes[0].confidence, Confidence::Medium);
        assert!(page.causes[0].evidence.contains("no attempt number or request key"), "{:?}", page.causes);
        assert!(page.summary.contains("without its repeats load would be"), "{}", page.summary);
        assert!((0..=delay_s_max).contains(&delay_s(page)), "{} s after the onset", delay_s(page));
    }
}

#[test]
fn customers_without_a_version_are_one_page_without_a_narrower_culprit() {
    let storm = Shop { versions: false, ..Shop::storm(|s| if s >= ONSET_S { 0.9 } else { 0.001 }) };
    let pages = pages(&storm.events(2), AlertName::RetryAmplification);
    assert_eq!(pages.len(), 1, "{pages:#?}");
    assert!(pages[0].labels.is_empty() && pages[0].causes[0].dimensions.is_empty());
    assert!(pages[0].causes[0].evidence.contains("no narrower culprit"));
    assert!(pages[0].summary.contains("without their repeats load would be"), "{}", pages[0].summary);
}

#[test]
fn a_few_busy_customers_who_storm_are_found_by_growth() {
    let busy = Shop {
        seconds: 900.0,
        customers: 2,
        per_second: 20.0,
        ..Shop::storm(|s| if s >= ONSET_S { 0.9 } else { 0.001 })
    };
    let pages = pages(&busy.events(3), AlertName::RetryAmplification);
    assert_eq!(pages.len(), 1, "{pages:#?}");
    assert!(delay_s(&pages[0]) <= 60, "{} s", delay_s(&pages[0]));
}

#[test]
fn repeats_that_come_late_are_told_from_the_growth_of_their_version() {
    let failing: fn(f64) -> f64 = |s| if s >= ONSET_S { 0.8 } else { 0.001 };
    let steady_and_growing: [fn(f64) -> f64; 2] =
        [|_| 1.0, |s| if s < ONSET_S { 1.0 } else { (1.0 + (s - ONSET_S) / 100.0).min(4.0) }];
    for pause_s in [5.0, 10.0, 30.0] {
        let storm = Shop { seconds: 1_500.0, customers: 60, per_second: 12.0, pause_s, ..Shop::storm(failing) };
        let told = pages(&storm.events(21), AlertName::RetryAmplification);
        assert_eq!(told.len(), 1, "{pause_s} s: {told:#?}");
        let (page, first) = (&told[0], &told[0].causes[0]);
        assert_eq!(first.dimensions.get(Dimension::ClientVersion), Some("7.1"), "{pause_s} s: {first:#?}");
        assert_eq!(first.confidence, Confidence::Medium);
        assert!((60..=600).contains(&delay_s(page)), "{pause_s} s: {} s after the onset", delay_s(page));
        // Five attempts of each request, in the end.
        assert!((1.5..7.0).contains(&page.value), "{pause_s} s: {}", page.value);
        let late = first.evidence.contains("inferred from its load");
        assert!(late || pause_s < 30.0, "{pause_s} s: {first:#?}");
        for demand in steady_and_growing {
            let calm = Shop { bad_attempts: 3, demand, ..storm };
            let told = pages(&calm.events(22), AlertName::RetryAmplification);
            assert!(told.is_empty(), "{pause_s} s: {told:#?}");
        }
    }
}

#[test]
fn three_attempts_in_an_outage_and_polling_are_nobodys_fault() {
    for (customers, per_second) in [(30, 4.0), (200, 2.0), (3, 10.0)] {
        let outage = Shop { customers, per_second, ..Shop::outage() };
        assert!(run(&outage.events(4)).iter().all(|t| t.alert != AlertName::RetryAmplification));
    }
    let once = Shop { attempts: 1, bad_attempts: 1, ..Shop::outage() };
    assert!(run(&once.events(5)).iter().all(|t| t.alert != AlertName::RetryAmplification));
    let shop = Shop::outage();
    let poll = |i: u32| {
        let now = f64::from(i) * 0.5;
        shop.request(now, i % 10, "Status", if now >= ONSET_S { 500 } else { 200 })
    };
    let polls: Vec<Event> = (0..2_400).map(poll).collect();
    assert!(run(&polls).iter().all(|t| t.alert != AlertName::RetryAmplification));
}

#[test]
fn a_crowd_that_fails_and_a_customer_turned_away_at_his_own_pace_are_no_storm() {
    let crowd = Shop {
        demand: |s| if s >= ONSET_S { 8.0 } else { 1.0 },
        seconds: 900.0,
        bad_attempts: 2,
        attempts: 2,
        ..Shop::storm(|s| if s >= ONSET_S { 0.5 } else { 0.001 })
    };
    let pages = pages(&crowd.events(6), AlertName::RetryAmplification);
    assert!(pages.is_empty(), "{pages:#?}");
    let shop = Shop::outage();
    let mut random = Random(7);
    let mut time = 0.0;
    let mut events = Vec::new();
    while time < 900.0 {
        time += random.gap(if time < ONSET_S { 0.5 } else { 40.0 });
        let turned_away = time > ONSET_S && time % 60.0 > 20.0;
        events.push(shop.request(time, 1, "Search", if turned_away { 429 } else { 200 }));
    }
    assert!(run(&events).iter().all(|t| t.alert != AlertName::RetryAmplification));
}

#[test]
fn order_inside_the_lateness_does_not_matter_and_late_requests_change_nothing() {
    let events = Shop { seconds: 800.0, ..Shop::storm(|s| if s >= ONSET_S { 0.8 } else { 0.001 }) }.events(8);
    let expected = run(&events);
    assert!(expected.iter().any(|t| t.alert == AlertName::RetryAmplification));
    let mut random = Random(9);
    let mut shuffled: Vec<(f64, &Event)> = Vec::new();
    for event in &events {
        #[allow(clippy::cast_precision_loss)]
        let ms = (event.timestamp().as_millis() - START_MS) as f64;
        shuffled.push((ms + 1_900.0 * random.unit(), event));
    }
    shuffled.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut shuffled: Vec<Event> = shuffled.into_iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(run(&shuffled), expected);
    let late = Shop::outage().request(5.0, 0, "Search", 503);
    shuffled.splice(shuffled.len() / 2..shuffled.len() / 2, std::iter::repeat_n(late, 50));
    let (delayed, others): (Vec<_>, Vec<_>) =
        run(&shuffled).into_iter().partition(|t| t.alert == AlertName::DataDelayed);
    assert_eq!(others, expected);
    assert!(!delayed.is_empty(), "late records are told, and change nothing else");
}

#[test]
fn nothing_is_inferred_where_nothing_was_ever_healthy_and_silence_ends_nothing() {
    let shop = Shop::outage();
    let failing: Vec<Event> = (0..3_000).map(|i| shop.request(f64::from(i) * 0.1, i % 10, "Search", 500)).collect();
    assert!(run(&failing).iter().all(|t| t.alert != AlertName::RetryAmplification));
    let mut events = Shop::storm(|s| if s >= ONSET_S { 0.9 } else { 0.001 }).events(10);
    events.retain(|event| event.timestamp() < Timestamp::from_millis(START_MS + 700_000));
    let transitions = run(&events);
    assert!(transitions.iter().any(|t| t.alert == AlertName::RetryAmplification));
    assert!(transitions.iter().all(|t| t.event != TransitionEvent::Resolved));
}

/// A service that serves `capacity` a second, less the more comes on top; a minute of trouble from the onset on.
fn overloaded(attempts: u32, with_attempt: bool, seed: u64) -> Vec<Event> {
    let (mut random, shop) = (Random(seed), Shop::outage());
    let mut waiting: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 1_300];
    let mut events = Vec::new();
    for second in 0..1_200_usize {
        let mut tries = std::mem::take(&mut waiting[second]);
        tries.extend((0..10).map(|_| ((random.unit() * 60.0) as u32, 1)));
        let trouble = (600..660).contains(&second);
        #[allow(clippy::cast_precision_loss)]
        let served = (if trouble { 0.0 } else { (300.0 / tries.len() as f64).min(15.0) }) / tries.len() as f64;
        for (place, (customer, attempt)) in tries.into_iter().enumerate() {
            #[allow(clippy::cast_precision_loss)]
            let now = second as f64 + (place as f64 + 1.0) / 1_000.0;
            let failed = random.unit() >= served;
            let mut event = shop.request(now, customer, "Search", if failed { 504 } else { 200 });
            if let Event::Request(request) = &mut event {
                request.attempt = with_attempt.then_some(attempt);
            }
            events.push(event);
            if failed && attempt < attempts && waiting[second + 2].len() < 150 {
                waiting[second + 2].push((customer, attempt + 1));
            }
        }
    }
    events
}

#[test]
fn a_loop_that_outlives_its_trigger_is_named_and_joins_the_storm() {
    let transitions = run(&overloaded(u32::MAX, true, 11));
    let loops = |t: &&Transition| t.alert == AlertName::FeedbackLoop && t.event == TransitionEvent::Firing;
    let page = transitions.iter().find(loops).expect("a loop");
    assert_eq!(page.severity, Severity::Critical);
    assert_eq!(page.labels.get(Dimension::Service), Some("shop"));
    assert!((120..=300).contains(&delay_s(page)), "{} s", delay_s(page));
    assert!(page.value > 3.0 * page.baseline, "{page:#?}");
    let storm = |t: &Transition| t.alert == AlertName::RetryAmplification && t.incident == page.incident;
    assert!(transitions.iter().any(storm), "one cause, one incident");
}

#[test]
fn an_outage_with_three_attempts_and_a_storm_that_is_served_are_no_loop() {
    for with_attempt in [true, false] {
        assert!(pages(&overloaded(3, with_attempt, 12), AlertName::FeedbackLoop).is_empty());
    }
    assert!(pages(&Shop::outage().events(13), AlertName::FeedbackLoop).is_empty());
    let short = Shop::storm(|s| if (ONSET_S..ONSET_S + 90.0).contains(&s) { 0.95 } else { 0.001 });
    assert!(pages(&short.events(14), AlertName::FeedbackLoop).is_empty());
}
