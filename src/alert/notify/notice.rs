//! What a receiver is told: a page, a transition as text, news of the status page. And what tells one from another.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::model::{Page, PageEvent, PublicNews, Text, Transition, TransitionEvent};

/// Bytes of the hash in an id: 128 bits do not collide by accident.
const ID_BYTES: usize = 16;

/// Something to tell. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "StoredNotice")]
pub(super) enum Notice {
    /// A page; rendered when it is sent.
    Page(Arc<Page>),
    /// A transition, as the contract writes it.
    Transition(Arc<TransitionText>),
    /// News of the status page.
    News(Arc<PublicNews>),
}

/// A transition as text: what is read back from a file need not know what this version's alerts are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TransitionText {
    pub id: String,
    pub incident: Text,
    pub event: TransitionEvent,
    pub body: String,
}

/// A notice as a file holds it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredNotice {
    Page(Box<Page>),
    Transition(TransitionText),
    News(PublicNews),
}

impl From<StoredNotice> for Notice {
    fn from(stored: StoredNotice) -> Self {
        match stored {
            StoredNotice::Page(page) => Self::Page(Arc::from(page)),
            StoredNotice::Transition(text) => Self::Transition(Arc::new(text)),
            StoredNotice::News(news) => Self::News(Arc::new(news)),
        }
    }
}

impl Serialize for Notice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Page(page) => serializer.serialize_newtype_variant("Notice", 0, "page", page.as_ref()),
            Self::Transition(text) => serializer.serialize_newtype_variant("Notice", 1, "transition", text.as_ref()),
            Self::News(news) => serializer.serialize_newtype_variant("Notice", 2, "news", news.as_ref()),
        }
    }
}

impl Notice {
    pub fn transition(transition: &Transition) -> Self {
        // A transition is texts and finite numbers; serde_json writes others as null and does not fail.
        let body = serde_json::to_string(transition).unwrap_or_default();
        let (id, incident, event) = (webhook_id(transition), transition.incident.clone(), transition.event);
        Self::Transition(Arc::new(TransitionText { id, incident, event, body }))
    }

    /// The same for every repeat, also after a restart.
    pub fn id(&self) -> String {
        match self {
            Self::Page(page) => page_id(page),
            Self::Transition(text) => text.id.clone(),
            Self::News(news) => news.id.clone(),
        }
    }

    /// What messages about the same thing have in common.
    pub fn key(&self) -> &str {
        match self {
            Self::Page(page) => &page.dedup_key,
            Self::Transition(text) => &text.incident,
            Self::News(news) => &news.subject,
        }
    }

    /// Whether it asks nobody to act, so that it may make room for what does.
    pub fn is_minor(&self) -> bool {
        match self {
            Self::Page(page) => matches!(page.event, PageEvent::Updated | PageEvent::Acknowledged),
            Self::Transition(text) => text.event == TransitionEvent::Pending,
            Self::News(_) => false,
        }
    }
}

/// `DEDUP_KEY/REVISION`, or a hash of it where a header could not hold it or the signature would be ambiguous.
#[must_use]
pub fn page_id(page: &Page) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    if page.dedup_key.bytes().all(plain) {
        return format!("{}/{}", page.dedup_key, page.revision);
    }
    hashed(&(&page.dedup_key, page.revision))
}

/// `msg_` and a hash of what makes a transition one: alert, severity, labels, event and moment. A retry, a restart and a replay
/// all give the same id, so a receiver can tell a repeat (Standard Webhooks, `webhook-id`).
#[must_use]
pub fn webhook_id(transition: &Transition) -> String {
    let Transition { alert, severity, labels, event, at, .. } = transition;
    hashed(&(alert, severity, labels, event, at))
}

fn hashed(identity: &impl Serialize) -> String {
    let hash = Sha256::digest(serde_json::to_vec(identity).unwrap_or_default());
    let hex: String = hash.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;
    use crate::model::samples;

    #[test]
    fn the_id_is_of_the_transition_not_of_its_numbers() {
        let transition = samples::transition();
        let id = webhook_id(&transition);
        assert_eq!(id, webhook_id(&Transition { value: 1.0, ..transition.clone() }));
        assert_ne!(id, webhook_id(&Transition { event: TransitionEvent::Resolved, ..transition.clone() }));
        assert_ne!(id, webhook_id(&Transition { at: transition.at.plus(1), ..transition }));
        assert_ne!(id, webhook_id(&samples::transition_of("4.0.1")));
    }

    #[test]
    fn the_id_of_a_page_is_its_key_and_revision_where_a_header_can_hold_it() {
        let page = sample::page();
        assert_eq!(page_id(&page), "20260301T101000Z-retry-amplification-3f9c/1");
        for odd in ["a b", "a.b", "ä", "a\r\nb"] {
            let page = Page { dedup_key: odd.into(), ..page.clone() };
            assert!(page_id(&page).starts_with("msg_") && page_id(&page) != page_id(&Page { revision: 2, ..page }));
        }
    }

    #[test]
    fn a_notice_reads_back_as_it_was_written() {
        let news = PublicNews { id: "n1".to_owned(), subject: "component api".to_owned(), body: "{}".to_owned() };
        let page = Notice::Page(Arc::new(sample::page()));
        for notice in [page, Notice::transition(&samples::transition()), Notice::News(Arc::new(news))] {
            let text = serde_json::to_string(&notice).unwrap();
            assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice);
        }
    }
}
