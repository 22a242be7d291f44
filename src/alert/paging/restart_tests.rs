//! What the pager knows after a restart, and what the log that is read again changes of it.

use Severity::{Critical, Warning};

use super::silence_tests::silence;
use super::tests::*;
use super::*;
use crate::model::{Output, Severity, TransitionEvent};

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
