//! What the logs of other systems become: snapshots of every format, and that no damage makes a record disappear.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use floodmark::config::{ByteCount, DecodeConfig, Format};
use floodmark::decode::{Decoded, Decoder};
use floodmark::model::{AttemptSource, Event, RejectionCode, Request, names_credential};
use proptest::prelude::*;

/// Formats of JSON records, with their samples.
const JSON_FORMATS: [Format; 10] = [
    Format::Envoy,
    Format::Kong,
    Format::Apisix,
    Format::Traefik,
    Format::Nginx,
    Format::AwsApigw,
    Format::Cloudflare,
    Format::Zuplo,
    Format::Ecs,
    Format::OtlpJson,
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats")
}

fn sample(format: Format) -> String {
    std::fs::read_to_string(directory().join(format!("{}.ndjson", format.as_str()))).unwrap()
}

fn protobuf(name: &str) -> Vec<u8> {
    std::fs::read(directory().join(name)).unwrap()
}

fn decode(decoder: &Decoder, record: &[u8]) -> Vec<(u16, Decoded)> {
    let mut all = Vec::new();
    decoder.decode(record, &mut |index, decoded| all.push((index, decoded)));
    all
}

fn decoder(format: Format) -> Decoder {
    Decoder::new(format, &DecodeConfig::default())
}

fn config(toml: &str) -> DecodeConfig {
    toml::from_str(toml).unwrap()
}

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

fn describe_lines(decoder: &Decoder, lines: &str) -> String {
    let lines = lines.lines().zip(1..);
    lines.map(|(line, number)| format!("line {number}\n{}", describe(&decode(decoder, line.as_bytes())))).collect()
}

fn the_request(decoder: &Decoder, record: &str) -> Request {
    let all = decode(decoder, record.as_bytes());
    let [(0, Ok(Event::Request(request)))] = all.as_slice() else { panic!("{record}: {all:?}") };
    request.clone()
}

#[test]
fn samples_of_every_format() {
    for format in JSON_FORMATS {
        insta::assert_snapshot!(format.as_str(), describe_lines(&decoder(format), &sample(format)));
    }
}

#[test]
fn any_json_by_configuration_alone() {
    let config = config(
        "requests_format = 'mapping'\nattributes = ['tenant.plan']\n\
         [fields]\ntimestamp = 'when'\nsubscription = { paths = ['tenant.key'], missing = ['anonymous'] }\n\
         address = 'peer'\nroute = 'op'\nstatus = 'code'\nduration_ms = { paths = ['took'], unit = 's' }\n\
         attempt = { paths = ['tries'], add = 1 }\nrequest_key = 'ops.id'\nclient = 'app'\nclient_version = 'ver'\n\
         service = { constant = 'shop' }\n",
    );
    let decoder = Decoder::new(Format::Mapping, &config);
    insta::assert_snapshot!(describe_lines(&decoder, &sample(Format::Mapping)));
}

#[test]
fn protobuf_and_json_say_the_same() {
    let json = sample(Format::OtlpJson);
    for (line, file) in json.lines().zip(["otlp_logs.binpb", "otlp_traces.binpb"]) {
        let from_json = decode(&decoder(Format::OtlpJson), line.as_bytes());
        assert_eq!(from_json.len(), 3);
        assert_eq!(decode(&decoder(Format::OtlpProto), &protobuf(file)), from_json, "{file}");
    }
}

