//! The journal against crashes: torn lines, a full disk, two services.

use super::*;
use crate::alert::paging::{Decided, Pager, PagerSettings};
use crate::model::samples;
use crate::model::{Output, Timestamp, Transition};

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
        assert_eq!(pages(restored), lines.saturating_sub(1), "cut at {cut}");
    }
}

#[test]
fn a_damaged_line_and_what_follows_it_is_cut_off_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pages.journal");
    let (mut journal, _) = Journal::open(directory.path()).unwrap();
    let mut pager = Pager::new(settings());
    for number in 0..3 {
        journal.write(Work::Append(fire(&mut pager, number))).unwrap();
    }
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let second = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0 + 100;
    bytes[second] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (_, restored) = Journal::open(directory.path()).unwrap();
    assert!(restored.cut_bytes > 0);
    assert_eq!(pages(restored), 1);
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
