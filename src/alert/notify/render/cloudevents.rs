//! A page in a CloudEvents 1.0 envelope, structured JSON.

use serde::Serialize;

use crate::alert::notify::notice::page_id;
use crate::model::{Page, PageEvent, Text, Timestamp};

/// Of the envelope.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The envelope.
#[derive(Debug, Serialize)]
pub(super) struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a Text,
    time: Timestamp,
    datacontenttype: &'static str,
    data: &'a Page,
}

/// `source` and `id` together are unique, as the specification asks: a repeat has the same.
pub(super) fn body(page: &Page) -> CloudEvent<'_> {
    let kind = match page.event {
        PageEvent::Opened => "floodmark.page.opened",
        PageEvent::Updated => "floodmark.page.updated",
        PageEvent::Acknowledged => "floodmark.page.acknowledged",
        PageEvent::Resolved => "floodmark.page.resolved",
    };
    CloudEvent {
        specversion: "1.0",
        id: page_id(page),
        source: "/floodmark",
        kind,
        subject: &page.dedup_key,
        time: page.at,
        datacontenttype: "application/json",
        data: page,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;

    #[test]
    fn the_envelope() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&body(&sample::page())).unwrap());
    }
}
