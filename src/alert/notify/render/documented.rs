//! The examples in `docs/receivers.md` are what is sent. With `INSTA_UPDATE=always` they are written anew.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::alert::notify::alertmanager::{HeldAlert, wire_alert};
use crate::alert::notify::sample;
use crate::model::samples;

fn page(rendering: &Rendering) -> Value {
    let message = rendering.message(&Notice::Page(Arc::new(sample::page())));
    serde_json::from_slice(&message.body).unwrap()
}

fn example(name: &str) -> Value {
    let body = |format| Rendering::Body { format, receiver: "tickets".into() };
    match name {
        "page" => page(&body(BodyFormat::Page)),
        "cloudevents" => {
            let mut envelope = page(&body(BodyFormat::Cloudevents));
            envelope["data"] = "the page, as above".into();
            envelope
        }
        "alertmanager" => page(&body(BodyFormat::Alertmanager)),
        "slack" => page(&Rendering::Slack),
        "pagerduty" => page(&Rendering::Pagerduty { routing_key: Secret::new("THE-ROUTING-KEY") }),
        "alertmanager-v2" => {
            let transition = samples::transition();
            let held = HeldAlert::new(&transition, transition.severity);
            serde_json::to_value([wire_alert(&held, Duration::from_secs(60), transition.at.plus(2_000))]).unwrap()
        }
        other => panic!("no example is named {other}"),
    }
}

#[test]
fn the_examples_of_the_documentation_are_what_is_sent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/receivers.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut pieces = text.split("<!-- example: ");
    let mut expected = pieces.next().unwrap().to_owned();
    let mut count = 0;
    for piece in pieces {
        let (name, rest) = piece.split_once(" -->\n```json\n").expect("a block of JSON follows");
        let (_, after) = rest.split_once("```\n").expect("the block ends");
        let json = serde_json::to_string_pretty(&example(name)).unwrap();
        expected += &format!("<!-- example: {name} -->\n```json\n{json}\n```\n{after}");
        count += 1;
    }
    assert_eq!(count, 6);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &expected).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
}
