//! What people rely on, one case each; `t` is event time and wall clock in seconds.

use super::*;
use crate::model::{
    AlertName, Dimension, Dimensions, IncidentReport, Output, PageEvent, Severity, Text, Timestamp, Transition,
    TransitionEvent,
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

fn fires(t: i64, severity: Severity, incident: &str, who: &str) -> Output {
    Output::Transition(alert(t, TransitionEvent::Firing, severity, incident, who))
}

fn ends(t: i64, severity: Severity, incident: &str, who: &str) -> Output {
    Output::Transition(alert(t, TransitionEvent::Resolved, severity, incident, who))
}

fn step(pager: &mut Pager, t: i64, outputs: &[Output]) -> Vec<PageChange> {
    step_with(pager, t, outputs, &[])
}

fn step_with(pager: &mut Pager, t: i64, outputs: &[Output], reports: &[&IncidentReport]) -> Vec<PageChange> {
    pager.step(&Decided { outputs, watermark: Some(at(t)), reports }, at(t))
}

/// `key event` of each change.
fn told(changes: &[PageChange]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", change.page.dedup_key, change.event_name())).collect()
}

use Severity::{Critical, Warning};

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

fn crowd(t: i64, event: TransitionEvent, count: usize) -> Vec<Output> {
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

fn silence(t: i64, until: i64, matcher: &str) -> Command {
    Command::Silence(Silence {
        id: Text::default(),
        matchers: vec![matcher.parse().unwrap()],
        starts_at: at(t),
        ends_at: at(until),
        author: "jo".into(),
        reason: "a load test".to_owned(),
        created_at: at(t),
    })
}

#[test]
fn a_silence_keeps_pages_from_receivers_not_from_the_record_and_what_goes_on_is_told_at_its_end() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100, "subscription=~s.*"), at(0)).unwrap();
    let opened = step(&mut pager, 5, &[fires(5, Critical, "a", "s1"), fires(5, Critical, "b", "other")]);
    assert_eq!(told(&opened), ["a opened", "b opened"]);
    assert!(opened[0].silenced_by.is_some() && opened[1].silenced_by.is_none());
    assert_eq!(pager.unhanded().count(), 1);
    let ended = pager.tick(at(100));
    assert_eq!((told(&ended.pages), ended.silences.len()), (vec!["a opened".to_owned()], 1));
    assert!(ended.pages[0].silenced_by.is_none());
}

#[test]
fn who_heard_the_beginning_hears_the_end_in_spite_of_a_silence() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    let begun = pager.command(silence(1, 100, "subscription=s1"), at(1)).unwrap();
    let id = begun.silences[0].silence.id.clone();
    let over = step(&mut pager, 5, &[ends(5, Critical, "a", "s1")]);
    assert_eq!((told(&over), over[0].silenced_by.clone()), (vec!["a resolved".to_owned()], None));
    pager.command(Command::EndSilence { id: id.clone() }, at(6)).unwrap();
    assert!(matches!(pager.command(Command::EndSilence { id }, at(6)), Err(CommandError::NotFound(_))));
}

#[test]
fn an_alert_that_the_silence_does_not_mean_opens_the_page_that_it_kept_back() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100_000, "subscription=acme"), at(0)).unwrap();
    let kept = step(&mut pager, 5, &[fires(5, Critical, "a", "acme")]);
    assert!(kept[0].silenced_by.is_some());
    let joined = step(&mut pager, 10, &[fires(10, Critical, "a", "bank")]);
    assert_eq!((told(&joined), joined[0].silenced_by.clone()), (vec!["a opened".to_owned()], None));
    assert_eq!(told(&step(&mut pager, 15, &[])), [""; 0], "once");
    step(&mut pager, 20, &[ends(20, Critical, "a", "bank")]);
    assert_eq!(told(&step(&mut pager, 30, &[ends(30, Critical, "a", "acme")])), ["a resolved"]);
}

