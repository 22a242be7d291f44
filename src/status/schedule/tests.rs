//! Who says how a component is, and until when.

use super::*;
use crate::status::Statements;
use crate::status::incidents::tests::{request, s, settings};

fn say(all: &mut Statements, second: i64, command: &str) -> Result<String, String> {
    let done = all.command(&request(command, s(second)), &settings(""));
    done.map(|done| done.id).map_err(|error| error.to_string())
}

fn moment(second: i64) -> String {
    s(second).to_string()
}

#[test]
fn a_persons_word_beats_work_and_work_beats_measurement_and_both_end() {
    let mut all = Statements::default();
    let work = format!(
        r#"{{"do": "announce", "name": "Work", "body": "Slow.", "from": "{}", "until": "{}", "components": ["api"]}}"#,
        moment(100),
        moment(1_000)
    );
    say(&mut all, 0, &work).unwrap();
    let word = format!(
        r#"{{"do": "state", "component": "api", "state": "major_outage", "until": "{}", "note": "We know better."}}"#,
        moment(500)
    );
    say(&mut all, 200, &word).unwrap();
    let until = s(500);
    let person = Authority::Person { until, note: Some("We know better.".to_owned()) };
    let (major, maintenance) = (ComponentState::MajorOutage, ComponentState::UnderMaintenance);
    for (second, expected) in [
        (99, None),
        (100, Some((maintenance, Authority::Maintenance))),
        (199, Some((maintenance, Authority::Maintenance))),
        (200, Some((major, person.clone()))),
        (499, Some((major, person))),
        (500, Some((maintenance, Authority::Maintenance))),
        (999, Some((maintenance, Authority::Maintenance))),
        (1_000, None),
    ] {
        assert_eq!(all.state_at("api", s(second)), expected, "{second}");
        assert_eq!(all.state_at("search", s(second)), None);
    }
    assert_eq!(all.schedule.next_change(s(200)), Some(s(500)));
    assert_eq!(all.schedule.next_change(s(1_000)), None);
}

#[test]
fn a_word_is_taken_back_and_the_past_stays_as_it_was() {
    let mut all = Statements::default();
    let word = |state: &str, until: i64| {
        format!(r#"{{"do": "state", "component": "api", "state": "{state}", "until": "{}"}}"#, moment(until))
    };
    say(&mut all, 0, &word("operational", 500)).unwrap();
    say(&mut all, 100, &word("partial_outage", 900)).unwrap();
    say(&mut all, 200, r#"{"do": "clear", "component": "api"}"#).unwrap();
    let state = |second: i64| all.state_at("api", s(second)).map(|(state, _)| state);
    assert_eq!(state(50), Some(ComponentState::Operational));
    assert_eq!(state(150), Some(ComponentState::PartialOutage));
    assert_eq!(state(200), None);
    assert!(all.schedule.words(s(200)).is_empty());
    let again = say(&mut all, 300, r#"{"do": "clear", "component": "api"}"#);
    assert_eq!(again, Err("nobody has said how api is: it is measured".to_owned()));
}

#[test]
fn words_and_work_are_looked_at_before_they_count() {
    let mut all = Statements::default();
    let word = |until: i64, note: &str| {
        let until = moment(until);
        format!(
            r#"{{"do": "state", "component": "api", "state": "operational", "until": "{until}", "note": "{note}"}}"#
        )
    };
    let work = |from: i64, until: i64, components: &str| {
        let (from, until) = (moment(from), moment(until));
        format!(
            r#"{{"do": "announce", "name": "x", "body": "y", "from": "{from}", "until": "{until}", "components": {components}}}"#
        )
    };
    for (command, why) in [
        (word(0, ""), "until: must be in the future"),
        (word(7 * 86_400 + 1, ""), "until: must be within 7 days: a person's word is looked at again"),
        (word(60, "Zeus"), "note: \"zeus\" may not be public: status.forbidden_words names it"),
        (r#"{"do": "clear", "component": "apo"}"#.to_owned(), "components: \"apo\" is not one: there are api, search"),
        (work(-200, 60, r#"["api"]"#), "from: must not be in the past: what was is measured"),
        (work(60, 60, r#"["api"]"#), "until: must be after it begins, and in the future"),
        (work(60, 8 * 86_400, r#"["api"]"#), "until: work lasts 7 days at most"),
        (work(60, 120, "[]"), "components: name at least one"),
        (r#"{"do": "cancel_maintenance", "maintenance": "x"}"#.to_owned(), "there is no maintenance x"),
    ] {
        assert_eq!(say(&mut all, 0, &command), Err(why.to_owned()), "{command}");
    }
    assert_eq!(all, Statements::default());
}

#[test]
fn work_changes_until_it_begins_and_is_called_off() {
    let mut all = Statements::default();
    let work = format!(
        r#"{{"do": "announce", "name": "x", "body": "y", "from": "{}", "until": "{}", "components": ["api"]}}"#,
        moment(100),
        moment(1_000)
    );
    let id = say(&mut all, 0, &work).unwrap();
    let change = |what: &str| format!(r#"{{"do": "change_maintenance", "maintenance": "{id}", {what}}}"#);
    say(&mut all, 10, &change(&format!(r#""from": "{}", "components": ["search"]"#, moment(200)))).unwrap();
    assert_eq!(all.state_at("search", s(150)), None);
    let begun = say(&mut all, 250, &change(r#""components": ["api"]"#)).unwrap_err();
    assert!(begun.starts_with("it has begun"), "{begun}");
    say(&mut all, 260, &change(&format!(r#""until": "{}", "name": "Longer work""#, moment(2_000)))).unwrap();
    assert!(all.state_at("search", s(1_500)).is_some());
    say(&mut all, 300, &format!(r#"{{"do": "cancel_maintenance", "maintenance": "{id}"}}"#)).unwrap();
    assert!(all.state_at("search", s(299)).is_some() && all.state_at("search", s(300)).is_none());
    let [kept] = all.schedule.maintenances().try_into().unwrap();
    assert_eq!((kept.name.as_str(), kept.body.as_str(), kept.is_cancelled), ("Longer work", "y", true));
    assert_eq!(say(&mut all, 310, &change(r#""name": "z""#)), Err(format!("{id} was called off")));
}

#[test]
fn the_oldest_that_are_over_make_room() {
    let mut all = Statements::default();
    for number in 0..i64::try_from(MAINTENANCES_MAX).unwrap() + 3 {
        let (now, until) = (number * 100, moment(number * 100 + 50));
        let work =
            format!(r#"{{"do": "announce", "name": "x", "body": "y", "until": "{until}", "components": ["api"]}}"#);
        say(&mut all, now, &work).unwrap();
    }
    assert_eq!(all.schedule.maintenances().len(), MAINTENANCES_MAX);
    for number in 0..i64::try_from(WORDS_MAX).unwrap() + 3 {
        let until = moment(number * 100 + 500);
        let word = format!(r#"{{"do": "state", "component": "api", "state": "operational", "until": "{until}"}}"#);
        say(&mut all, number * 100, &word).unwrap();
    }
    assert_eq!(all.schedule.words.len(), WORDS_MAX);
}
