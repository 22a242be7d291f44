//! What would become of a dead letter now: pure, so that a dry run and a real one cannot differ.
//!
//! A letter is about one element of a record. The record's other elements may be stored, so that only this one may be
//! sent again: the record as a whole only when it is known that nothing of it was kept.

use serde::de::IgnoredAny;

use crate::decode::{Decoded, Decoder};
use crate::model::{Event, RejectionCode};

/// What can be done about a letter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan<'a> {
    /// These bytes, of the record or of an element of it, are accepted now.
    Accepted {
        /// To be sent.
        bytes: &'a [u8],
        /// What they become.
        events: Vec<Event>,
        /// Why further elements in `bytes` are refused, if some are: they come back as letters of the new record.
        refused: Option<RejectionCode>,
    },
    /// Still refused, and why.
    Refused(RejectionCode),
    /// The element would be accepted, but cannot be cut out of its record, of which other elements are stored.
    Inseparable,
}

/// What `decoder` makes of element `index` of `record`, which `decoder_then` (if it is known) refused for `reason`.
pub(super) fn plan<'a>(
    decoder: &Decoder,
    decoder_then: Option<&Decoder>,
    record: &'a [u8],
    (index, reason): (u16, &str),
) -> Plan<'a> {
    let mut outcomes = decode(decoder, record);
    let alone = || decoder_then.map_or(outcomes.len(), |then| decode(then, record).len()) == 1;
    if index == 0 && (refused_whole(reason) || alone()) {
        return whole(record, outcomes);
    }
    let elements = split_array(record).unwrap_or_default();
    let count = outcomes.len();
    if usize::from(index) >= count {
        // A record that broke off there is whole now, or the other way round: which elements are stored is not known.
        return Plan::Inseparable;
    }
    match outcomes.swap_remove(index.into()) {
        Err(refused) => Plan::Refused(refused.code),
        Ok(event) => match elements.get(usize::from(index)) {
            // The decoder has the last word on whether the piece is the element.
            Some(bytes) if elements.len() == count && decode(decoder, bytes) == [Ok(event.clone())] => {
                Plan::Accepted { bytes, events: vec![event], refused: None }
            }
            _ => Plan::Inseparable,
        },
    }
}

/// Nothing of the record was kept: it may be sent as it is, if anything in it is accepted.
fn whole(record: &[u8], outcomes: Vec<Decoded>) -> Plan<'_> {
    let mut first = None;
    let mut events = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(event) => events.push(event),
            Err(reason) => first = first.or(Some(reason.code)),
        }
    }
    match first {
        Some(code) if events.is_empty() => Plan::Refused(code),
        refused => Plan::Accepted { bytes: record, events, refused },
    }
}

/// Whether a record that is refused for this reason, at its beginning, is refused with everything in it.
fn refused_whole(reason: &str) -> bool {
    [RejectionCode::Empty, RejectionCode::TooLong, RejectionCode::NotUtf8].iter().any(|code| code.as_str() == reason)
}

/// What a record becomes, in the order of indexes.
fn decode(decoder: &Decoder, record: &[u8]) -> Vec<Decoded> {
    let mut outcomes = Vec::new();
    decoder.decode(record, &mut |_, decoded| outcomes.push(decoded));
    outcomes
}

/// The bytes of each element of a JSON array; `None` when it is none.
fn split_array(record: &[u8]) -> Option<Vec<&[u8]>> {
    let record = record.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(record).trim_ascii();
    let mut rest = record.strip_prefix(b"[")?.trim_ascii_start();
    let mut elements = Vec::new();
    if rest == b"]" {
        return Some(elements);
    }
    loop {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let (element, after) = rest.split_at_checked(values.byte_offset())?;
        elements.push(element);
        rest = after.trim_ascii_start();
        if rest == b"]" {
            return Some(elements);
        }
        rest = rest.strip_prefix(b",")?.trim_ascii_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DecodeConfig, Format};

    const GOOD: &str = r#"{"timestamp":"2026-09-14T10:00:00Z","subscription":"a","route":"r","status":200,"duration_ms":1,"x":"],\" [{"}"#;

    fn native() -> Decoder {
        Decoder::new(Format::Native, &DecodeConfig::default())
    }

    fn again<'a>(record: &'a str, index: u16, reason: &str) -> Plan<'a> {
        plan(&native(), Some(&native()), record.as_bytes(), (index, reason))
    }

    fn accepted<'a>(plan: Plan<'a>) -> (&'a str, usize) {
        match plan {
            Plan::Accepted { bytes, events, .. } => (std::str::from_utf8(bytes).unwrap(), events.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_an_array_only_the_refused_element_is_sent_again() {
        let record = format!(" [7, {GOOD} , [1,{{\"a\":[]}}] ,{GOOD}]");
        assert_eq!(accepted(again(&record, 1, "missing_field")), (GOOD, 1));
        assert_eq!(accepted(again(&record, 3, "missing_field")), (GOOD, 1));
        assert_eq!(again(&record, 2, "syntax"), Plan::Refused(RejectionCode::Syntax));
    }

    #[test]
    fn a_record_of_which_nothing_was_kept_is_sent_as_it_is() {
        let record = format!("[{GOOD},{GOOD}]");
        assert_eq!(accepted(again(&record, 0, "too_long")), (record.as_str(), 2));
        let single = format!(" {GOOD}\n");
        assert_eq!(accepted(again(&single, 0, "out_of_range")), (single.as_str(), 1));
        let short = DecodeConfig { record_bytes_max: crate::config::ByteCount::mib(0), ..DecodeConfig::default() };
        let still = plan(&Decoder::new(Format::Native, &short), None, record.as_bytes(), (0, "too_long"));
        assert_eq!(still, Plan::Refused(RejectionCode::TooLong));
    }

    #[test]
    fn what_may_be_stored_already_is_not_sent_again() {
        // It broke off after the first element, which was kept.
        let broken = format!("[{GOOD},{{");
        assert_eq!(again(&broken, 1, "syntax"), Plan::Refused(RejectionCode::Syntax));
        // As a decoder that puts up with it would see it: what of it was kept is not known.
        let record = format!("[{GOOD},{GOOD}]");
        assert_eq!(again(&record, 2, "syntax"), Plan::Inseparable);
    }

    #[test]
    fn a_decoder_that_saw_one_line_refused_all_of_it() {
        let lines = Decoder::new(Format::Combined, &DecodeConfig::default());
        let record = format!("[{GOOD},7,{GOOD}]");
        let now = plan(&native(), Some(&lines), record.as_bytes(), (0, "syntax"));
        let Plan::Accepted { bytes, events, refused } = now else { panic!("{now:?}") };
        assert_eq!((bytes, events.len(), refused), (record.as_bytes(), 2, Some(RejectionCode::Syntax)));
        // Of a decoder that is not known it is not known what it kept.
        let Plan::Accepted { bytes, .. } = plan(&native(), None, record.as_bytes(), (0, "syntax")) else { panic!() };
        assert_eq!(bytes, GOOD.as_bytes());
    }

    #[test]
    fn arrays_are_split_where_json_says() {
        let split = |text: &'static str| split_array(text.as_bytes()).map(|all| all.len());
        assert_eq!((split("[]"), split("[ 1 , \"],[\",{\"a\":[1,2]} ]"), split("[1")), (Some(0), Some(3), None));
        assert_eq!((split("{}"), split("[1 2]"), split("[1]x"), split("[1,]")), (None, None, None, None));
    }
}
