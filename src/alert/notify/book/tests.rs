//! The book with time as a parameter.

use super::*;
use crate::alert::{Rule, Rules};
use crate::config::Span;
use crate::model::Timestamp;
use crate::model::samples;

const RESEND: Duration = Duration::from_secs(60);
const RESOLVED_FOR: Duration = Duration::from_secs(300);
const RESTORED_FOR: Duration = Duration::from_secs(900);

fn book() -> Book {
    book_with(Rules::default())
}

fn book_with(rules: Rules) -> Book {
    let times = BookTimes { resend_interval: RESEND, resolved_for: RESOLVED_FOR, restored_for: RESTORED_FOR };
    Book::new(times, watch::channel(Arc::new(rules)).1)
}

/// The wall clock stands still: what it decides is tested with the wire format.
fn moment(now: Instant) -> Moment {
    Moment::without_disk(now, samples::transition().at.plus(60_000))
}

fn transition(version: &str, event: TransitionEvent, severity: Severity) -> Arc<Transition> {
    Arc::new(Transition { event, severity, ..samples::transition_of(version) })
}

fn firing(version: &str) -> Arc<Transition> {
    transition(version, TransitionEvent::Firing, Severity::Critical)
}

fn resolved(version: &str) -> Arc<Transition> {
    transition(version, TransitionEvent::Resolved, Severity::Critical)
}

/// Sends what is due: each alert's version and severity, and whether it is resolved. `done` settles it.
fn send(book: &mut Book, now: Instant, done: bool) -> Vec<(String, String, bool)> {
    let wall_clock = moment(now).wall_clock;
    let Some(message) = book.start(moment(now)) else { return Vec::new() };
    book.settle(done, now);
    let alerts: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let one = |alert: &serde_json::Value| {
        let ends_at = Timestamp::parse_rfc3339(alert["endsAt"].as_str().unwrap()).unwrap();
        (text(&alert["labels"]["client_version"]), text(&alert["labels"]["severity"]), ends_at <= wall_clock)
    };
    alerts.as_array().unwrap().iter().map(one).collect()
}

fn critical(version: &str, resolved: bool) -> (String, String, bool) {
    (version.to_owned(), "critical".to_owned(), resolved)
}

#[test]
fn a_firing_alert_is_sent_again_and_a_resolved_one_for_a_while() {
    let (mut book, start) = (book(), Instant::now());
    book.accept(&firing("4"), moment(start));
    assert_eq!(send(&mut book, start, true), [critical("4", false)]);
    assert_eq!(book.due_at(), Some(start + RESEND));
    assert!(send(&mut book, start + RESEND / 2, true).is_empty());
    assert_eq!(send(&mut book, start + RESEND, true), [critical("4", false)]);

    book.accept(&resolved("4"), moment(start + RESEND));
    assert_eq!(send(&mut book, start + RESEND, true), [critical("4", true)]);
    assert_eq!(send(&mut book, start + 2 * RESEND, true), [critical("4", true)]);
    let end = start + RESEND + RESOLVED_FOR;
    assert_eq!(book.expire(moment(end), None), 0, "the replica was told");
    assert_eq!(book.due_at(), None);
}

#[test]
fn pending_is_not_sent_and_a_resolve_from_before_a_restart_is() {
    let (mut book, now) = (book(), Instant::now());
    book.accept(&transition("4", TransitionEvent::Pending, Severity::Critical), moment(now));
    assert_eq!(book.due_at(), None);
    book.accept(&resolved("5"), moment(now));
    assert_eq!(send(&mut book, now, true), [critical("5", true)]);
}

#[test]
fn what_failed_stays_due_and_what_changed_while_sent_is_due_again() {
    let (mut book, now) = (book(), Instant::now());
    book.accept(&firing("4"), moment(now));
    assert_eq!(send(&mut book, now, false).len(), 1);
    assert_eq!(book.waiting(), 1);
    assert!(book.start(moment(now)).is_some());
    book.accept(&resolved("4"), moment(now));
    assert_eq!(book.settle(true, now), 0, "an older state was told");
    assert_eq!(send(&mut book, now, true), [critical("4", true)]);
    assert_eq!(book.waiting(), 0);
}