#[test]
fn who_was_not_told_of_a_page_is_not_told_of_its_end() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 10, "subscription=acme"), at(0)).unwrap();
    step(&mut pager, 5, &[fires(5, Critical, "a", "acme")]);
    // The silence ends between two ticks, and the alert with it.
    let over = step(&mut pager, 10, &[ends(10, Critical, "a", "acme")]);
    assert!(over[0].silenced_by.is_some(), "{:?}", told(&over));
}

#[test]
fn an_acknowledgement_holds_updates_back_and_ends() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Warning, "a", "s1")]);
    let take = |expires: i64| Command::Acknowledge {
        key: "a".into(),
        author: "jo".into(),
        note: "on it".to_owned(),
        expires_at: at(expires),
    };
    assert!(matches!(pager.command(take(0), at(1)), Err(CommandError::Refused(_))));
    let taken = pager.command(take(1_000), at(1)).unwrap();
    assert_eq!(told(&taken.pages), ["a acknowledged"]);
    assert_eq!((taken.pages[0].page.acknowledged_by.as_deref(), taken.pages[0].note.as_str()), (Some("jo"), "on it"));
    let report = IncidentReport { incident: "a".into(), ..samples::incident() };
    assert_eq!(told(&step_with(&mut pager, 500, &[], &[&report])), [""; 0], "somebody is looking at it");
    assert_eq!(told(&step(&mut pager, 505, &[fires(505, Critical, "a", "s1")])), ["a updated"], "worse");
    assert_eq!(told(&pager.tick(at(1_000)).pages), ["a updated"], "nobody has it any more");
    assert_eq!(pager.view(at(1_000)).page("a").unwrap().acknowledgement, None);
}

/// The pager as its journal gives it back.
fn restarted(pager: &Pager, t: i64) -> Pager {
    let mut state = PagerState::default();
    state.apply(serde_json::from_str(&serde_json::to_string(&pager.snapshot()).unwrap()).unwrap());
    Pager::restored(settings(), state, at(t))
}

#[test]
fn after_a_restart_the_same_alert_is_the_same_page_even_in_another_incident() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    let mut pager = restarted(&pager, 10);
    assert_eq!(pager.view(at(10)).pages[0].standing, PageStanding::WaitingForData);
    assert_eq!(told(&step(&mut pager, 60, &[fires(60, Critical, "other", "s1")])), [""; 0]);
    assert_eq!(pager.view(at(60)).pages[0].standing, PageStanding::Open);
    assert_eq!(told(&step(&mut pager, 90, &[ends(90, Critical, "other", "s1")])), ["a resolved"]);
}

#[test]
fn what_does_not_fire_again_after_a_restart_is_over_once_the_log_has_come_far_enough() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    let mut pager = restarted(&pager, 10);
    assert_eq!(pager.tick(at(1_000_000)), Obeyed::default(), "no time of the log has passed");
    assert_eq!(told(&step(&mut pager, 10, &[])), [""; 0]);
    assert_eq!(told(&step(&mut pager, 609, &[])), [""; 0]);
    let over = step(&mut pager, 610, &[]);
    assert_eq!(told(&over), ["a resolved"]);
    assert_eq!(over[0].reason, ChangeReason::NotSeenSinceRestart);
    assert!(over[0].page.impact.contains("not seen since the restart"), "{}", over[0].page.impact);
}

#[test]
fn a_page_that_fires_steadily_is_waited_for_from_where_the_log_was_not_from_when_it_was_told() {
    let mut pager = Pager::new(settings());
    let mut state = PagerState::default();
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    for t in (0..=10_800).step_by(30) {
        step(&mut pager, t, &[]);
        state.apply(pager.take_entry());
    }
    let mut pager = Pager::restored(settings(), state, at(10_800));
    for t in (9_000..10_800).step_by(60) {
        assert_eq!(step_at(&mut pager, t, &[], 10_800), [""; 0], "{t}: a core that has read too little to fire");
    }
    assert_eq!(told(&step(&mut pager, 11_390, &[])), [""; 0]);
    assert_eq!(told(&step(&mut pager, 11_400, &[fires(11_400, Critical, "b", "s1")])), [""; 0], "the same page");
    assert_eq!(told(&step(&mut pager, 11_500, &[ends(11_500, Critical, "b", "s1")])), ["a resolved"]);
}

