//! What people rely on, one case each; `t` is event time and wall clock in seconds.

use Severity::{Critical, Warning};

use super::*;
use crate::model::{
    AlertName, Dimension, Dimensions, IncidentReport, Output, PageEvent, Severity, Timestamp, Transition,
    TransitionEvent, samples,
};

pub(super) fn at(seconds: i64) -> Timestamp {
    samples::START.plus(seconds * 1_000)
}

pub(super) fn settings() -> PagerSettings {
    PagerSettings {
        opened_per_minute_max: 5,
        update_interval_ms: 300_000,
        flaps_max: 3,
        flap_quiet_ms: 900_000,
        restore_grace_ms: 600_000,
        ..PagerSettings::default()
    }
}

pub(super) fn of_subscription(name: &str) -> Dimensions {
    Dimensions::new([(Dimension::Subscription, name.into())])
}

pub(super) fn alert(t: i64, event: TransitionEvent, severity: Severity, incident: &str, who: &str) -> Transition {
    Transition {
        at: at(t),
        event,
        severity,
        incident: incident.into(),
        since: at(t - 60),
        labels: of_subscription(who),
        causes: Vec::new(),
        ..samples::transition()
    }
}

pub(super) fn fires(t: i64, severity: Severity, incident: &str, who: &str) -> Output {
    Output::Transition(alert(t, TransitionEvent::Firing, severity, incident, who))
}

pub(super) fn ends(t: i64, severity: Severity, incident: &str, who: &str) -> Output {
    Output::Transition(alert(t, TransitionEvent::Resolved, severity, incident, who))
}

pub(super) fn step(pager: &mut Pager, t: i64, outputs: &[Output]) -> Vec<PageChange> {
    step_with(pager, t, outputs, &[])
}

pub(super) fn step_with(pager: &mut Pager, t: i64, outputs: &[Output], reports: &[&IncidentReport]) -> Vec<PageChange> {
    pager.step(&Decided { outputs, watermark: Some(at(t)), reports }, at(t))
}

/// `key event` of each change.
pub(super) fn told(changes: &[PageChange]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", change.page.dedup_key, change.event_name())).collect()
}

#[test]
fn an_incident_is_one_page_from_its_first_alert_to_its_last() {
    let mut pager = Pager::new(settings());
    assert_eq!(told(&step(&mut pager, 0, &[fires(0, Warning, "a", "s1")])), ["a opened"]);
    assert_eq!(told(&step(&mut pager, 5, &[fires(5, Critical, "a", "s1")])), ["a updated"], "it became worse");
    assert_eq!(told(&step(&mut pager, 10, &[fires(10, Critical, "a", "s2")])), [""; 0], "a symptom");
    assert_eq!(told(&step(&mut pager, 20, &[ends(20, Critical, "a", "s1")])), [""; 0]);
    let over = step(&mut pager, 30, &[ends(30, Critical, "a", "s2"), ends(30, Warning, "a", "s1")]);
    assert_eq!(told(&over), ["a resolved"]);
    let page = &over[0].page;
    assert_eq!((page.revision, page.alerts.len(), page.alerts_more), (3, 2, 0));
    assert_eq!((page.since, page.resolved_at), (at(-60), Some(at(30))));
    assert!(page.impact.starts_with("Over after 1 min 30 s."), "{}", page.impact);
}

#[test]
fn a_page_that_opens_knows_its_incident() {
    let mut pager = Pager::new(settings());
    let actions = vec!["Limit s1.".to_owned()];
    let report = IncidentReport { incident: "a".into(), actions: actions.clone(), ..samples::incident() };
    let opened = step_with(&mut pager, 0, &[fires(0, Critical, "a", "s1")], &[&report]);
    let page = &opened[0].page;
    assert_eq!((&page.actions, page.causes.len(), page.ruled_out.len()), (&actions, 1, 1));
    assert_eq!(page.impact, "41 subscriptions feel it, in 37 % of all requests.");
    insta::assert_json_snapshot!(page);
}

#[test]
fn news_is_told_once_in_a_while_and_worse_at_once() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Warning, "a", "s1")]);
    let mut report = IncidentReport { incident: "a".into(), ..samples::incident() };
    assert_eq!(told(&step_with(&mut pager, 60, &[], &[&report])), [""; 0], "too early for a cause");
    assert_eq!(told(&step(&mut pager, 300, &[])), ["a updated"], "the first cause that is known");
    report.affected.subscriptions = 81;
    assert_eq!(told(&step_with(&mut pager, 700, &[], &[&report])), [""; 0], "not twice as many");
    report.affected.subscriptions = 82;
    let told_now = step_with(&mut pager, 701, &[], &[&report]);
    assert_eq!(told(&told_now), ["a updated"]);
    assert_eq!(told_now[0].page.affected.subscriptions, 82);
    assert_eq!(told(&step(&mut pager, 702, &[fires(702, Critical, "a", "s1")])), ["a updated"]);
}

