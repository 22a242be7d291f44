//! Tries one receiver: a page that says of itself that it is a test, and what came back.

use std::sync::Arc;

use tokio::time::Instant;

use super::delivery::{Message, Outcome};
use super::moment::Moment;
use super::receiver::Receiver;
use super::setup::Making;
use super::{NotifyError, Pace, sample};
use crate::clock;
use crate::config::{KafkaConfig, ReceiverConfig, ReceiverType};
use crate::metrics::Metrics;
use crate::model::{Page, PageEvent, TransitionEvent};

/// What stands for a secret.
const REDACTED: &str = "***";

/// A receiver to try: each of its replicas.
#[derive(Debug)]
pub struct Trial {
    receivers: Vec<Receiver>,
    /// Whether what was begun has to be ended, so that nothing stays open there.
    has_end: bool,
}

/// What came of one message.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TrialAnswer {
    /// The receiver, as it may be shown.
    pub receiver: String,
    /// Where it is: scheme and host, or the topic.
    pub to: String,
    /// `opened` or `resolved`.
    pub event: &'static str,
    /// What is sent, secrets left out.
    pub body: serde_json::Value,
    /// Whether it was taken; absent when nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
    /// What came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

impl Trial {
    /// Sets the receiver up: its files are read.
    ///
    /// # Errors
    /// See [`NotifyError`].
    pub fn new(config: &ReceiverConfig, kafka: Option<&KafkaConfig>) -> Result<Self, NotifyError> {
        // Fails only when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let metrics = Arc::new(Metrics::new());
        let receivers =
            Making { kafka, pace: Pace::default(), rule_waits: Arc::default(), metrics: &metrics }.named(config)?;
        let has_end = matches!(config.kind, ReceiverType::Pagerduty | ReceiverType::Alertmanager);
        Ok(Self { receivers, has_end })
    }

    /// Sends it, once each; with `is_dry` only says what would be sent.
    pub async fn run(mut self, is_dry: bool) -> Vec<TrialAnswer> {
        let mut answers = Vec::new();
        let at = Moment::without_disk(Instant::now(), clock::now());
        let events = [(PageEvent::Opened, TransitionEvent::Firing), (PageEvent::Resolved, TransitionEvent::Resolved)];
        for (page_event, transition_event) in events.into_iter().take(1 + usize::from(self.has_end)) {
            for receiver in &mut self.receivers {
                let Some(message) = next(receiver, page_event, transition_event, at) else { continue };
                let event = if page_event == PageEvent::Opened { "opened" } else { "resolved" };
                let (to, body) = (receiver.transport.name().to_owned(), shown(&message));
                let outcome = if is_dry {
                    Outcome::Delivered(String::new())
                } else {
                    receiver.transport.clone().send(message).await
                };
                let (accepted, said) = match &outcome {
                    Outcome::Delivered(said) => (true, said.clone()),
                    Outcome::Refused(said) | Outcome::Gone(said) | Outcome::Retry { why: said, .. } => {
                        (false, said.clone())
                    }
                };
                receiver.settle(outcome, at);
                let accepted = (!is_dry).then_some(accepted);
                let said = accepted.map(|_| said);
                answers.push(TrialAnswer { receiver: receiver.shown(), to, event, body, accepted, said });
            }
        }
        answers
    }
}

fn next(receiver: &mut Receiver, page: PageEvent, transition: TransitionEvent, at: Moment) -> Option<Message> {
    let now = at.wall_clock;
    let mut trial = sample::trial_page(now);
    if page == PageEvent::Resolved {
        trial = Page { event: page, revision: 2, resolved_at: Some(now), ..trial };
        trial.lead.resolved_at = Some(now);
    }
    receiver.accept_page(&Arc::new(trial), true, at);
    receiver.accept_transition(&Arc::new(sample::trial_transition(now, transition)), true, at);
    receiver.start(at, Some(now))
}

/// The body without what is secret in it.
fn shown(message: &Message) -> serde_json::Value {
    let mut body: serde_json::Value = serde_json::from_slice(&message.body).unwrap_or_default();
    if let Some(key) = body.get_mut("routing_key") {
        *key = REDACTED.into();
    }
    body
}
