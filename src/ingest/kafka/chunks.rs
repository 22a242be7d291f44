//! Messages of one partition to chunks, and the dead letters of what was refused.

use super::super::dead_letters::{DeadLetter, Letter};
use crate::decode::Decoder;
use crate::model::{Chunk, Offset, Positioned, Rejection, TopicPartition};

/// Most messages in a chunk: a round of detection stays short.
const MESSAGES_MAX: u64 = 1_000;
/// Most bytes of input in a chunk (and one message more).
const BYTES_MAX: usize = 1024 * 1024;

/// Gathers what a reader reads of one partition.
#[derive(Default)]
pub(super) struct ChunkBuilder {
    messages: u64,
    bytes: usize,
    first: Offset,
    end: Offset,
    events: Vec<Positioned>,
    rejections: Vec<Rejection>,
    letters: Vec<Letter>,
}

/// A chunk and the letters about its rejections.
pub(super) struct Built {
    pub(super) chunk: Chunk,
    pub(super) letters: Vec<Letter>,
}

impl ChunkBuilder {
    /// Decodes a message.
    pub(super) fn add(&mut self, from: &TopicPartition, offset: Offset, payload: &[u8], decoder: &Decoder) {
        if self.messages == 0 {
            self.first = offset;
        }
        self.end = offset + 1;
        self.messages += 1;
        self.bytes += payload.len();
        let letters_before = self.letters.len();
        decoder.decode(payload, &mut |index, decoded| match decoded {
            Ok(event) => self.events.push(Positioned { offset, index, event }),
            Err(reason) => {
                // Once is enough: thousands of bad elements of one array must not keep it thousands of times.
                let kept = (self.letters.len() == letters_before).then_some((payload, payload.len()));
                let (key, body) = DeadLetter::new(from, (offset, index), decoder.name(), &reason, kept).encode();
                self.letters.push(Letter { offset, key, body });
                self.rejections.push(Rejection { offset, index, reason });
            }
        });
    }

    /// Where the chunk begins, once it has a message.
    pub(super) fn first_offset(&self) -> Option<Offset> {
        (!self.is_empty()).then_some(self.first)
    }

    /// One past its last message, once it has one.
    pub(super) fn next_offset(&self) -> Option<Offset> {
        (!self.is_empty()).then_some(self.end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.messages >= MESSAGES_MAX || self.bytes >= BYTES_MAX
    }

    /// The chunk, and an empty builder. It starts where the one before it ended (`start`), whatever holes there are. With
    /// an `end` it may be nothing but a hole.
    pub(super) fn build(&mut self, from: &TopicPartition, start: Option<Offset>, end: Option<Offset>) -> Option<Built> {
        let is_hole = start.zip(end).is_some_and(|(start, end)| start < end);
        if self.is_empty() && !is_hole {
            return None;
        }
        let built = std::mem::take(self);
        let chunk = Chunk {
            topic_partition: from.clone(),
            start: start.unwrap_or(built.first),
            end: end.unwrap_or(built.end),
            messages: built.messages,
            bytes: built.bytes,
            events: built.events,
            rejections: built.rejections,
        };
        Some(Built { chunk, letters: built.letters })
    }
}