#[test]
fn a_ticket_about_the_cause_is_told_inside_the_page_and_gets_its_own_when_it_outlives_it() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "storm", "s1")]);
    assert_eq!(told(&step(&mut pager, 5, &[fires(5, Warning, "ticket", "s1")])), [""; 0]);
    assert_eq!(told(&step(&mut pager, 5, &[fires(5, Warning, "other", "s2")])), ["other opened"]);
    assert_eq!(pager.counts().inhibited, 1);
    assert_eq!(pager.view(at(6)).page("storm").unwrap().inhibited, ["RetryAmplification of subscription = s1"]);
    assert_eq!(told(&step(&mut pager, 60, &[ends(60, Critical, "storm", "s1")])), ["storm resolved"]);
    assert_eq!(told(&step(&mut pager, 659, &[])), [""; 0]);
    assert_eq!(told(&step(&mut pager, 660, &[])), ["ticket opened"]);
    assert_eq!(told(&step(&mut pager, 700, &[ends(700, Warning, "ticket", "s1")])), ["ticket resolved"]);
}

#[test]
fn every_ticket_that_outlives_its_page_is_told_not_only_those_that_the_page_remembers() {
    let mut pager = Pager::new(settings());
    let mut outputs: Vec<Output> = (0..80).map(|i| fires(0, Warning, "a", &format!("s{i}"))).collect();
    outputs.push(fires(0, Critical, "a", "worst"));
    assert_eq!(told(&step(&mut pager, 0, &outputs)), ["a opened"]);
    assert_eq!(
        told(&step(&mut pager, 60, &[ends(60, Critical, "a", "worst"), ends(60, Warning, "a", "s79")])),
        ["a resolved"]
    );
    assert_eq!(told(&step(&mut pager, 660, &[])), ["a-rest opened"]);
    assert_eq!((pager.view(at(660)).page("a-rest").unwrap().firing, pager.counts().not_followed), (79, 0));
    let over: Vec<Output> = (0..79).map(|i| ends(700, Warning, "a", &format!("s{i}"))).collect();
    assert_eq!(told(&step(&mut pager, 700, &over[..78])), [""; 0]);
    assert_eq!(told(&step(&mut pager, 700, &over[78..])), ["a-rest resolved"]);
}

#[test]
fn a_ticket_that_was_told_inside_a_page_and_becomes_critical_opens_its_own() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "storm", "s1")]);
    step(&mut pager, 5, &[fires(5, Warning, "ticket", "s1")]);
    assert_eq!(told(&step(&mut pager, 10, &[fires(10, Critical, "ticket", "s9")])), ["ticket opened"]);
    assert_eq!(pager.view(at(10)).page("storm").unwrap().firing, 1);
    assert_eq!(pager.view(at(10)).page("ticket").unwrap().firing, 2);
}

pub(super) fn crowd(t: i64, event: TransitionEvent, count: usize) -> Vec<Output> {
    let name = |i: usize| (format!("i{}", i.min(999)), format!("s{i}"));
    let one = |i: usize| {
        let (incident, who) = name(i);
        let mut transition = alert(t, event, Warning, &incident, &who);
        transition.affected.requests_share = if i < 10 { 0.01 } else { 0.00001 };
        Output::Transition(transition)
    };
    (0..count).map(one).collect()
}

#[test]
fn fifty_thousand_at_once_are_one_page_with_the_ten_largest_and_the_number_of_the_others() {
    let mut pager = Pager::new(settings());
    let opened = step(&mut pager, 0, &crowd(0, TransitionEvent::Firing, 50_000));
    assert_eq!(opened.len(), 1);
    let page = &opened[0].page;
    assert_eq!((page.event, page.severity), (PageEvent::Opened, Warning));
    assert_eq!(page.title, "[WARNING] 50000 alerts at once: RetryAmplification");
    assert_eq!((page.contributors.len(), page.contributors_more), (10, 49_990));
    assert_eq!(page.contributors[0].dimensions, of_subscription("s0"));
    assert_eq!(page.contributors[0].share, 0.01667, "0.01 of 0.1 + 49,990 × 0.00001");
    assert_eq!(page.affected.subscriptions, 50_000);
    assert!(told(&step(&mut pager, 5, &crowd(5, TransitionEvent::Resolved, 49_999))).is_empty());
    let last = crowd(10, TransitionEvent::Resolved, 50_000).pop().unwrap();
    assert_eq!(step(&mut pager, 10, &[last])[0].page.event, PageEvent::Resolved);
}

