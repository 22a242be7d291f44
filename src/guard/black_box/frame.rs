//! How a record lies in the ring. Pure.
//!
//! ```text
//! 0  magic     4 bytes  F5 FD 42 42: no valid UTF-8, so that no text of a query can look like one
//! 4  length    u32      bytes of the payload, little endian
//! 8  sequence  u64      counts records from 1, little endian
//! 16 checksum 16 bytes  first half of SHA-256 over length, sequence and payload
//! 32 payload            JSON
//!    zeros              up to a multiple of 64 bytes
//! ```
//! Frames begin at multiples of 64 bytes. A frame that was written in part, or overwritten in part, has a wrong checksum
//! and is passed over; frames after it are found all the same.

use sha2::{Digest as _, Sha256};

/// Frames begin at multiples of this.
pub(super) const ALIGNMENT: usize = 64;
const MAGIC: [u8; 4] = [0xF5, 0xFD, b'B', b'B'];
const HEADER_BYTES: usize = 32;

/// A record that was found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) payload: &'a [u8],
    /// Where the next one would begin.
    pub(super) end: usize,
}

/// The bytes of a frame, padded.
pub(super) fn encode(sequence: u64, payload: &[u8]) -> Vec<u8> {
    // A payload is bounded by the ring, which is far below 4 GiB (`ring::BYTES_MAX`).
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(padded(payload.len()));
    bytes.extend(MAGIC);
    bytes.extend(length.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(checksum(length, sequence, payload));
    bytes.extend(payload);
    bytes.resize(padded(payload.len()), 0);
    bytes
}

/// Bytes that a payload of this length takes in the ring.
pub(super) fn padded(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Every whole frame of an area, by place.
pub(super) fn scan(area: &[u8]) -> Vec<Frame<'_>> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < area.len() {
        match decode(area, at) {
            Some(frame) => {
                at = frame.end;
                frames.push(frame);
            }
            None => at += ALIGNMENT,
        }
    }
    frames
}

fn decode(area: &[u8], at: usize) -> Option<Frame<'_>> {
    let header = area.get(at..at + HEADER_BYTES)?;
    if header[..4] != MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(header[4..8].try_into().ok()?);
    let sequence = u64::from_le_bytes(header[8..16].try_into().ok()?);
    let begin = at + HEADER_BYTES;
    let payload = area.get(begin..begin.checked_add(length as usize)?)?;
    let end = at + padded(payload.len());
    (header[16..32] == checksum(length, sequence, payload)).then_some(Frame { sequence, payload, end })
}

fn checksum(length: u32, sequence: u64, payload: &[u8]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(length.to_le_bytes());
    hasher.update(sequence.to_le_bytes());
    hasher.update(payload);
    let digest = hasher.finalize();
    std::array::from_fn(|i| digest[i])
}
