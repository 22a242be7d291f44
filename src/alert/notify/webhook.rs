//! What a webhook receives: the transition exactly as the contract writes it, and an id that repeats keep.

use sha2::{Digest, Sha256};

use super::delivery::Message;
use crate::model::Transition;

/// Bytes of the hash in an id: 128 bits do not collide by accident.
const ID_BYTES: usize = 16;

/// The message of one transition.
pub(super) fn message(transition: &Transition) -> Message {
    // A transition is texts and finite numbers; serde_json writes others as null and does not fail.
    let body = serde_json::to_vec(transition).unwrap_or_default();
    Message { id: Some(webhook_id(transition)), body: body.into() }
}

/// `msg_` and a hash of what makes a transition one: alert, severity, labels, event and moment. A retry, a restart and a replay
/// all give the same id, so a receiver can tell a repeat (Standard Webhooks, `webhook-id`).
#[must_use]
pub fn webhook_id(transition: &Transition) -> String {
    let Transition { alert, severity, labels, event, at, .. } = transition;
    let identity = (alert, severity, labels, event, at);
    let hash = Sha256::digest(serde_json::to_vec(&identity).unwrap_or_default());
    let hex: String = hash.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("msg_{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::samples;
    use crate::model::TransitionEvent;

    #[test]
    fn the_body_is_the_contracts_object() {
        let message = message(&samples::transition());
        insta::assert_snapshot!(String::from_utf8(message.body.to_vec()).unwrap());
    }

    #[test]
    fn the_id_is_of_the_transition_not_of_its_numbers() {
        let transition = samples::transition();
        let id = webhook_id(&transition);
        assert_eq!(id, webhook_id(&Transition { value: 1.0, ..transition.clone() }));
        assert_ne!(id, webhook_id(&Transition { event: TransitionEvent::Resolved, ..transition.clone() }));
        assert_ne!(id, webhook_id(&Transition { at: transition.at.plus(1), ..transition }));
        assert_ne!(id, webhook_id(&samples::transition_of("4.0.1")));
    }
}
