//! Lines of a file or of standard input, in bounded memory.

use std::io::{BufRead, ErrorKind, Result};

use crate::decode::{Decoded, Decoder};

/// Bytes that are kept of a line that is too long to be read.
const SKIPPED_BYTES_KEPT: usize = 1_024;

/// One line, without its line end.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 0: the `offset` of a file's records.
    pub number: i64,
    /// The line, or the first bytes of one that was skipped.
    pub bytes: &'a [u8],
    /// Its length. More than `bytes.len()` for a line that was skipped.
    pub length: usize,
}

impl Line<'_> {
    /// Whether the line was longer than may be read.
    #[must_use]
    pub fn is_skipped(&self) -> bool {
        self.length > self.bytes.len()
    }

    /// Decodes the line; one that was skipped is one rejection.
    pub fn decode(&self, decoder: &Decoder, sink: &mut dyn FnMut(u16, Decoded)) {
        if self.is_skipped() { sink(0, Err(decoder.too_long(self.length))) } else { decoder.decode(self.bytes, sink) }
    }
}

/// Reads lines. A line longer than the bound is read past, never held.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    line: Vec<u8>,
    line_bytes_max: usize,
    next_number: i64,
    bytes_read: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Lines of `input` of up to `line_bytes_max` bytes.
    pub fn new(input: R, line_bytes_max: usize) -> Self {
        Self { input, line: Vec::new(), line_bytes_max, next_number: 0, bytes_read: 0 }
    }

    /// Bytes of input read so far, line ends included.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next line; `None` at the end. The last line needs no line end.
    ///
    /// # Errors
    /// What the input says.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0;
        let mut ended = false;
        while !ended {
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            length += piece.len();
            // One byte more than the bound: it may be the carriage return of a line that just fits.
            let room = (self.line_bytes_max + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            let consumed = end.map_or(buffer.len(), |end| end + 1);
            ended = end.is_some();
            self.bytes_read += consumed as u64;
            self.input.consume(consumed);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        let number = self.next_number;
        self.next_number += 1;
        if length == self.line.len() && self.line.ends_with(b"\r") {
            self.line.pop();
            length -= 1;
        }
        if length > self.line_bytes_max {
            self.line.truncate(SKIPPED_BYTES_KEPT.min(self.line_bytes_max));
        }
        Ok(Some(Line { number, bytes: &self.line, length }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;
    use crate::config::{DecodeConfig, Format};
    use crate::model::RejectionCode;

    fn lines(input: &[u8], line_bytes_max: usize, buffer: usize) -> Vec<(i64, Vec<u8>, usize)> {
        let mut reader = LineReader::new(BufReader::with_capacity(buffer, input), line_bytes_max);
        let mut all = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            all.push((line.number, line.bytes.to_vec(), line.length));
        }
        assert_eq!(reader.bytes_read(), input.len() as u64);
        all
    }

    #[test]
    fn line_ends_are_cut_off_and_the_last_line_needs_none() {
        let all = lines(b"a\r\n\nbc", 10, 1);
        assert_eq!(all, [(0, b"a".to_vec(), 1), (1, vec![], 0), (2, b"bc".to_vec(), 2)]);
        assert!(lines(b"", 10, 1).is_empty());
    }

    #[test]
    fn a_line_of_exactly_the_bound_fits() {
        assert_eq!(lines(b"abcd\r\nabcde\n", 4, 3), [(0, b"abcd".to_vec(), 4), (1, b"abcd".to_vec(), 5)]);
    }

    #[test]
    fn a_hundred_megabytes_in_one_line_are_one_rejection_and_no_memory() {
        use std::io::Read;
        let input = std::io::repeat(b'x').take(100 * 1024 * 1024).chain(&b"\nlast"[..]);
        let mut reader = LineReader::new(BufReader::new(input), 1024);
        let decoder = Decoder::new(Format::Native, &DecodeConfig::default());
        let line = reader.next_line().unwrap().unwrap();
        assert!(line.is_skipped());
        let mut codes = Vec::new();
        line.decode(&decoder, &mut |_, decoded| codes.push(decoded.unwrap_err().code));
        assert_eq!(codes, [RejectionCode::TooLong]);
        assert!(reader.line.capacity() < 10_000);
        assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"last");
    }

    proptest! {
        #[test]
        fn lines_are_those_of_split(input in prop::collection::vec(prop::sample::select(&b"ab\r\n"[..]), 0..60),
                                    buffer in 1_usize..20) {
            let mut expected: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n')
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect();
            if input.is_empty() || input.ends_with(b"\n") {
                expected.pop();
            }
            let read: Vec<Vec<u8>> = lines(&input, 100, buffer).into_iter().map(|(_, line, _)| line).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
