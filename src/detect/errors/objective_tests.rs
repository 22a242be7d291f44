//! Objectives that are narrowed down, on made traffic, and rules that are replaced while they watch it.

use crate::alert::{Rules, Slos};
use crate::config::{FlowConfig, Span};
use crate::detect::Limits;
use crate::detect::test_traffic::{Lcg, request};
use crate::flow::StreamId;
use crate::model::{AlertName, Dimension, Event, Output, Severity, Transition, TransitionEvent};
use crate::pipeline::{Pipeline, Settings};

/// When failures begin, in seconds.
const ONSET_S: f64 = 4_200.0;

/// An objective: name, target, what is good, which requests.
fn slo(name: &str, target: f64, good: &str, total: &str) -> (String, String) {
    let text = format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{ name: {name} }}\nspec:\n  service: api\n  indicator: {{ spec: {{ \
         ratioMetric: {{ good: {{ metricSource: {{ type: Floodmark, spec: {good} }} }}, total: {{ metricSource: {{ type: \
         Floodmark, spec: {total} }} }} }} }} }}\n  timeWindow: [{{ duration: 30d, isRolling: true }}]\n  \
         budgetingMethod: Occurrences\n  objectives: [{{ target: {target} }}]\n"
    );
    (format!("{name}.yaml"), text)
}

fn rules(slos: &[(String, String)]) -> Rules {
    let rules = Rules::shipped().unwrap().with_slos(&Slos::parse(slos).unwrap()).unwrap();
    let burns = rules.rules.into_iter().filter(|rule| rule.alert == AlertName::ErrorBudgetBurn);
    Rules { rules: burns.collect() }
}

fn settings(rules: Rules) -> Settings {
    Settings { flow: FlowConfig::default(), rules, limits: Limits::shipped().unwrap() }
}

/// Ninety minutes of requests to two services and two routes; `change` spoils them after the onset.
fn traffic(change: impl Fn(&mut crate::model::Request, &mut Lcg)) -> Vec<Event> {
    let mut random = Lcg(11);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 5_400.0, |_| 4.0, 4.0) {
        let service = ["api", "billing"][random.below(2) as usize];
        let route = ["/a", "/b"][random.below(2) as usize];
        let mut one = request(time, random.below(5), ("", service, route));
        (one.status, one.duration_ms) = (200, 20.0);
        if time >= ONSET_S {
            change(&mut one, &mut random);
        }
        events.push(Event::Request(one));
    }
    events
}

fn apply(pipeline: &mut Pipeline, events: &[Event]) -> Vec<Output> {
    events.iter().flat_map(|event| pipeline.apply(StreamId(0), event)).collect()
}

fn transitions(outputs: Vec<Output>) -> Vec<Transition> {
    outputs.into_iter().filter_map(|o| if let Output::Transition(t) = o { Some(t) } else { None }).collect()
}

/// Labels and summaries of what wakes a person.
fn fired(rules: Rules, events: &[Event]) -> Vec<(String, String)> {
    fired_as(Severity::Critical, rules, events)
}

/// Labels and summaries of what fires.
fn fired_as(severity: Severity, rules: Rules, events: &[Event]) -> Vec<(String, String)> {
    let mut pipeline = Pipeline::new(&settings(rules));
    let mut outputs = apply(&mut pipeline, events);
    outputs.extend(pipeline.finish());
    let firing = transitions(outputs).into_iter().filter(|t| t.event == TransitionEvent::Firing);
    firing.filter(|t| t.severity == severity).map(|t| (t.labels.to_string(), t.summary)).collect()
}

fn failing(service: &'static str, share: f64) -> impl Fn(&mut crate::model::Request, &mut Lcg) {
    move |request, random| {
        let fails = request.service.as_deref() == Some(service) && random.next() < share;
        request.status = if fails { 500 } else { 200 };
    }
}