#[test]
fn every_sample_has_good_and_bad_records_and_every_event_is_read_back() {
    for format in JSON_FORMATS {
        let decoder = decoder(format);
        let (mut events, mut refused) = (0, 0);
        for line in sample(format).lines() {
            for (_, decoded) in decode(&decoder, line.as_bytes()) {
                match decoded {
                    Ok(event) => {
                        events += 1;
                        let written = serde_json::to_string(&event).unwrap();
                        let again = decode(&self::decoder(Format::Native), written.as_bytes()).remove(0).1.unwrap();
                        assert_eq!(serde_json::to_string(&again).unwrap(), written);
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(events >= 2 && refused >= 1, "{}: {events} events, {refused} refused", format.as_str());
    }
}

#[test]
fn no_credential_and_no_query_is_ever_kept() {
    for format in JSON_FORMATS {
        let sample = sample(format);
        assert!(sample.contains("s3cret") || format == Format::AwsApigw, "{}", format.as_str());
        // Even where the configuration asks for everything that there is.
        let paths = ["request.querystring.api_key", "url.query", "cookie", "authorization", "request_authorization"];
        let greedy = DecodeConfig { attributes: Some(paths.map(str::to_owned).to_vec()), ..DecodeConfig::default() };
        let decoder = decoder(format);
        assert!(!describe_lines(&decoder, &sample).contains("s3cret"), "{}", format.as_str());
        for line in sample.lines() {
            for (_, decoded) in decode(&Decoder::new(format, &greedy), line.as_bytes()) {
                let Ok(Event::Request(request)) = decoded else { continue };
                assert!(request.attributes.iter().all(|(name, _)| !names_credential(name)), "{:?}", request.attributes);
            }
        }
    }
}

#[test]
fn configuration_replaces_one_field_and_leaves_the_others() {
    let config = config(
        "attributes = ['workspace']\n[fields]\nsubscription = ['consumer.username']\nservice = { constant = 'shop' }\n",
    );
    let sample = sample(Format::Kong);
    let line = sample.lines().next().unwrap();
    let request = the_request(&Decoder::new(Format::Kong, &config), line);
    assert_eq!((request.subscription.as_str(), request.service.as_deref()), ("acme", Some("shop")));
    assert_eq!((request.route.as_str(), request.attempt), ("create-order", Some(2)));
    assert_eq!(request.attributes.iter().collect::<Vec<_>>(), [("workspace", "default")]);
    assert_eq!(the_request(&decoder(Format::Kong), line).subscription, "sub-2001");
}

#[test]
fn the_attempts_of_clients_and_of_proxies_stay_apart() {
    let record = |fields: &str| {
        format!(
            r#"{{"start_time":"2026-03-01T10:15:05Z","downstream_remote_address":"192.0.2.1:1","path":"/a",
            "response_code":200,"duration":1{fields}}}"#
        )
    };
    let read = |format, record: &str| {
        let request = the_request(&decoder(format), record);
        (request.attempt, request.attempt_source, request.upstream_attempts)
    };
    let both = record(r#","x_envoy_attempt_count":"3","x_stainless_retry_count":"1""#);
    assert_eq!(read(Format::Envoy, &both), (Some(2), Some(AttemptSource::StainlessRetryCount), Some(3)));
    let own = record(r#","x_envoy_attempt_count":"3""#);
    assert_eq!(read(Format::Envoy, &own), (None, None, Some(3)), "Envoy counts its own tries");
    let behind = r#"{"time_iso8601":"2026-03-01T10:15:05Z","remote_addr":"192.0.2.1","uri":"/a","status":200,
        "request_time":1,"http_x_envoy_attempt_count":"3"}"#;
    assert_eq!(read(Format::Nginx, behind), (Some(3), Some(AttemptSource::EnvoyAttemptCount), None));
}

#[test]
fn what_clients_write_never_costs_a_request_its_place() {
    let long = "x".repeat(5_000);
    let record = format!(
        r#"{{"started_at":1772360105250,"client_ip":"192.0.2.1","response":{{"status":200}},"latencies":{{"request":1}},
        "request":{{"method":"{long}","uri":"/{long}","id":"{long}","headers":{{"user-agent":"{long}/1",
        "x-stainless-retry-count":"{long}","idempotency-key":"{long}","amz-sdk-request":"attempt=x"}}}}}}"#
    );
    let request = the_request(&decoder(Format::Kong), &record);
    assert_eq!((request.route.as_str(), request.method, request.client), ("(too long)", None, None));
    assert_eq!((request.attempt, request.request_key, request.request_id), (None, None, None));
    assert_eq!(request.attributes.dropped(), 2, "the id, and the user agent that does not fit");
}

#[test]
fn a_subscription_that_is_too_long_gives_way_to_the_address() {
    let config = config("[fields]\nsubscription = 'request.headers.x-tenant'\n");
    let record = |tenant: &str| {
        format!(
            r#"{{"started_at":1772360105250,"client_ip":"192.0.2.1","response":{{"status":200}},"latencies":{{"request":1}},
            "request":{{"method":"GET","uri":"/a","headers":{{"x-tenant":"{tenant}"}}}}}}"#
        )
    };
    let read = |tenant: &str| {
        let request = the_request(&Decoder::new(Format::Kong, &config), &record(tenant));
        (request.subscription.to_string(), request.attributes.dropped())
    };
    assert_eq!(read("acme"), ("acme".to_owned(), 0));
    assert_eq!(read(&"x".repeat(1_025)), ("192.0.2.1".to_owned(), 1));
}