#[test]
fn event_time_alone_is_written_down_once_a_minute() {
    let mut pager = Pager::new(settings());
    let written = (0..600).step_by(5).filter(|t| {
        step(&mut pager, *t, &[]);
        let entry = pager.take_entry();
        assert!(!entry.matters(), "not worth waiting for the disk");
        !entry.is_empty()
    });
    assert_eq!(written.collect::<Vec<_>>(), (0..600).step_by(60).collect::<Vec<_>>());
}

#[test]
fn a_silence_that_ended_while_the_service_was_down_tells_nothing_before_the_log_is_read() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100, "subscription=~s.*"), at(0)).unwrap();
    step(&mut pager, 5, &[fires(5, Critical, "over", "s1"), fires(5, Critical, "on", "s2")]);
    let mut pager = restarted(&pager, 200);
    assert_eq!(pager.tick(at(200)), Obeyed::default(), "not before the log has come to its end");
    let again = [fires(5, Critical, "over", "s1"), fires(5, Critical, "on", "s2")];
    assert_eq!(told(&pager.step(&Decided { outputs: &again, watermark: Some(at(5)), reports: &[] }, at(201))), [""; 0]);
    let read = step(&mut pager, 202, &[ends(15, Critical, "over", "s1")]);
    assert_eq!(told(&read), ["over resolved", "on opened"]);
    assert!(read[0].silenced_by.is_some() && read[1].silenced_by.is_none(), "over before the silence was");
    assert_eq!(pager.tick(at(203)).silences.len(), 1);
}

#[test]
fn a_log_that_does_not_come_to_the_end_of_a_silence_holds_it_for_ten_minutes() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100, "subscription=s1"), at(0)).unwrap();
    step(&mut pager, 5, &[fires(5, Critical, "a", "s1")]);
    let mut pager = restarted(&pager, 200);
    let read = [fires(6, Critical, "a", "s1")];
    assert_eq!(told(&pager.step(&Decided { outputs: &read, watermark: Some(at(6)), reports: &[] }, at(201))), [""; 0]);
    assert_eq!(pager.tick(at(799)), Obeyed::default());
    assert_eq!(told(&pager.tick(at(800)).pages), ["a opened"]);
}

#[test]
fn an_acknowledgement_that_ended_while_the_service_was_down_is_over_once_the_page_is_seen_again() {
    let mut pager = Pager::new(settings());
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1")]);
    let (key, author, note) = ("a".into(), "jo".into(), String::new());
    pager.command(Command::Acknowledge { key, author, note, expires_at: at(100) }, at(1)).unwrap();
    let mut pager = restarted(&pager, 200);
    assert_eq!(told(&pager.tick(at(200)).pages), [""; 0], "it may be over");
    step(&mut pager, 201, &[fires(201, Critical, "b", "s1")]);
    assert_eq!(told(&pager.tick(at(202)).pages), ["a updated"]);
}

/// A page that is told and over, and the service restarted at 7,200 s.
fn restarted_after_a_page() -> Pager {
    let mut pager = Pager::new(settings());
    step(&mut pager, 6_000, &[fires(6_000, Critical, "a", "s1")]);
    step(&mut pager, 6_060, &[ends(6_060, Critical, "a", "s1")]);
    step(&mut pager, 7_200, &[]);
    restarted(&pager, 7_200)
}

fn step_at(pager: &mut Pager, watermark: i64, outputs: &[Output], now: i64) -> Vec<String> {
    told(&pager.step(&Decided { outputs, watermark: Some(at(watermark)), reports: &[] }, at(now)))
}

