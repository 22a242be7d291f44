//! The journal against crashes: torn lines, a full disk, two services.

use super::*;
use crate::alert::paging::{Command, Decided, Pager, PagerSettings, Silence};
use crate::model::samples;
use crate::model::{Dimension, Dimensions, IncidentReport, Output, Severity, Timestamp, Transition, TransitionEvent};

fn settings() -> PagerSettings {
    PagerSettings { opened_per_minute_max: 100, flaps_max: 100, ..PagerSettings::default() }
}

/// Fires the alert of a version, a second after the one before.
fn fire(pager: &mut Pager, number: i64) -> JournalEntry {
    let at = samples::transition().at.plus(number * 1_000);
    let text = number.to_string();
    let fired = Transition { at, incident: text.as_str().into(), ..samples::transition_of(&text) };
    pager.step(&Decided { outputs: &[Output::Transition(fired)], watermark: Some(at), reports: &[] }, at);
    pager.take_entry()
}

fn pages(restored: Restored) -> usize {
    Pager::restored(settings(), restored.state, Timestamp::default()).view(Timestamp::default()).pages.len()
}

#[test]
fn a_journal_cut_at_any_byte_gives_back_every_step_that_was_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pages.journal");
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut pager = Pager::new(settings());
    for number in 0..4 {
        journal.write(Work::Append(fire(&mut pager, number))).unwrap();
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').collect();
    // The title, everything at the start (nothing), and four steps.
    assert_eq!(ends.len(), 6);
    let cuts = (ends[1]..whole.len()).step_by(97).chain(ends[1..].iter().flat_map(|end| [*end, *end + 1]));
    for cut in cuts {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let lines = ends[1..].iter().filter(|end| **end < cut).count();
        let (_, restored) = Journal::open(directory.path()).unwrap();
        let is_torn = cut > 0 && whole[cut - 1] != b'\n';
        assert_eq!((restored.cut_bytes > 0, restored.entries), (is_torn, lines as u64), "cut at {cut}");
        assert_eq!(restored.lost_entries, 0, "cut at {cut}");
        assert_eq!(pages(restored), lines.saturating_sub(1), "cut at {cut}");
    }
}

#[test]
fn a_damaged_line_and_what_follows_it_is_cut_off_and_said_and_a_copy_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pages.journal");
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut pager = Pager::new(settings());
    for number in 0..3 {
        journal.write(Work::Append(fire(&mut pager, number))).unwrap();
    }
    let silence = Silence {
        id: "".into(),
        matchers: vec!["subscription=acme".parse().unwrap()],
        starts_at: samples::START,
        ends_at: samples::START.plus(3_600_000),
        author: "jo".into(),
        reason: "a load test".to_owned(),
        created_at: samples::START,
    };
    pager.command(Command::Silence(silence), samples::START).unwrap();
    journal.write(Work::Append(pager.take_entry())).unwrap();
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let second = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0 + 100;
    bytes[second] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (_, restored) = Journal::open(directory.path()).unwrap();
    assert!(restored.cut_bytes > 0);
    assert_eq!(restored.lost_entries, 2, "the steps behind the damaged one were safe once");
    let view = Pager::restored(settings(), restored.state, samples::START).view(samples::START);
    assert_eq!((view.pages.len(), view.silences.len()), (1, 1), "a silence rests on no step before it");
    assert_eq!(std::fs::read(directory.path().join("pages.journal.damaged")).unwrap(), bytes);
}

#[test]
fn a_journal_that_has_grown_is_replaced_by_one_line_with_everything() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut pager = Pager::new(settings());
    let mut number = 0;
    while !journal.has_grown() {
        journal.write(Work::Append(fire(&mut pager, number % 5))).unwrap();
        number += 1;
        assert!(number < 10_000, "it never grows");
    }
    journal.write(Work::Rewrite(pager.snapshot())).unwrap();
    assert!(!journal.has_grown());
    drop(journal);
    let (_, restored) = Journal::open(directory.path()).unwrap();
    assert_eq!((restored.entries, restored.cut_bytes), (1, 0));
    assert_eq!(pages(restored), 5);
}

#[test]
fn a_line_that_a_full_disk_tore_is_overwritten_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut pager = Pager::new(settings());
    journal.write(Work::Append(fire(&mut pager, 0))).unwrap();
    let lost = fire(&mut pager, 1);
    journal.file.write_all(&line_of(&lost).unwrap()[..50]).unwrap();
    journal.write(Work::Rewrite(pager.snapshot())).unwrap();
    journal.file.write_all(b"torn").unwrap();
    journal.write(Work::Append(fire(&mut pager, 2))).unwrap();
    drop(journal);
    let (_, restored) = Journal::open(directory.path()).unwrap();
    assert_eq!((restored.entries, restored.cut_bytes), (2, 0));
    assert_eq!(pages(restored), 3);
}

#[test]
fn one_service_at_a_time_and_no_file_of_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(directory.path()).unwrap();
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::InUse(_))));
    drop(journal);
    std::fs::write(directory.path().join("pages.journal"), "dear diary\n").unwrap();
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::NotAJournal(_))));
    assert_eq!(std::fs::read_to_string(directory.path().join("pages.journal")).unwrap(), "dear diary\n");
    let later = br#"{"of_a_later_version":1}"#;
    let text = format!("{TITLE}{} {}\n", checksum(later), String::from_utf8_lossy(later));
    std::fs::write(directory.path().join("pages.journal"), &text).unwrap();
    assert!(matches!(Journal::open(directory.path()), Err(JournalError::NotAJournal(_))));
    assert_eq!(std::fs::read_to_string(directory.path().join("pages.journal")).unwrap(), text, "left as it is");
}