#[test]
fn what_is_critical_keeps_its_page_in_a_storm_of_tickets() {
    let mut pager = Pager::new(settings());
    let mut outputs = crowd(0, TransitionEvent::Firing, 100);
    outputs.push(fires(0, Critical, "bad", "victim"));
    let opened = step(&mut pager, 0, &outputs);
    assert_eq!(opened.len(), 2);
    assert_eq!((opened[0].page.dedup_key.as_str(), opened[0].page.severity), ("bad", Critical));
    assert_eq!((opened[1].page.contributors_more, opened[1].page.severity), (90, Warning));
    // An incident of the storm that becomes critical leaves it.
    assert_eq!(told(&step(&mut pager, 5, &[fires(5, Critical, "i7", "s7")])), ["i7 opened"]);
}

#[test]
fn a_storm_that_lingers_does_not_swallow_what_comes_later() {
    let mut pager = Pager::new(settings());
    let opened = step(&mut pager, 0, &crowd(0, TransitionEvent::Firing, 200));
    assert_eq!(step(&mut pager, 60, &crowd(60, TransitionEvent::Resolved, 199)), []);
    let (key, author, note) = (opened[0].page.dedup_key.clone(), "jo".into(), String::new());
    pager.command(Command::Acknowledge { key, author, note, expires_at: at(100_000) }, at(70)).unwrap();
    let burst = |t: i64, name: &str| -> Vec<Output> {
        (0..8).map(|i| fires(t, Warning, &format!("{name}{i}"), &format!("{name}{i}"))).collect()
    };
    assert_eq!(step(&mut pager, 599, &burst(599, "soon")), [], "of the same storm");
    assert_eq!(step(&mut pager, 1_198, &burst(1_198, "on")), [], "it goes on");
    let later = step(&mut pager, 1_798, &burst(1_798, "later"));
    assert_eq!((later.len(), later[0].page.event, later[0].reason), (1, PageEvent::Opened, ChangeReason::Storm));
    assert_ne!(later[0].page.dedup_key, opened[0].page.dedup_key);
    assert_eq!(step(&mut pager, 1_900, &burst(1_900, "more")), [], "of the newer one");
}

#[test]
fn the_cap_counts_over_a_minute() {
    let mut pager = Pager::new(settings());
    for i in 0..5 {
        let name = format!("i{i}");
        assert_eq!(told(&step(&mut pager, i * 5, &[fires(i * 5, Critical, &name, &name)])), [format!("{name} opened")]);
    }
    let sixth = step(&mut pager, 30, &[fires(30, Critical, "sixth", "sixth")]);
    assert!(sixth[0].page.dedup_key.contains("-storm-"), "{:?}", told(&sixth));
    assert_eq!(told(&step(&mut pager, 90, &[fires(90, Critical, "later", "later")])), ["later opened"]);
}

#[test]
fn what_opens_a_fourth_time_within_an_hour_stays_open_until_it_is_quiet() {
    let mut pager = Pager::new(settings());
    let mut all = Vec::new();
    for i in 0..6 {
        // Each time another incident of the core: the culprit is the same.
        let incident = format!("i{i}");
        all.extend(step(&mut pager, i * 660, &[fires(i * 660, Critical, &incident, "s1")]));
        all.extend(step(&mut pager, i * 660 + 60, &[ends(i * 660 + 60, Critical, &incident, "s1")]));
    }
    let expected = ["i0 opened", "i0 resolved", "i1 opened", "i1 resolved", "i2 opened", "i2 resolved", "i3 opened"];
    assert_eq!(told(&all)[..7], expected);
    assert!(told(&all)[7..].iter().all(|text| text == "i3 updated"), "{:?}", told(&all));
    assert!(all[6].page.impact.starts_with("Flapping: 4 times since"), "{}", all[6].page.impact);
    let end = 5 * 660 + 60;
    assert_eq!(told(&step(&mut pager, end + 899, &[])), [""; 0]);
    assert_eq!(told(&step(&mut pager, end + 900, &[])), ["i3 resolved"]);
}

#[test]
fn the_wall_clock_alone_resolves_nothing() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    assert_eq!(pager.tick(at(1_000_000)), Obeyed::default());
    assert_eq!(pager.step(&Decided { outputs: &[], watermark: Some(at(0)), reports: &[] }, at(1_000_000)), []);
}

#[test]
fn an_alert_for_the_record_is_no_page() {
    let mut pager = Pager::new(settings());
    assert_eq!(step(&mut pager, 0, &[fires(0, Severity::Info, "a", "s1")]), []);
    let pending = alert(0, TransitionEvent::Pending, Critical, "a", "s1");
    assert_eq!(step(&mut pager, 0, &[Output::Transition(pending)]), []);
    assert!(AlertName::ALL.len() > 1 && pager.view(at(0)).pages.is_empty());
}
