//! What it means that offsets go back. Pure.
//!
//! The client may say a message twice: while the group is in motion it pauses partitions and goes on from the last
//! message it knows to be taken, which may be one before the last that was (librdkafka notes that without a lock between
//! the two). What was read stays read then. Only another log, or one that was cut off, begins anew.

use crate::model::Offset;

/// What a step back is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepBack {
    /// The same log, said again.
    Repeated,
    /// A topic that was made anew, or cut off.
    Anew,
}

/// Offsets that are being said again. One that goes back further is a step back of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeating {
    /// The offset said last.
    pub(super) last: Offset,
    /// One past the last offset that was read before.
    pub(super) reached: Offset,
}

impl Repeating {
    /// Whether `offset` goes on with it.
    pub(super) fn goes_on_with(self, offset: Offset, reached: Offset) -> bool {
        self.reached == reached && offset > self.last
    }
}

/// Judges a step back behind `reached` (one past the last offset read), in a log that ends at `high` now.
/// `epoch` is the topic's id as it was when its storage was planned, `id` as it is now; empty ones are not known.
pub(super) fn judge(reached: Offset, high: Offset, epoch: &str, id: &str) -> StepBack {
    let is_another = !epoch.is_empty() && !id.is_empty() && !epoch.starts_with(id);
    if is_another || high < reached { StepBack::Anew } else { StepBack::Repeated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_goes_forward_up_to_what_was_read() {
        let repeating = Repeating { last: 760, reached: 763 };
        assert!(repeating.goes_on_with(761, 763) && repeating.goes_on_with(762, 763));
        assert!(!repeating.goes_on_with(760, 763), "back again: another step");
        assert!(!repeating.goes_on_with(762, 900), "what was read since then is none of it");
    }

    #[test]
    fn only_another_or_a_shorter_log_begins_anew() {
        for (high, epoch, id, expected) in [
            (763, "Xy9", "Xy9", StepBack::Repeated),
            (900, "", "Xy9", StepBack::Repeated),
            (900, "Xy9", "", StepBack::Repeated),
            (900, "Xy9/1772409540000", "Xy9", StepBack::Repeated),
            (762, "Xy9", "Xy9", StepBack::Anew),
            (900, "Xy9", "Ab3", StepBack::Anew),
        ] {
            assert_eq!(judge(763, high, epoch, id), expected, "{high} {epoch} {id}");
        }
    }
}