#[test]
fn a_service_with_an_objective_of_its_own_is_judged_by_it_alone() {
    let events = traffic(failing("api", 0.06));
    let of_all = fired(rules(&[]), &events);
    assert_eq!(of_all.len(), 1, "{of_all:?}");
    assert_eq!(of_all[0].0, "service = api");

    // 6 % of failures are 60 times too much for 99.9 %, 6 times for 99 %, and within 90 %.
    let own =
        |target| fired(rules(&[slo("api-answers", target, "{ status_below: 500 }", "{ service: api }")]), &events);
    let strict = own(0.999);
    assert_eq!(strict.len(), 1, "{strict:?}");
    assert_eq!(strict[0].0, "service = api, objective = api-answers");
    assert!(strict[0].1.contains("requests to service = api failed"), "{}", strict[0].1);
    assert_eq!(own(0.9), []);
    let other = traffic(failing("billing", 0.06));
    let rules = rules(&[slo("api-answers", 0.9, "{ status_below: 500 }", "{ service: api }")]);
    assert_eq!(fired(rules, &other)[0].0, "service = billing", "others are still watched");
}

#[test]
fn a_route_a_customer_and_durations_have_objectives() {
    let good = "{ status_below: 500 }";
    let route = slo("b-answers", 0.999, good, "{ service: api, route: /b }");
    let customer = slo("tenant-answers", 0.999, good, "{ subscription: tenant-1 }");
    let in_time = slo("api-in-time", 0.99, "{ status_below: 500, duration_ms_max: 300 }", "{ service: api }");
    let labels = |change: &dyn Fn(&mut crate::model::Request, &mut Lcg)| -> Vec<String> {
        let rules = rules(&[route.clone(), customer.clone(), in_time.clone()]);
        let of_objectives = rules.rules.into_iter().filter(|rule| rule.key().objective.is_some());
        let fired = fired(Rules { rules: of_objectives.collect() }, &traffic(change));
        fired.into_iter().map(|(labels, _)| labels).collect()
    };
    let b = labels(&|r, random| r.status = if &*r.route == "/b" && random.next() < 0.2 { 500 } else { 200 });
    assert!(b.contains(&"service = api, route = /b, objective = b-answers".to_owned()), "{b:?}");
    let tenant = labels(&|r, _| r.status = if &*r.subscription == "tenant-1" { 502 } else { 200 });
    assert!(tenant.contains(&"subscription = tenant-1, objective = tenant-answers".to_owned()), "{tenant:?}");
    let slow = labels(&|r, _| r.duration_ms = if r.service.as_deref() == Some("api") { 400.0 } else { 20.0 });
    assert_eq!(slow, ["service = api, objective = api-in-time"]);
    assert_eq!(labels(&|r, _| r.duration_ms = 280.0), [""; 0], "slower, and in time");
    assert_eq!(labels(&|r, _| r.status = 429), [""; 0], "a limit at work breaks no promise");
}

#[test]
fn a_slow_burn_of_an_objective_is_a_ticket_with_its_name() {
    let mut random = Lcg(12);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 6.0 * 3_600.0, |_| 1.0, 1.0) {
        let mut one = request(time, random.below(5), ("", "api", "/a"));
        one.duration_ms = if random.next() < 0.03 { 900.0 } else { 20.0 };
        events.push(Event::Request(one));
    }
    let tickets = |target| {
        let in_time = slo("api-in-time", target, "{ status_below: 500, duration_ms_max: 300 }", "{ service: api }");
        fired_as(Severity::Warning, rules(&[in_time]), &events)
    };
    let told = tickets(0.99);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "service = api, objective = api-in-time");
    assert!(told[0].1.contains("requests to service = api failed or took longer than 300 ms over"), "{}", told[0].1);
    assert_eq!(tickets(0.95), []);
}