/// Journals that versions up to now have written, one for each change of the format; the newest is of this one.
const WRITTEN: [&str; 3] = ["pages-1.journal", "pages-2.journal", "pages-3.journal"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journals").join(name)
}

/// A page with a ticket inside that somebody has taken, one that flaps, one that is over, a storm, and a silence.
fn write_one_of_each(directory: &Path) {
    let (mut journal, _) = Journal::open(directory).unwrap();
    let settings = PagerSettings { opened_per_minute_max: 3, flaps_max: 1, flap_quiet_ms: 900_000, ..settings() };
    let mut pager = Pager::new(settings);
    let at = |t: i64| samples::START.plus(t * 1_000);
    let alert = |t: i64, event, severity, incident: &str, who: &str| {
        let labels = Dimensions::new([(Dimension::Subscription, who.into())]);
        let (at, since) = (at(t), at(t - 60));
        let incident = incident.into();
        Output::Transition(Transition { at, event, severity, incident, since, labels, ..samples::transition() })
    };
    let (firing, resolved) = (TransitionEvent::Firing, TransitionEvent::Resolved);
    let (critical, warning) = (Severity::Critical, Severity::Warning);
    let storm = (0..5).map(|i| alert(600, firing, warning, &format!("storm{i}"), &format!("s{i}"))).collect();
    let report = IncidentReport { incident: "taken".into(), ..samples::incident() };
    let steps: Vec<(i64, Vec<Output>)> = vec![
        (0, vec![alert(0, firing, critical, "taken", "acme")]),
        (5, vec![alert(5, firing, warning, "ticket", "acme"), alert(5, firing, critical, "over", "bank")]),
        (60, vec![alert(60, resolved, critical, "over", "bank"), alert(60, firing, warning, "flaps", "shop")]),
        (120, vec![alert(120, resolved, warning, "flaps", "shop")]),
        (180, vec![alert(180, firing, warning, "flaps-on", "shop")]),
        (240, vec![alert(240, resolved, warning, "flaps-on", "shop")]),
        (600, storm),
    ];
    for (t, outputs) in steps {
        let decided = Decided { outputs: &outputs, watermark: Some(at(t)), reports: &[&report] };
        pager.step(&decided, at(t));
        journal.write(Work::Append(pager.take_entry())).unwrap();
    }
    let silence = Silence {
        id: "".into(),
        matchers: vec!["subscription=~s[0-9]+".parse().unwrap()],
        starts_at: at(610),
        ends_at: at(7_200),
        author: "jo".into(),
        reason: "a load test".to_owned(),
        created_at: at(610),
    };
    let (key, author, note, expires_at) = ("taken".into(), "jo".into(), "on it".to_owned(), at(3_600));
    for command in [Command::Silence(silence), Command::Acknowledge { key, author, note, expires_at }] {
        pager.command(command, at(610)).unwrap();
        journal.write(Work::Append(pager.take_entry())).unwrap();
    }
}

/// What a journal says, for a person.
fn remembered(path: &Path) -> String {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(path, directory.path().join("pages.journal")).unwrap();
    let (_, restored) = Journal::open(directory.path()).unwrap();
    assert_eq!(restored.cut_bytes, 0);
    let entries = restored.entries;
    let pager = Pager::restored(settings(), restored.state, samples::START.plus(700_000));
    let view = pager.view(samples::START.plus(700_000));
    let pages = view.pages.iter().map(|page| {
        let (key, revision, title) = (&page.page.dedup_key, page.page.revision, &page.page.title);
        let taken = page.acknowledgement.as_ref().map(|taken| taken.author.clone());
        let (silenced, inhibited) = (page.silenced_by.is_some(), &page.inhibited);
        let state = format!("{:?}, {} firing, taken by {taken:?}", page.standing, page.firing);
        format!("{key} r{revision} {state}, silenced {silenced}, inhibited {inhibited:?}: {title}")
    });
    let silences =
        view.silences.iter().map(|silence| format!("silence of {}: {}", silence.matchers[0], silence.reason));
    let handed = pager.unhanded().map(|page| format!("handed {} r{}", page.dedup_key, page.revision));
    let lines: Vec<String> =
        [format!("{entries} steps")].into_iter().chain(pages).chain(silences).chain(handed).collect();
    lines.join("\n")
}

#[test]
fn the_newest_fixture_is_what_is_written_today() {
    let directory = tempfile::tempdir().unwrap();
    write_one_of_each(directory.path());
    let today = std::fs::read_to_string(directory.path().join("pages.journal")).unwrap();
    let newest = fixture(WRITTEN[WRITTEN.len() - 1]);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") && !newest.exists() {
        std::fs::write(&newest, &today).unwrap();
    }
    let written = std::fs::read_to_string(&newest).unwrap_or_default();
    assert!(
        written == today,
        "the format of the journal has changed: keep the fixtures, name a further one in WRITTEN and let it be written \
         (INSTA_UPDATE=always)"
    );
}

#[test]
fn journals_of_every_version_are_read_back() {
    for name in WRITTEN {
        insta::assert_snapshot!(name, remembered(&fixture(name)));
    }
}