#[test]
fn another_severity_ends_the_alert_under_the_old_one() {
    let (mut book, now) = (book(), Instant::now());
    book.accept(&transition("4", TransitionEvent::Firing, Severity::Warning), moment(now));
    assert_eq!(send(&mut book, now, true).len(), 1);
    book.accept(&firing("4"), moment(now));
    let warning = ("4".to_owned(), "warning".to_owned(), true);
    assert_eq!(send(&mut book, now, true), [warning, critical("4", false)]);
    book.accept(&resolved("4"), moment(now));
    assert_eq!(send(&mut book, now, true), [critical("4", true)], "the warning had ended");
}

#[test]
fn an_alert_that_fires_again_is_no_longer_resolved() {
    let (mut book, now) = (book(), Instant::now());
    for event in [firing("4"), resolved("4"), firing("4")] {
        book.accept(&event, moment(now));
    }
    assert_eq!(send(&mut book, now, true), [critical("4", false)]);
    assert_eq!(book.expire(moment(now + RESOLVED_FOR), None), 0);
    assert!(book.due_at().is_some());
}

#[test]
fn at_the_bound_a_resolved_alert_makes_room_else_the_new_one_is_left_out() {
    let (mut book, now) = (book(), Instant::now());
    for i in 0..ALERTS_MAX {
        assert_eq!(book.accept(&firing(&i.to_string()), moment(now)), 0);
    }
    assert_eq!(book.accept(&firing("new"), moment(now)), 1);
    book.accept(&resolved("3"), moment(now));
    assert_eq!(book.accept(&firing("new"), moment(now)), 1, "the replica never heard of the resolve");
    assert_eq!(book.entries.len(), ALERTS_MAX);
    assert_eq!(send(&mut book, now, true).len(), ALERTS_PER_REQUEST_MAX);
}

#[test]
fn what_a_file_remembers_is_told_again_and_what_is_not_heard_of_ends() {
    let (mut before, now) = (book(), Instant::now());
    for event in [firing("4"), resolved("5"), firing("6"), firing("7")] {
        before.accept(&event, moment(now));
    }
    before.accept(&resolved("7"), moment(now));
    let mut book = book();
    for record in before.take_changes() {
        let Record::Alert(held) = record else { panic!("{record:?}") };
        book.restore(held, moment(now));
    }
    let all = [critical("4", false), critical("5", true), critical("6", false), critical("7", true)];
    assert_eq!(send(&mut book, now, true), all);
    assert_eq!(before.records().count(), book.records().count());
    book.accept(&firing("4"), moment(now));
    let read_to = |seconds: i64| Some(samples::transition().at.plus(seconds * 1_000));
    assert_eq!(book.expire(moment(now), read_to(0)), 0);
    let lapsed = now + RESTORED_FOR;
    assert_eq!(book.expire(moment(lapsed), read_to(900)), 0);
    assert_eq!(send(&mut book, lapsed, true), [critical("4", false), critical("6", true)], "only one fired again");
    assert!(matches!(book.take_changes().last(), Some(Record::Forgotten(_))));
}