#[test]
fn an_objective_of_a_rule_file_is_not_doubled_and_rules_are_bounded_in_all() {
    let text = "groups: [{ name: g, rules: [{ alert: ErrorBudgetBurn, detect: { error_budget_burn: { select: { objective: a, \
                service: api } } }, labels: { severity: critical }, annotations: { summary: s, runbook_url: \
                'https://example.com' } }] }]";
    let rules = Rules::parse(&[("r.yaml".to_owned(), text.to_owned())]).unwrap();
    let objective = |name: &str| slo(name, 0.99, "{ status_below: 500 }", "{ service: api }");
    let slos = Slos::parse(&[objective("a"), objective("b")]).unwrap();
    let error = rules.clone().with_slos(&slos).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.starts_with("a.yaml:3:19: metadata.name: a rule file has an objective `a`"), "{error}");

    let many = Rules { rules: vec![rules.rules[0].clone(); 97] };
    let slos = Slos::parse(&[objective("b"), objective("c")]).unwrap();
    let error = many.with_slos(&slos).unwrap_err().to_string();
    assert!(error.starts_with("c.yaml:") && error.contains("at most 100 rules"), "{error}");
    assert_eq!(rules.with_slos(&slos).unwrap().rules.len(), 5);
}

#[test]
fn a_lenient_objective_pages_when_everything_fails() {
    // 14.4 times the budget is more than all requests: all of them must do.
    let mut random = Lcg(11);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 9_000.0, |_| 8.0, 8.0) {
        let mut one = request(time, random.below(5), ("", "api", "/a"));
        one.status = if time >= 600.0 { 503 } else { 200 };
        events.push(Event::Request(one));
    }
    for target in [0.8, 0.9] {
        let objective = [slo("a", target, "{ status_below: 500 }", "{ service: api }")];
        assert_eq!(fired(rules(&objective), &events).len(), 1, "target {target}");
    }
}

#[test]
fn a_reload_that_changes_nothing_changes_no_byte() {
    let events = traffic(failing("api", 0.3));
    let told = |reload: bool| {
        let rules = rules(&[slo("api-answers", 0.99, "{ status_below: 500 }", "{ service: api }")]);
        let settings = settings(rules);
        let mut pipeline = Pipeline::new(&settings);
        let mut outputs = Vec::new();
        for chunk in events.chunks(1_000) {
            outputs.extend(apply(&mut pipeline, chunk));
            if reload {
                let (changes, more) = pipeline.replace_rules(&settings.rules, &settings.limits);
                assert_eq!((changes.kept, changes.new, changes.removed), (4, 0, 0));
                outputs.extend(more);
            }
        }
        outputs.extend(pipeline.finish());
        serde_json::to_string(&outputs).unwrap()
    };
    assert_eq!(told(true), told(false));
}

#[test]
fn alerts_of_removed_rules_resolve_and_others_go_on() {
    let events = traffic(failing("api", 0.6));
    let objective = slo("b-answers", 0.99, "{ status_below: 500 }", "{ service: api, route: /b }");
    let settings = settings(rules(&[objective]));
    let mut pipeline = Pipeline::new(&settings);
    apply(&mut pipeline, &events);
    let firing = |pipeline: &Pipeline| -> Vec<String> {
        let alerts = pipeline.alerts(100);
        let critical = alerts.iter().filter(|alert| alert.severity == Severity::Critical);
        critical.map(|alert| alert.labels.to_string()).collect()
    };
    assert_eq!(firing(&pipeline), ["service = api", "service = api, route = /b, objective = b-answers"]);

    let (changes, outputs) = pipeline.replace_rules(&rules(&[]), &settings.limits);
    assert_eq!((changes.rules, changes.kept, changes.new, changes.removed), (2, 2, 0, 2));
    let resolved: Vec<Transition> =
        transitions(outputs).into_iter().filter(|t| t.severity == Severity::Critical).collect();
    assert_eq!(resolved.len(), 1, "{resolved:#?}");
    assert_eq!(resolved[0].event, TransitionEvent::Resolved);
    assert_eq!(resolved[0].labels.get(Dimension::Objective), Some("b-answers"));
    assert!(resolved[0].summary.starts_with("its rule was removed; at its worst: "), "{}", resolved[0].summary);
    assert_eq!(Some(resolved[0].at), pipeline.watermark(), "as of what is decided");
    assert!(!resolved[0].incident.is_empty());
    assert_eq!(firing(&pipeline), ["service = api"]);
    assert_eq!(pipeline.replace_rules(&rules(&[]), &settings.limits).1, [], "told once");
}

