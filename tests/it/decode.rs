//! What records become: snapshots, the odd cases, and "no bytes make it panic".

use std::collections::BTreeMap;
use std::fmt::Write as _;

use floodmark::config::{CombinedSubscription, DecodeConfig, Format};
use floodmark::decode::{Decoded, Decoder};
use floodmark::model::{AttemptSource, Event, RejectionCode, Timestamp};
use proptest::prelude::*;

fn decode(format: Format, record: &[u8]) -> Vec<(u16, Decoded)> {
    decode_with(&Decoder::new(format, &DecodeConfig::default()), record)
}

fn decode_with(decoder: &Decoder, record: &[u8]) -> Vec<(u16, Decoded)> {
    let mut all = Vec::new();
    decoder.decode(record, &mut |index, decoded| all.push((index, decoded)));
    all
}

/// One line per event or rejection, as a person reads it.
fn describe(decoded: &[(u16, Decoded)]) -> String {
    let mut text = String::new();
    for (index, decoded) in decoded {
        let line = match decoded {
            Ok(event) => serde_json::to_string(event).unwrap(),
            Err(reason) => format!("REFUSED {reason} [field: {}]", reason.field.unwrap_or("-")),
        };
        writeln!(text, "  {index}: {line}").unwrap();
    }
    text
}

fn describe_lines(format: Format, config: &DecodeConfig, lines: &str) -> String {
    let decoder = Decoder::new(format, config);
    let lines = lines.lines().map(|line| format!("{line}\n{}", describe(&decode_with(&decoder, line.as_bytes()))));
    lines.collect()
}

fn the_event(record: &str) -> Event {
    let mut all = decode(Format::Native, record.as_bytes());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).1.unwrap()
}

fn code_of(format: Format, record: &[u8]) -> RejectionCode {
    let all = decode(format, record);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].1.as_ref().unwrap_err().code
}

const REQUEST: &str =
    r#"{"timestamp":1772360105250,"subscription":42,"route":"/a","status":"200","duration_ms":"1.5"}"#;

#[test]
fn native_records() {
    let records = include_str!("../fixtures/native_records.ndjson");
    insta::assert_snapshot!(describe_lines(Format::Native, &DecodeConfig::default(), records));
}

#[test]
fn odd_access_log_lines() {
    let lines = include_str!("../fixtures/access-log/odd_lines.log");
    insta::assert_snapshot!(describe_lines(Format::Combined, &DecodeConfig::default(), lines));
}

#[test]
fn access_log_users_as_subscriptions() {
    let mut config = DecodeConfig::default();
    config.combined.subscription = CombinedSubscription::RemoteUser;
    config.combined.service = Some("shop".to_owned());
    let lines: Vec<&str> = include_str!("../fixtures/access-log/odd_lines.log").lines().take(3).collect();
    insta::assert_snapshot!(describe_lines(Format::Combined, &config, &lines.join("\n")));
}

#[test]
fn real_access_log_lines() {
    let lines: Vec<&str> = include_str!("../fixtures/access-log/apache_access_excerpt.log").lines().collect();
    insta::assert_snapshot!(describe_lines(Format::Combined, &DecodeConfig::default(), &lines[..20].join("\n")));
    let mut statuses = BTreeMap::new();
    for line in &lines {
        let decoded = decode(Format::Combined, line.as_bytes());
        let [(0, Ok(Event::Request(request)))] = decoded.as_slice() else { panic!("{line}: {decoded:?}") };
        *statuses.entry(request.status).or_insert(0) += 1;
        // The line says the same to a much simpler reader.
        assert!(line.contains(&format!("\" {} ", request.status)), "{line}");
        assert!(line.starts_with(request.subscription.as_str()), "{line}");
    }
    assert_eq!(statuses.values().sum::<i32>(), 120);
}

#[test]
fn the_query_of_a_referer_is_not_kept() {
    let line = r#"192.0.2.1 - - [01/Mar/2026:10:15:07 +0000] "GET / HTTP/1.1" 200 5 "https://example.org/a?token=s3cret" "curl/8.5.0""#;
    let all = decode(Format::Combined, line.as_bytes());
    let [(0, Ok(Event::Request(request)))] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(request.attributes.get("referer"), Some("https://example.org/a"));
}