#[test]
fn each_restored_alert_is_waited_for_as_long_as_its_own_rule_takes() {
    let mut rules = Rules::shipped().unwrap();
    let is_own = |rule: &Rule| (rule.alert, rule.labels.severity) == (firing("4").alert, Severity::Critical);
    let rule = rules.rules.iter_mut().find(|rule| is_own(rule)).unwrap();
    (rule.r#for, rule.keep_firing_for) = (Span::from_secs(60), Span::from_secs(3_600));
    let (mut book, now) = (book_with(rules), Instant::now());
    let of = |severity| HeldAlert::new(&transition("4", TransitionEvent::Firing, severity), severity);
    book.restore(of(Severity::Critical), moment(now));
    book.restore(of(Severity::Warning), moment(now));
    let read_to = |seconds: i64| Some(samples::transition().at.plus(seconds * 1_000));
    let warning = |resolved| ("4".to_owned(), "warning".to_owned(), resolved);
    book.restore_read_to(read_to(0).unwrap());
    for (seconds, expected) in [
        (899, vec![warning(false), critical("4", false)]),
        (900, vec![warning(true), critical("4", false)]),
        (3_659, vec![warning(true), critical("4", false)]),
        (3_660, vec![warning(true), critical("4", true)]),
    ] {
        assert_eq!(book.expire(moment(now), read_to(seconds)), 0);
        let mut told: Vec<_> = book.entries.iter().map(|entry| &entry.held).collect();
        told.sort_by_key(|held| held.severity);
        let told: Vec<_> =
            told.iter().map(|h| ("4".to_owned(), h.severity.as_str().to_owned(), h.resolved_at.is_some())).collect();
        assert_eq!(told, expected, "after {seconds} s");
    }
}

#[test]
fn nothing_ends_while_the_log_has_not_come_past_where_it_was() {
    let read_to = |seconds: i64| Some(samples::transition().at.plus(seconds * 1_000));
    let (mut before, now) = (book(), Instant::now());
    before.accept(&firing("4"), moment(now));
    before.expire(moment(now), read_to(0));
    before.expire(moment(now), read_to(59));
    before.expire(moment(now), read_to(3_600));
    let mut book = book();
    for record in before.records() {
        match record {
            Record::Alert(held) => book.restore(held, moment(now)),
            Record::ReadTo(at) => book.restore_read_to(at),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(send(&mut book, now, true), [critical("4", false)]);
    let later = now + 10 * RESTORED_FOR;
    // No watermark for hours; then a warm-up that is longer than the wait; then the log stands still where it was.
    for watermark in [None, read_to(1_800), read_to(3_600), read_to(3_600 + 899)] {
        assert_eq!(book.expire(moment(later), watermark), 0);
        assert!(send(&mut book, later, true).iter().all(|(_, _, is_resolved)| !is_resolved), "{watermark:?}");
        assert!(book.due_at().unwrap() <= later + LOOK_INTERVAL, "it is looked at again");
    }
    book.expire(moment(later), read_to(3_600 + 900));
    assert_eq!(send(&mut book, later, true), [critical("4", true)]);
}

#[test]
fn at_the_bound_an_alert_more_costs_no_more_than_below_it() {
    let (mut book, now) = (book(), Instant::now());
    let transitions: Vec<_> = (0..2 * ALERTS_MAX).map(|i| firing(&i.to_string())).collect();
    let (below, beyond) = transitions.split_at(ALERTS_MAX);
    let mut take = |transitions: &[Arc<Transition>], waiting: usize| {
        let began_at = Instant::now();
        let left_out: u64 = transitions.iter().map(|transition| book.accept(transition, moment(now))).sum();
        // The notifier's loop asks for these at every turn.
        for _ in 0..ALERTS_MAX {
            assert_eq!((book.expire(moment(now), None), book.due_at(), book.waiting()), (0, Some(now), waiting));
        }
        (left_out, began_at.elapsed(), book.trouble().is_some())
    };
    let (left_out, below_took, is_troubled) = take(below, ALERTS_MAX);
    assert_eq!((left_out, is_troubled), (0, false));
    let (left_out, beyond_took, is_troubled) = take(beyond, ALERTS_MAX);
    assert_eq!((left_out, is_troubled), (ALERTS_MAX as u64, true), "and it is said that they are left out");
    assert!(beyond_took < 3 * below_took, "{below_took:?} below, {beyond_took:?} beyond");
    // Looking at all of 10,000 entries 10,000 times takes minutes here, not seconds.
    assert!(below_took < Duration::from_secs(20), "{below_took:?}");
}

#[test]
fn what_is_told_has_the_words_of_its_rule_and_not_more_than_a_person_reads() {
    let mut rules = Rules::shipped().unwrap();
    let is_own = |rule: &Rule| (rule.alert, rule.labels.severity) == (firing("4").alert, Severity::Critical);
    let rule = rules.rules.iter_mut().find(|rule| is_own(rule)).unwrap();
    rule.annotations.summary = "One \u{7} client repeats: {{ $labels.client_version }}, {{ $value }}".to_owned();
    rule.annotations.description = Some("é".repeat(10_000));
    let (mut book, now) = (book_with(rules), Instant::now());
    book.accept(&firing("4"), moment(now));
    let message = book.start(moment(now)).unwrap();
    let alerts: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    let annotations = &alerts[0]["annotations"];
    assert_eq!(annotations["rule_summary"], "One   client repeats: 4, 9.8");
    assert_eq!(annotations["rule_description"].as_str().unwrap().chars().count(), 2_000);
    assert_eq!(annotations["summary"], firing("4").summary.as_str(), "what happened stays what it was");
}