#[test]
fn an_objective_that_comes_and_goes_disturbs_no_other_service() {
    let events = traffic(failing("billing", 0.6));
    let settings = settings(rules(&[]));
    let with_api = rules(&[slo("api-answers", 0.99, "{ status_below: 500 }", "{ service: api }")]);
    let mut pipeline = Pipeline::new(&settings);
    let (before, after) = events.split_at(events.len() - 2_000);
    assert!(!transitions(apply(&mut pipeline, before)).is_empty());
    let mut told = Vec::new();
    for (part, other) in after.chunks(1_000).zip([&with_api, &settings.rules]) {
        let (changes, outputs) = pipeline.replace_rules(other, &settings.limits);
        assert_eq!(changes.kept, 2);
        told.extend(transitions(outputs));
        told.extend(transitions(apply(&mut pipeline, part)));
    }
    assert_eq!(told.iter().filter(|t| t.severity == Severity::Critical).count(), 0, "{told:#?}");
    let firing = pipeline.alerts(10);
    assert!(firing.iter().any(|t| t.event == TransitionEvent::Firing && t.labels.to_string() == "service = billing"));
}

#[test]
fn another_severity_keeps_what_was_seen() {
    let settings = settings(rules(&[]));
    let mut pipeline = Pipeline::new(&settings);
    let fast = |rule: &&crate::alert::Rule| rule.labels.severity == Severity::Critical;
    let mut other = Rules { rules: settings.rules.rules.iter().filter(fast).cloned().collect() };
    pipeline.replace_rules(&other, &settings.limits);
    other.rules[0].labels.severity = Severity::Warning;
    let changes = pipeline.replace_rules(&other, &settings.limits).0;
    assert_eq!((changes.kept, changes.new, changes.removed), (1, 0, 0));
}

#[test]
fn what_clients_gave_up_on_does_not_pass_for_fast() {
    let mut random = Lcg(5);
    let mut events = Vec::new();
    for time in random.arrivals(0.0, 5_400.0, |_| 4.0, 4.0) {
        let mut one = request(time, random.below(5), ("", "api", "/a"));
        let given_up = random.next() < 0.9;
        (one.status, one.duration_ms) = if given_up { (499, 30_000.0) } else { (200, 900.0) };
        events.push(Event::Request(one));
    }
    let objective = slo("a-fast", 0.99, "{ status_below: 500, duration_ms_max: 300 }", "{ service: api }");
    assert_eq!(fired(rules(&[objective]), &events).len(), 1);
}

#[test]
fn timing_may_change_without_forgetting_and_parameters_begin_anew() {
    let settings = settings(rules(&[]));
    let mut pipeline = Pipeline::new(&settings);
    let mut other = settings.rules.clone();
    other.rules[0].r#for = Span::from_secs(30);
    let changes = pipeline.replace_rules(&other, &settings.limits).0;
    assert_eq!((changes.kept, changes.new), (2, 0));
    let text = "groups: [{ name: g, rules: [{ alert: ErrorBudgetBurn, detect: { error_budget_burn: { objective: 0.95 } }, \
                labels: { severity: critical }, annotations: { summary: s, runbook_url: 'https://example.com' } }] }]";
    let other = Rules::parse(&[("a.yaml".to_owned(), text.to_owned())]).unwrap();
    let changes = pipeline.replace_rules(&other, &settings.limits).0;
    assert_eq!((changes.rules, changes.kept, changes.new, changes.removed), (1, 0, 1, 1));
}