#[test]
fn a_broker_that_is_away_and_a_log_that_is_read_slowly_repeat_nothing() {
    let mut pager = restarted_after_a_page();
    for now in (7_200..8_400).step_by(5) {
        assert_eq!(pager.step(&Decided { outputs: &[], watermark: None, reports: &[] }, at(now)), []);
    }
    assert_eq!(step_at(&mut pager, 6_000, &[fires(6_000, Critical, "b", "s1")], 8_400), [""; 0]);
    // 20 minutes of the log in 13.
    for now in (8_405..9_200).step_by(5) {
        let watermark = 6_000 + (now - 8_400) * 3 / 2;
        let outputs = if now == 8_440 { vec![ends(6_060, Critical, "b", "s1")] } else { Vec::new() };
        assert_eq!(step_at(&mut pager, watermark, &outputs, now), [""; 0], "{now}");
    }
    assert_eq!(step_at(&mut pager, 7_201, &[fires(7_201, Critical, "c", "s1")], 9_201), ["c opened"]);
}

#[test]
fn what_fires_in_another_log_is_told_after_ten_minutes() {
    // It stands still, or goes on as time does: both are at their end.
    for speed in [0, 1] {
        let mut pager = restarted_after_a_page();
        assert_eq!(step_at(&mut pager, 10, &[fires(10, Critical, "b", "s1")], 7_200), [""; 0]);
        assert_eq!(step_at(&mut pager, 10 + 599 * speed, &[], 7_799), [""; 0]);
        assert_eq!(step_at(&mut pager, 10 + 600 * speed, &[], 7_800), ["b opened"]);
        assert_eq!(pager.state.numbers.told_until, Some(at(10 + 600 * speed)));
    }
}

#[test]
fn a_log_that_is_read_again_repeats_nothing_and_what_still_fires_is_told() {
    let mut pager = Pager::new(settings());
    let log = |pager: &mut Pager| {
        let mut all = step(pager, 0, &[fires(0, Critical, "a", "s1")]);
        all.extend(step(pager, 60, &[ends(60, Critical, "a", "s1"), fires(60, Critical, "b", "s2")]));
        all
    };
    assert_eq!(told(&log(&mut pager)), ["a opened", "b opened", "a resolved"]);
    let mut pager = restarted(&pager, 70);
    assert_eq!(told(&log(&mut pager)), [""; 0]);
    // Decided before the crash, and lost with it: of the same log, and not known.
    assert_eq!(told(&step(&mut pager, 65, &[fires(60, Critical, "c", "s3")])), ["c opened"]);
    assert_eq!(told(&step(&mut pager, 70, &[ends(70, Critical, "b", "s2")])), ["b resolved"]);
}

#[test]
fn entries_that_are_read_back_are_the_same_state() {
    let mut pager = Pager::new(settings());
    let mut state = PagerState::default();
    let mut keep = |pager: &mut Pager| {
        state.apply(serde_json::from_str(&serde_json::to_string(&pager.take_entry()).unwrap()).unwrap());
        assert_eq!(state.snapshot(), pager.snapshot());
    };
    keep(&mut pager);
    step(&mut pager, 0, &[fires(0, Critical, "a", "s1"), fires(0, Warning, "b", "s2")]);
    keep(&mut pager);
    pager.command(silence(0, 100, "subscription=~s.*"), at(0)).unwrap();
    keep(&mut pager);
    step(&mut pager, 60, &crowd(60, TransitionEvent::Firing, 20));
    keep(&mut pager);
    step(&mut pager, 90, &[ends(90, Critical, "a", "s1")]);
    pager.tick(at(200));
    keep(&mut pager);
    assert!(pager.take_entry().is_empty(), "nothing has changed since");
}

#[test]
fn an_alert_for_the_record_is_no_page() {
    let mut pager = Pager::new(settings());
    assert_eq!(step(&mut pager, 0, &[fires(0, Severity::Info, "a", "s1")]), []);
    let pending = alert(0, TransitionEvent::Pending, Critical, "a", "s1");
    assert_eq!(step(&mut pager, 0, &[Output::Transition(pending)]), []);
    assert!(AlertName::ALL.len() > 1 && pager.view(at(0)).pages.is_empty());
}
