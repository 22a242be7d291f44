//! Silences and acknowledgements: what they keep back, and what is said when they end.

use Severity::{Critical, Warning};

use super::tests::*;
use super::*;
use crate::model::{IncidentReport, Output, PageEvent, Severity, Text, TransitionEvent, samples};

pub(super) fn silence(t: i64, until: i64, matcher: &str) -> Command {
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

/// 60 alerts that a silence means are one storm page, which remembers 50 of them.
fn silenced_storm() -> Pager {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100_000, "subscription=~s.*"), at(0)).unwrap();
    let kept = step(&mut pager, 0, &crowd(0, TransitionEvent::Firing, 60));
    assert_eq!((kept.len(), kept[0].silenced_by.is_some()), (1, true));
    pager
}

#[test]
fn alerts_that_the_silence_does_not_mean_open_the_storm_that_it_kept_back_however_large_it_is() {
    let mut pager = silenced_storm();
    let of_others = |t: i64, event| -> Vec<Output> {
        (0..8).map(|i| Output::Transition(alert(t, event, Warning, &format!("o{i}"), &format!("other{i}")))).collect()
    };
    let joined = step(&mut pager, 30, &of_others(30, TransitionEvent::Firing));
    assert_eq!((joined.len(), joined[0].page.event, joined[0].reason), (1, PageEvent::Opened, ChangeReason::Fired));
    assert_eq!(joined[0].page.title, "[WARNING] 68 alerts at once: RetryAmplification");
    assert_eq!(step(&mut pager, 35, &[]), [], "once");
    step(&mut pager, 40, &of_others(40, TransitionEvent::Resolved));
    assert_eq!(step(&mut pager, 50, &crowd(50, TransitionEvent::Resolved, 60))[0].page.event, PageEvent::Resolved);
}

#[test]
fn a_storm_of_which_only_the_last_is_not_meant_is_told() {
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100_000, "subscription=~s.*"), at(0)).unwrap();
    let mut outputs = crowd(0, TransitionEvent::Firing, 60);
    outputs.push(fires(0, Warning, "o", "other"));
    let opened = step(&mut pager, 0, &outputs);
    assert_eq!((opened.len(), opened[0].silenced_by.clone()), (1, None));
    // Worse ones that are meant do not push it out.
    let mut pager = Pager::new(settings());
    pager.command(silence(0, 100_000, "subscription=~s.*"), at(0)).unwrap();
    outputs.extend((0..60).map(|i| fires(0, Critical, &format!("c{i}"), &format!("s-critical{i}"))));
    let opened = step(&mut pager, 0, &outputs);
    assert_eq!((opened.len(), opened[0].silenced_by.clone()), (1, None));
}

#[test]
fn an_alert_more_that_the_silence_means_opens_nothing() {
    let mut pager = silenced_storm();
    let more: Vec<Output> = (0..8).map(|i| fires(30, Warning, &format!("m{i}"), &format!("s-more{i}"))).collect();
    assert_eq!(step(&mut pager, 30, &more), []);
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
