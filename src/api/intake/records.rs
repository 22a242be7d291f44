//! The records of a body, decoded: events with their places, and what was refused.

use super::super::problem::{Problem, ProblemCode};
use super::REJECTIONS_TOLD_MAX;
use crate::decode::{Decoded, Decoder};
use crate::model::{Event, RejectionCode, RejectionReason};

/// A record that was refused, as the sender is told.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RecordRejection {
    /// Line of the body, from 1; absent where the body is one value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Place in the line's or the body's array, from 0.
    pub index: u16,
    /// Class of mistake, as in dead letters.
    pub code: &'static str,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// What is wrong.
    pub message: String,
}

/// Where a record stands in its body.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: Option<u64>,
    index: u16,
}

/// A body's records.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) events: Vec<Event>,
    places: Vec<Place>,
    pub(super) rejected: u64,
    /// The first ones.
    pub(super) rejections: Vec<RecordRejection>,
    by_code: [u64; RejectionCode::ALL.len()],
}

impl Records {
    /// One record a line; empty lines are none.
    pub(super) fn of_lines(bytes: &[u8], decoder: &Decoder) -> Result<Self, Problem> {
        let mut records = Self::default();
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            if !line.trim_ascii().is_empty() {
                records.decode(Some(number), line, decoder)?;
            }
        }
        Ok(records)
    }

    /// The whole body is one record.
    pub(super) fn of_whole(bytes: &[u8], decoder: &Decoder) -> Result<Self, Problem> {
        let mut records = Self::default();
        if !bytes.is_empty() {
            records.decode(None, bytes, decoder)?;
        }
        Ok(records)
    }

    /// The whole body is one OTLP export. One without records is well: exporters may send it.
    pub(super) fn of_export(bytes: &[u8], decoder: &Decoder) -> Result<Self, Problem> {
        let records = Self::of_whole(bytes, decoder)?;
        let is_empty = records.events.is_empty() && records.by_code[RejectionCode::Empty as usize] == records.rejected;
        Ok(if is_empty { Self::default() } else { records })
    }

    /// An array that is longer than is read would be taken in part, and senders do not send the rest again: so nothing
    /// of it is taken.
    fn decode(&mut self, line: Option<u64>, record: &[u8], decoder: &Decoder) -> Result<(), Problem> {
        let mut too_many = None;
        decoder.decode(record, &mut |index, decoded: Decoded| {
            let place = Place { line, index };
            match decoded {
                Ok(event) => {
                    self.events.push(event);
                    self.places.push(place);
                }
                Err(reason) if reason.code == RejectionCode::TooManyEvents => too_many = Some(reason.message),
                Err(reason) => self.refuse(place, &reason),
            }
        });
        match too_many {
            None => Ok(()),
            Some(message) => {
                let detail = format!("{message}: nothing was taken; send less at a time");
                Err(Problem::new(ProblemCode::TooLarge, detail))
            }
        }
    }

    /// An event that decoded well cannot be taken after all.
    pub(super) fn refuse_event(&mut self, place: usize, reason: &RejectionReason) {
        if let Some(place) = self.places.get(place).copied() {
            self.refuse(place, reason);
        }
    }

    fn refuse(&mut self, place: Place, reason: &RejectionReason) {
        self.rejected += 1;
        self.by_code[reason.code as usize] += 1;
        if self.rejections.len() < REJECTIONS_TOLD_MAX {
            let Place { line, index } = place;
            let (code, field, message) = (reason.code.as_str(), reason.field, reason.message.clone());
            self.rejections.push(RecordRejection { line, index, code, field, message });
        }
    }

    /// How many were refused for what.
    pub(super) fn rejected_by_code(&self) -> Vec<(RejectionCode, u64)> {
        RejectionCode::ALL.into_iter().zip(self.by_code).filter(|(_, count)| *count > 0).collect()
    }
}
