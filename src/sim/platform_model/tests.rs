//! The platform model: deterministic, bounded, and closed: what happens comes out of what the platform is like.

use crate::config::Span;
use crate::model::{Event, Request};
use crate::sim::ScenarioFile;

use super::{PlatformScenario, PlatformSimulation};

fn scenario(name: &str) -> PlatformScenario {
    match ScenarioFile::load(name, None).unwrap() {
        ScenarioFile::Platform(scenario) => *scenario,
        ScenarioFile::Queues(_) => panic!("{name} is of the other model"),
    }
}

fn lines(scenario: &PlatformScenario, seed: u64) -> Vec<String> {
    PlatformSimulation::new(scenario, seed).unwrap().map(|event| serde_json::to_string(&event).unwrap()).collect()
}

/// Requests that ended between two minutes.
fn requests(scenario: &PlatformScenario, minutes: std::ops::Range<i64>) -> Vec<Request> {
    let within = |event: &Event| {
        let since = event.timestamp().since(scenario.start);
        (minutes.start * 60_000..minutes.end * 60_000).contains(&since)
    };
    let take = |event| if let Event::Request(request) = event { Some(request) } else { None };
    PlatformSimulation::new(scenario, 1).unwrap().filter(within).filter_map(take).collect()
}

fn failed_share(requests: &[Request]) -> f64 {
    requests.iter().filter(|request| request.status >= 500).count() as f64 / requests.len().max(1) as f64
}

#[test]
fn the_same_seed_gives_the_same_events_and_a_shorter_run_is_their_beginning() {
    let mut short = scenario("kameleoon-query-blowup");
    short.duration = Span::from_secs(62 * 60);
    let whole = lines(&short, 7);
    assert_eq!(whole, lines(&short, 7));
    assert_ne!(whole, lines(&short, 8));
    short.duration = Span::from_secs(20 * 60 + 17);
    let beginning = lines(&short, 7);
    assert!(beginning.len() > 1_000);
    assert_eq!(beginning, whole[..beginning.len()]);
}

#[test]
fn a_loop_keeps_up_the_load_after_its_trigger_is_gone() {
    let scenario = scenario("metastable-loop");
    let before = requests(&scenario, 20..50);
    let during = requests(&scenario, 70..95);
    let (calm, loud) = (before.len() as f64 / 30.0, during.len() as f64 / 25.0);
    assert!(failed_share(&before) < 0.01, "{}", failed_share(&before));
    assert!(failed_share(&during) > 0.9 && loud > 2.0 * calm, "{} {calm} {loud}", failed_share(&during));
    assert!(failed_share(&requests(&scenario, 108..119)) < 0.05, "shedding load ends it");
}

#[test]
fn lost_caches_multiply_calls_from_layer_to_layer() {
    let scenario = scenario("kameleoon-cache-loss");
    let calls = |minutes: std::ops::Range<i64>| {
        let requests = requests(&scenario, minutes);
        let edge = requests.iter().filter(|request| request.caller.is_none()).count() as f64;
        let of = |service: &str| requests.iter().filter(|r| r.service.as_deref() == Some(service)).count() as f64;
        (of("experiments") / edge, of("documents") / edge)
    };
    let ((experiments, documents), (experiments_lost, documents_lost)) = (calls(10..60), calls(75..95));
    assert!(experiments_lost > 6.0 * experiments, "{experiments} {experiments_lost}");
    assert!(documents_lost / documents > 5.0 * experiments_lost / experiments, "{documents} {documents_lost}");
}

#[test]
fn memory_does_not_follow_the_length_of_a_run() {
    let mut simulation = PlatformSimulation::new(&scenario("quiet-bursty-week"), 3).unwrap();
    assert!(simulation.by_ref().take(60_000).count() == 60_000);
    assert!(simulation.entries_held() < 5_000, "{}", simulation.entries_held());
}

#[test]
fn events_come_in_order_except_where_a_disturbance_delays_them() {
    let ordered = |name: &str| {
        let mut simulated = scenario(name);
        simulated.duration = Span::from_secs(3 * 3_600);
        let times: Vec<_> = PlatformSimulation::new(&simulated, 2).unwrap().map(|event| event.timestamp()).collect();
        times.is_sorted()
    };
    assert!(ordered("flash-crowd"));
    assert!(!ordered("late-and-missing"));
    assert!(!ordered("clock-skew"));
}

#[test]
fn every_problem_is_reported_with_its_key() {
    let text = crate::sim::embedded("steel-pool-leak").unwrap();
    let broken = text
        .replace("share = 0.35", "share = 3.5")
        .replace("pool = \"pool/browsers\"\n", "pool = \"pool/nothing\"\n")
        .replace("fano = 5.0", "fano = 0.0");
    let message = ScenarioFile::parse(&broken, "broken.toml").unwrap_err().to_string();
    for key in ["effects[0].what.share", "routes[0].pool", "groups[0].fano"] {
        assert!(message.contains(key), "{key} is missing in {message}");
    }
    let typo = ScenarioFile::parse(&text.replace("fano", "phano"), "typo.toml").unwrap_err().to_string();
    assert!(typo.contains("phano"), "{typo}");
}
