//! The ring under torn writes, other sizes and other owners.

use proptest::prelude::*;

use super::*;

fn texts(directory: &Path) -> Vec<String> {
    read(directory).unwrap().into_iter().map(|payload| String::from_utf8(payload).unwrap()).collect()
}

fn record(number: usize, length: usize) -> String {
    format!("{number}:{}", "x".repeat(length))
}

#[test]
fn the_oldest_is_overwritten_and_a_reopened_ring_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    for run in 0..3 {
        let mut ring = Ring::open(directory.path(), BYTES_MIN).unwrap();
        for number in 0..40 {
            ring.append(record(run * 40 + number, 50_000).as_bytes()).unwrap();
        }
    }
    let kept = texts(directory.path());
    let numbers: Vec<usize> = kept.iter().map(|text| text.split(':').next().unwrap().parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&119));
    assert!(numbers.is_sorted() && numbers.len() >= 18, "{numbers:?}");
    let size = std::fs::metadata(path_in(directory.path())).unwrap().len();
    assert!(size <= BYTES_MIN && size > BYTES_MIN - 64);
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let directory = tempfile::tempdir().unwrap();
    assert!(!is_written(directory.path()));
    let mut ring = Ring::open(directory.path(), BYTES_MIN).unwrap();
    ring.append(b"a").unwrap();
    assert!(matches!(Ring::open(directory.path(), BYTES_MIN), Err(RingError::InUse(_))));
    assert!(is_written(directory.path()));
    assert_eq!(texts(directory.path()), ["a"]);
    drop(ring);
    assert!(Ring::open(directory.path(), BYTES_MIN).is_ok());
}

#[test]
fn another_size_keeps_the_newest_records() {
    let directory = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(directory.path(), 2 * BYTES_MIN).unwrap();
    for number in 0..30 {
        ring.append(record(number, 50_000).as_bytes()).unwrap();
    }
    drop(ring);
    drop(Ring::open(directory.path(), BYTES_MIN).unwrap());
    let kept = texts(directory.path());
    assert!(kept.len() >= 18 && kept.len() < 30);
    assert!(kept.last().unwrap().starts_with("29:") && kept[0].starts_with(&format!("{}:", 30 - kept.len())));
    let mut ring = Ring::open(directory.path(), 4 * BYTES_MIN).unwrap();
    ring.append(b"30").unwrap();
    assert_eq!(texts(directory.path()).len(), kept.len() + 1);
}

#[test]
fn a_foreign_file_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = path_in(directory.path());
    std::fs::write(&path, "notes\n").unwrap();
    assert!(matches!(Ring::open(directory.path(), BYTES_MIN), Err(RingError::NotARing(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes\n");
    assert!(matches!(Ring::open(directory.path(), 5), Err(RingError::Size(5))));
}

#[test]
fn a_ring_that_was_cut_off_is_read_as_far_as_it_goes_and_not_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(directory.path(), BYTES_MIN).unwrap();
    for number in 0..5 {
        ring.append(record(number, 50_000).as_bytes()).unwrap();
    }
    drop(ring);
    let path = path_in(directory.path());
    let cut = |bytes: u64| File::options().write(true).open(&path).unwrap().set_len(bytes).unwrap();
    cut(PREFACE_BYTES + 130_000);
    assert_eq!(texts(directory.path()).len(), 2, "the third is torn");
    assert!(matches!(Ring::open(directory.path(), BYTES_MIN), Err(RingError::NotARing(_))));
    cut(100);
    assert!(texts(directory.path()).is_empty());
    cut(0);
    assert!(matches!(read(directory.path()), Err(RingError::NotARing(_))));
}

#[test]
fn a_record_larger_than_a_quarter_is_refused_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ring = Ring::open(directory.path(), BYTES_MIN).unwrap();
    ring.append(b"small").unwrap();
    assert!(matches!(ring.append(&vec![b'x'; 300_000]), Err(RingError::RecordTooLarge(300_000))));
    assert_eq!(texts(directory.path()), ["small"]);
}

/// Records laid into an area as the ring does; gives the area and where the last begins.
fn area(lengths: &[usize], area_bytes: usize) -> (Vec<u8>, usize, Vec<u8>) {
    let mut area = vec![0; area_bytes];
    let (mut at, mut begin, mut before) = (0, 0, area.clone());
    for (number, length) in lengths.iter().enumerate() {
        let encoded = frame::encode(number as u64 + 1, record(number, *length).as_bytes());
        begin = if at + encoded.len() > area_bytes { 0 } else { at };
        before.clone_from(&area);
        area[begin..begin + encoded.len()].copy_from_slice(&encoded);
        at = begin + encoded.len();
    }
    (area, begin, before)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn torn_at_any_byte_of_the_last_record_the_others_are_read(
        lengths in prop::collection::vec(0..300_usize, 2..60),
    ) {
        let (whole, begin, before) = area(&lengths, 4_096);
        let last = lengths.len() as u64;
        let length = frame::encode(last, record(lengths.len() - 1, lengths[lengths.len() - 1]).as_bytes()).len();
        // What the last record overwrites is gone as soon as it begins.
        let untouched: Vec<u64> = frame::scan(&whole).iter().map(|frame| frame.sequence).filter(|n| *n != last).collect();
        for cut in 0..length {
            let mut torn = before.clone();
            torn[begin..begin + cut].copy_from_slice(&whole[begin..begin + cut]);
            let found = frame::scan(&torn);
            let sequences: Vec<u64> = found.iter().map(|frame| frame.sequence).collect();
            prop_assert!(untouched.iter().all(|sequence| sequences.contains(sequence)), "cut at {}", cut);
            for frame in found {
                let number = frame.sequence as usize - 1;
                let expected = record(number, lengths[number]);
                prop_assert_eq!(frame.payload, expected.as_bytes(), "what is read is what was written");
            }
        }
    }

    #[test]
    fn any_damaged_byte_costs_at_most_one_record(
        lengths in prop::collection::vec(0..300_usize, 1..12), place in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let (mut area, ..) = area(&lengths, 8_192);
        let place = place.index(area.len());
        area[place] ^= 1 << bit;
        prop_assert!(frame::scan(&area).len() + 1 >= lengths.len());
    }

    #[test]
    fn arbitrary_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = frame::scan(&bytes);
    }
}