#[test]
fn a_user_with_brackets_in_its_name_hides_no_request() {
    for user in ["[", "]", "a [b] c", "[01/Mar/2020:00:00:00 +0000]", r#"] \""#] {
        let line = format!(r#"192.0.2.1 - {user} [01/Mar/2026:10:15:07 +0000] "GET /a HTTP/1.1" 200 5 "-" "] \" [""#);
        let all = decode(Format::Combined, line.as_bytes());
        let [(0, Ok(Event::Request(request)))] = all.as_slice() else { panic!("{line}: {all:?}") };
        assert_eq!(request.timestamp, Timestamp::parse_rfc3339("2026-03-01T10:15:07Z").unwrap(), "{line}");
        assert_eq!((request.route.as_str(), request.attributes.get("remote_user")), ("/a", Some(user)), "{line}");
    }
}

#[test]
fn bytes_that_are_no_record() {
    for format in [Format::Native, Format::Combined] {
        assert_eq!(code_of(format, b""), RejectionCode::Empty);
        assert_eq!(code_of(format, b" \r\n"), RejectionCode::Empty);
        assert_eq!(code_of(format, b"\xEF\xBB\xBF"), RejectionCode::Empty);
        assert_eq!(code_of(format, b"\xff\xfe\x00"), RejectionCode::NotUtf8);
        assert_eq!(code_of(format, &vec![b'x'; 1024 * 1024 + 1]), RejectionCode::TooLong);
        assert_eq!(code_of(format, "[".repeat(100_000).as_bytes()), RejectionCode::Syntax);
    }
    assert_eq!(code_of(Format::Native, b"[]"), RejectionCode::Empty);
    for open in ["{\"a\":", "{\"attributes\":", "[[", "{\"type\":["] {
        assert_eq!(code_of(Format::Native, open.repeat(50_000).as_bytes()), RejectionCode::Syntax, "{open}");
    }
}

#[test]
fn a_byte_order_mark_and_line_ends_are_tolerated() {
    let record = format!("\u{feff}{REQUEST}\r\n");
    assert_eq!(the_event(&record), the_event(REQUEST));
}

#[test]
fn arrays_are_bounded_and_keep_what_is_good() {
    let array = format!("[{REQUEST},7,{{\"type\":\"signal\"}},{REQUEST}]");
    let kinds: Vec<(u16, bool)> =
        decode(Format::Native, array.as_bytes()).iter().map(|(index, decoded)| (*index, decoded.is_ok())).collect();
    assert_eq!(kinds, [(0, true), (1, false), (2, false), (3, true)]);

    let many = format!("[{}]", vec![REQUEST; 10_004].join(","));
    let mut config = DecodeConfig::default();
    config.record_bytes_max = floodmark::config::ByteCount::mib(2);
    let all = decode_with(&Decoder::new(Format::Native, &config), many.as_bytes());
    assert_eq!(all.len(), 10_001);
    let (index, last) = all.last().unwrap();
    let reason = last.as_ref().unwrap_err();
    assert_eq!((*index, reason.code), (10_000, RejectionCode::TooManyEvents));
    assert!(reason.message.starts_with("4 events after"), "{}", reason.message);

    let cut = format!("[{REQUEST},{REQUEST},{{\"type");
    let all = decode(Format::Native, cut.as_bytes());
    assert_eq!(all.iter().filter(|(_, decoded)| decoded.is_ok()).count(), 2);
    assert_eq!(all[2].1.as_ref().unwrap_err().code, RejectionCode::Syntax);
}

#[test]
fn native_events_may_say_where_their_attempt_was_read() {
    let with = |fields: &str| REQUEST.replace('}', &format!(",{fields}}}"));
    let event = the_event(&with(r#""attempt":2,"attempt_source":"retry_attempt","upstream_attempts":"0""#));
    let Event::Request(request) = event else { panic!("no request") };
    let said = (request.attempt, request.attempt_source, request.upstream_attempts);
    assert_eq!(said, (Some(2), Some(AttemptSource::RetryAttempt), Some(0)));
    for (fields, code) in [
        (r#""attempt_source":"rumour""#, RejectionCode::OutOfRange),
        (r#""upstream_attempts":-1"#, RejectionCode::OutOfRange),
        (r#""upstream_attempts":"many""#, RejectionCode::WrongType),
    ] {
        assert_eq!(code_of(Format::Native, with(fields).as_bytes()), code, "{fields}");
    }
}

#[test]
fn credentials_in_unknown_fields_are_left_out_and_counted() {
    let fields = r#""authorization":"Bearer s3cret","colour":"green","attributes":{"X-Api-Key":"s3cret","size":2},
        "headers":{"accept":"*/*","Cookie":"s3cret"},"nested":[{"deep":{"client_secret":"s3cret"}}]"#;
    let Event::Request(request) = the_event(&REQUEST.replace('}', &format!(",{fields}}}"))) else {
        panic!("no request")
    };
    assert_eq!(request.attributes.iter().collect::<Vec<_>>(), [("colour", "green"), ("size", "2")]);
    assert_eq!(request.attributes.dropped(), 4);
}

#[test]
fn two_objects_in_one_record_are_refused_whole() {
    assert_eq!(code_of(Format::Native, format!("{REQUEST}\n{REQUEST}").as_bytes()), RejectionCode::Syntax);
}

#[test]
fn what_is_written_is_read_back() {
    for line in include_str!("../fixtures/native_records.ndjson").lines() {
        for (_, decoded) in decode(Format::Native, line.as_bytes()) {
            if let Ok(event) = decoded {
                let written = serde_json::to_string(&event).unwrap();
                let again = the_event(&written);
                // How many fields were dropped is a fact of the original record.
                assert_eq!(serde_json::to_string(&again).unwrap(), written);
                assert_eq!(again.timestamp(), event.timestamp());
            }
        }
    }
}

#[test]
fn watermarks_are_understood_in_every_format() {
    for format in [Format::Native, Format::Combined] {
        let all = decode(format, br#"{"type":"watermark","timestamp":"2026-03-01T10:15:05Z"}"#);
        let expected = Event::Watermark(Timestamp::parse_rfc3339("2026-03-01T10:15:05Z").unwrap());
        assert_eq!(all, [(0, Ok(expected))]);
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~é]{0,12}".prop_map(Value::from),
        prop_oneof![Just("NaN"), Just("inf"), Just("-1"), Just("1e999"), Just("2026-03-01T10:15:05Z")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

const NAMES: [&str; 18] = [
    "type",
    "timestamp",
    "subscription",
    "route",
    "status",
    "duration_ms",
    "attempt",
    "attempt_source",
    "upstream_attempts",
    "response_bytes",
    "source",
    "metric",
    "value",
    "kind",
    "service",
    "node",
    "attributes",
    "colour",
];

fn assert_sane(all: &[(u16, Decoded)]) {
    assert!(!all.is_empty(), "every record is accounted for");
    for (place, (index, decoded)) in all.iter().enumerate() {
        assert_eq!(usize::from(*index), place);
        match decoded {
            Ok(Event::Request(request)) => {
                assert!(request.duration_ms.is_finite() && request.duration_ms >= 0.0);
                assert!(request.status <= 999 && !request.subscription.is_empty() && !request.route.is_empty());
                assert_ne!(request.attempt, Some(0));
            }
            Ok(Event::Signal(signal)) => assert!(signal.value.is_finite()),
            Ok(_) => {}
            Err(reason) => assert!(reason.message.len() < 300 && !reason.message.contains('\n'), "{reason:?}"),
        }
    }
}

/// Names of fields, and some that are none.
const ATTRIBUTE_NAMES: [&str; 10] =
    ["attempt", "type", "attributes", "title", "url", "source", "colour", "a b", "subscription", "user"];

proptest! {
    #[test]
    fn attributes_named_like_fields_are_read_back_as_attributes(
        kind in proptest::sample::select(&[
            r#""type":"request","subscription":"s","route":"/","status":200,"duration_ms":1"#,
            r#""type":"signal","source":"s","metric":"m","value":1"#,
            r#""type":"change","kind":"deploy","service":"s""#,
            r#""type":"query","node":"n","fingerprint":"f""#,
        ][..]),
        names in proptest::sample::subsequence(&ATTRIBUTE_NAMES[..], 0..=ATTRIBUTE_NAMES.len()).prop_shuffle(),
        value in "[a-z0-9]{1,5}",
    ) {
        let attributes: Vec<String> = names.iter().map(|name| format!(r#""{name}":"{value}""#)).collect();
        let event = the_event(&format!(
            r#"{{"timestamp":1772360105250,{kind},"attributes":{{{}}}}}"#,
            attributes.join(",")
        ));
        prop_assert_eq!(the_event(&serde_json::to_string(&event).unwrap()), event);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert_sane(&decode(Format::Native, &bytes));
        assert_sane(&decode(Format::Combined, &bytes));
    }

    #[test]
    fn no_damaged_line_makes_it_panic(cut in 0_usize..220, insert in "[ -~\\\\\"é\\[\\]]{0,6}", at in 0_usize..220) {
        for (format, line) in [
            (Format::Combined, include_str!("../fixtures/access-log/apache_access_excerpt.log").lines().next().unwrap()),
            (Format::Native, REQUEST),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            bytes.splice(at.min(bytes.len())..at.min(bytes.len()), insert.bytes());
            bytes.truncate(cut.max(1));
            assert_sane(&decode(format, &bytes));
        }
    }

    #[test]
    fn any_values_give_sane_events_or_reasons(
        fields in proptest::collection::vec((proptest::sample::select(&NAMES[..]), json_value()), 0..12),
    ) {
        let mut base: serde_json::Map<String, serde_json::Value> = serde_json::from_str(REQUEST).unwrap();
        base.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let record = serde_json::to_vec(&base).unwrap();
        assert_sane(&decode(Format::Native, &record));
    }
}