#[test]
fn bytes_that_are_no_record() {
    for format in JSON_FORMATS.into_iter().chain([Format::Mapping]) {
        let code = |record: &[u8]| {
            let all = decode(&decoder(format), record);
            assert_eq!(all.len(), 1, "{all:?}");
            all[0].1.as_ref().unwrap_err().code
        };
        assert_eq!(code(b" \r\n"), RejectionCode::Empty);
        assert_eq!(code(b"\xff\xfe\x00"), RejectionCode::NotUtf8);
        assert_eq!(code(&vec![b'x'; 1024 * 1024 + 1]), RejectionCode::TooLong);
        assert_eq!(code(b"GET / HTTP/1.1"), RejectionCode::Syntax);
        assert_eq!(code("[".repeat(100_000).as_bytes()), RejectionCode::Syntax);
        assert_eq!(code(r#"{"resourceLogs":"#.repeat(50_000).as_bytes()), RejectionCode::Syntax);
    }
    let proto = |record: &[u8]| decode(&decoder(Format::OtlpProto), record).remove(0).1.unwrap_err().code;
    assert_eq!(proto(b""), RejectionCode::Empty);
    assert_eq!(proto(b"\x12\x00"), RejectionCode::Empty);
    assert_eq!(proto(b"not protobuf"), RejectionCode::Syntax);
    assert_eq!(proto(&vec![0; 1024 * 1024 + 1]), RejectionCode::TooLong);
}

#[test]
fn a_value_of_another_type_is_not_quoted_in_the_message() {
    let secret = "s3cret, expected ".repeat(1_000);
    for wrong in ["[7]", "[{\"key\":7}]", "7", "[{\"value\":7}]"] {
        let wrong = wrong.replace('7', &format!("\"{secret}\""));
        let record = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":{wrong}}}]}}]}}]}}"#);
        for (_, decoded) in decode(&decoder(Format::OtlpJson), record.as_bytes()) {
            let message = decoded.unwrap_err().message;
            assert!(message.len() < 200 && !message.contains("s3cret"), "{wrong:.20}: {message:.300}");
        }
    }
    let record = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":["s3cret"]}]}]}]}"#;
    let message = decode(&decoder(Format::OtlpJson), record.as_bytes()).remove(0).1.unwrap_err().message;
    let expected =
        "not the JSON that it should be: expected an attribute: an object of `key` and `value` at line 1 column 69";
    assert_eq!(message, expected);
}

#[test]
fn watermarks_are_understood_in_every_format() {
    for format in JSON_FORMATS.into_iter().chain([Format::Mapping, Format::OtlpProto]) {
        let all = decode(&decoder(format), br#"{"type":"watermark","timestamp":"2026-03-01T10:15:05Z"}"#);
        assert!(matches!(all.as_slice(), [(0, Ok(Event::Watermark(_)))]), "{}: {all:?}", format.as_str());
    }
}

#[test]
fn a_record_of_many_is_bounded() {
    let wide = DecodeConfig { record_bytes_max: ByteCount::mib(8), ..DecodeConfig::default() };
    let record = r#"{"start_time":"2026-03-01T10:15:05Z","downstream_remote_address":"192.0.2.1","path":"/a","response_code":200,"duration":1}"#;
    let array = format!("[{}]", vec![record; 10_004].join(","));
    let logs = vec![r#"{"timeUnixNano":"1"}"#; 10_004].join(",");
    let export = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{logs}]}}]}}]}}"#);
    // A resource entry of one scope entry of empty log records.
    let records = b"\x12\x00".repeat(10_004);
    let nested = |inner: &[u8], tag: u8| {
        let mut bytes = vec![tag];
        let mut length = inner.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(inner);
        bytes
    };
    let protobuf = nested(&nested(&records, 0x12), 0x0a);
    for (format, bytes) in
        [(Format::Envoy, array.into_bytes()), (Format::OtlpJson, export.into_bytes()), (Format::OtlpProto, protobuf)]
    {
        let all = decode(&Decoder::new(format, &wide), &bytes);
        assert_eq!(all.len(), 10_001, "{}", format.as_str());
        let (index, last) = all.last().unwrap();
        let reason = last.as_ref().unwrap_err();
        assert_eq!((*index, reason.code), (10_000, RejectionCode::TooManyEvents));
        assert!(reason.message.starts_with("4 events after"), "{}", reason.message);
    }
}

fn assert_sane(all: &[(u16, Decoded)]) {
    assert!(!all.is_empty(), "every record is accounted for");
    for (place, (index, decoded)) in all.iter().enumerate() {
        assert_eq!(usize::from(*index), place);
        match decoded {
            Ok(Event::Request(request)) => {
                assert!(request.duration_ms.is_finite() && request.duration_ms >= 0.0);
                assert!(request.status <= 999 && !request.subscription.is_empty() && !request.route.is_empty());
                assert!(request.subscription.len() <= 1_024 && request.route.len() <= 1_024);
                assert_ne!(request.attempt, Some(0));
            }
            Ok(_) => {}
            Err(reason) => assert!(reason.message.len() < 400 && !reason.message.contains('\n'), "{reason:?}"),
        }
    }
}

fn every_decoder() -> Vec<(Decoder, Vec<Vec<u8>>)> {
    let mut all: Vec<(Decoder, Vec<Vec<u8>>)> = JSON_FORMATS
        .into_iter()
        .map(|format| (decoder(format), sample(format).lines().map(|line| line.as_bytes().to_vec()).collect()))
        .collect();
    all.push((decoder(Format::OtlpProto), vec![protobuf("otlp_logs.binpb"), protobuf("otlp_traces.binpb")]));
    all
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        for (decoder, _) in every_decoder() {
            assert_sane(&decode(&decoder, &bytes));
        }
    }

    #[test]
    fn no_damaged_sample_makes_it_panic_or_disappear(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        insert in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..6),
            "[ -~é\\[\\]\\{\\}\",:]{0,6}".prop_map(String::into_bytes),
            Just(b"99999999999999999999".to_vec()),
            Just(b"null".to_vec()),
        ],
        remove in 0_usize..12,
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for (decoder, records) in every_decoder() {
            let mut bytes = which.get(&records).clone();
            let at = at.index(bytes.len());
            let end = (at + remove).min(bytes.len());
            bytes.splice(at..end, insert.iter().copied());
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len() + 1));
            }
            assert_sane(&decode(&decoder, &bytes));
        }
    }
}
