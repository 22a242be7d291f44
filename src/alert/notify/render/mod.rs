//! Pages as each kind of receiver reads them. Pure: a page in, bytes out.

mod alertmanager_webhook;
mod cloudevents;
#[cfg(test)]
mod documented;
mod pagerduty;
mod slack;
mod text;

use std::sync::Arc;

use super::delivery::Message;
use super::notice::Notice;
use crate::config::{BodyFormat, Secret};

/// What a receiver reads.
#[derive(Debug, Clone)]
pub(super) enum Rendering {
    /// A webhook or a topic; the name of the receiver is part of Alertmanager's body.
    Body { format: BodyFormat, receiver: Arc<str> },
    /// Slack's blocks.
    Slack,
    /// PagerDuty's event.
    Pagerduty { routing_key: Secret },
    /// News of the status page, as they are.
    News,
}

/// What a receiver is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Transitions,
    Pages,
    News,
}

impl Rendering {
    /// What it tells.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Body { format: BodyFormat::Transition, .. } => Subject::Transitions,
            Self::News => Subject::News,
            Self::Body { .. } | Self::Slack | Self::Pagerduty { .. } => Subject::Pages,
        }
    }

    /// The message of a notice.
    pub fn message(&self, notice: &Notice) -> Message {
        let mut message = match (notice, self) {
            (Notice::Transition(text), _) => Message::json(text.body.clone()),
            (Notice::News(news), _) => Message::json(news.body.clone()),
            (Notice::Page(page), Self::Slack) => Message::json(json(&slack::body(page))),
            (Notice::Page(page), Self::Pagerduty { routing_key }) => {
                Message::json(json(&pagerduty::body(page, routing_key.expose())))
            }
            (Notice::Page(page), Self::Body { format, receiver }) => match format {
                BodyFormat::Cloudevents => {
                    let content_type = cloudevents::CONTENT_TYPE;
                    Message { content_type, ..Message::json(json(&cloudevents::body(page))) }
                }
                BodyFormat::Alertmanager => Message::json(json(&alertmanager_webhook::body(page, receiver))),
                // A page that was taken in before the configuration was another one.
                BodyFormat::Page | BodyFormat::Transition => Message::json(json(page.as_ref())),
            },
            // Its queue takes no page.
            (Notice::Page(page), Self::News) => Message::json(json(page.as_ref())),
        };
        if matches!(self, Self::Body { .. } | Self::News) {
            message.id = Some(notice.id());
        }
        notice.key().clone_into(&mut message.key);
        message
    }
}

/// Texts, times and numbers always serialise; numbers that are none become null.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;
    use crate::model::samples;

    #[test]
    fn a_webhook_gets_the_page_or_the_transition_with_its_id() {
        let rendering = |format| Rendering::Body { format, receiver: "hook".into() };
        let page = Notice::Page(Arc::new(sample::page()));
        let message = rendering(BodyFormat::Page).message(&page);
        assert_eq!(serde_json::from_slice::<crate::model::Page>(&message.body).unwrap(), sample::page());
        assert_eq!(message.id.unwrap(), page.id());
        assert_eq!(message.key, sample::page().dedup_key);
        let message = rendering(BodyFormat::Transition).message(&Notice::transition(&samples::transition()));
        insta::assert_snapshot!(String::from_utf8(message.body.to_vec()).unwrap());
        assert!(Rendering::Slack.message(&page).id.is_none());
    }
}
