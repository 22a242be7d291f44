//! Bodies of `multipart/form-data`, with which ClickHouse takes temporary tables: looked through as they pass. A field
//! named `query` there is a part of the query's text, wherever it stands, so it must be seen before it gets through.

/// Longest head of a part; a longer one is refused.
const PART_HEAD_BYTES_MAX: usize = 8_192;
/// Longest delimiter that is looked for: a boundary has 70 characters at most (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// Looks through a body piece by piece.
#[derive(Debug)]
pub(super) struct MultipartScan {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    /// What was read and not yet decided on: the end of the last piece, or a part's head as far as it has come.
    pending: Vec<u8>,
    in_head: bool,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MultipartFault {
    /// A part is named `query`.
    QueryField,
    /// A part's head has no end, or cannot be read.
    Unreadable,
}

impl MultipartScan {
    /// For a content type; absent when there is no boundary in it that every reader reads in one way.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        if content_type.contains('\\') {
            return None;
        }
        let mut boundaries = Vec::new();
        for parameter in content_type.split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = unquoted(value.trim()).filter(|_| !name.contains('"'))?;
            if name.trim().eq_ignore_ascii_case("boundary") {
                boundaries.push(value);
            }
        }
        let [boundary] = boundaries.as_slice() else { return None };
        let is_plain = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) && boundary.bytes().all(is_of_a_boundary);
        if !is_plain {
            return None;
        }
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter may stand at the very beginning.
        Some(Self { delimiter, pending: b"\r\n".to_vec(), in_head: false })
    }

    /// Takes in the next piece.
    ///
    /// # Errors
    /// The body must not get through; what came before has no end yet, so ClickHouse has run nothing of it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), MultipartFault> {
        self.pending.extend_from_slice(bytes);
        loop {
            let found = if self.in_head { self.leave_head()? } else { self.leave_body() };
            if !found {
                return Ok(());
            }
        }
    }

    fn leave_body(&mut self) -> bool {
        match find(&self.pending, &self.delimiter) {
            Some(at) => {
                self.pending.drain(..at + self.delimiter.len());
                self.in_head = true;
                true
            }
            None => {
                let kept = self.pending.len().min(self.delimiter.len() - 1);
                self.pending.drain(..self.pending.len() - kept);
                false
            }
        }
    }

    fn leave_head(&mut self) -> Result<bool, MultipartFault> {
        if self.pending.starts_with(b"--") {
            // The last delimiter; what follows is no part, unless another delimiter comes, which is then read as one.
            self.in_head = false;
            return Ok(true);
        }
        // A line of the head may end without a carriage return for a reader that is not strict.
        let ends = [find(&self.pending, b"\r\n\r\n"), find(&self.pending, b"\n\n")];
        match ends.into_iter().flatten().min() {
            Some(end) => {
                if names_query(&self.pending[..end]) {
                    return Err(MultipartFault::QueryField);
                }
                self.pending.drain(..end);
                self.in_head = false;
                Ok(true)
            }
            None if self.pending.len() > PART_HEAD_BYTES_MAX => Err(MultipartFault::Unreadable),
            None => Ok(false),
        }
    }
}

/// A value without the quotes around it; absent when there are others.
fn unquoted(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('"').map_or(Some(value), |value| value.strip_suffix('"'))?;
    (!inner.contains('"')).then_some(inner)
}

/// Whether a boundary may have the byte: RFC 2046, section 5.1.1, without the space.
fn is_of_a_boundary(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    let first = *pattern.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(pattern) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Whether a part's head says `name=query`, quoted or not, wholly or in part, in whatever order and case. An escape could
/// be read in two ways, and is taken for it wherever it stands.
fn names_query(head: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(head).to_ascii_lowercase().replace('"', "");
    let is_named = lower.match_indices("name").any(|(at, _)| {
        let is_own_word = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let value = lower[at + 4..].trim_start_matches([' ', '\t', '*']);
        let value = value.strip_prefix('=').map(|value| value.trim_start_matches([' ', '\t', '\'']));
        is_own_word && value.is_some_and(|value| value.starts_with("query") && !is_longer(value))
    });
    is_named || lower.contains('\\')
}

fn is_longer(value: &str) -> bool {
    value["query".len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"xyz\"";

    fn scan(body: &str, piece_bytes: usize) -> Result<(), MultipartFault> {
        let mut scan = MultipartScan::of(TYPE).unwrap();
        body.as_bytes().chunks(piece_bytes).try_for_each(|piece| scan.push(piece))
    }

    fn part(head: &str, data: &str) -> String {
        format!("--xyz\r\n{head}\r\n\r\n{data}\r\n")
    }

    #[test]
    fn a_query_field_is_found_wherever_it_stands_and_however_it_is_cut() {
        let table = part("Content-Disposition: form-data; name=\"t\"; filename=\"query\"", "1\n2\n--xy\r\n--xya");
        for head in [
            "Content-Disposition: form-data; name=\"query\"",
            "content-disposition: form-data; filename=\"x\"; NAME = query",
            "Content-Disposition: form-data; name=\"q\\uery\"",
            "Content-Disposition: form-data; name=q\"uery\"",
            "Content-Disposition: form-data; name=\"\"query",
            "Content-Disposition: form-data; \"name\"=query",
            "Content-Disposition: form-data; na\\me=query",
            "Content-Disposition: form-data; name=query; x=y\r\nContent-Type: text/plain",
        ] {
            let body = format!("{table}{}--xyz--\r\n", part(head, "UNION ALL SELECT 1"));
            for piece_bytes in [1, 3, 7, 64, 4_096] {
                assert_eq!(scan(&body, piece_bytes), Err(MultipartFault::QueryField), "{head} in {piece_bytes}");
                assert_eq!(scan(&format!("{table}--xyz--\r\n"), piece_bytes), Ok(()));
            }
        }
        let other = part("Content-Disposition: form-data; name=\"query_structure\"", "a Int32");
        assert_eq!(scan(&other, 5), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_does_not_pass() {
        assert!(MultipartScan::of("multipart/form-data").is_none());
        assert!(MultipartScan::of("multipart/form-data; boundary=a; boundary=b").is_none());
        for boundary in
            ["x\\yz", "\"x\\yz\"", "\"xyz", "xyz\"", "x\"y\"z", "\"x\"yz", "x yz", "\"x;yz\"", "x\u{e4}z", "", "\"\""]
        {
            let content_type = format!("multipart/form-data; boundary={boundary}");
            assert!(MultipartScan::of(&content_type).is_none(), "{content_type}");
        }
        assert!(MultipartScan::of("multipart/form-data; charset=\"a; boundary=x\"; boundary=y").is_none());
        assert!(MultipartScan::of("multipart/form-data; boundary=----WebKit'(1)+_,-./:=?; charset=utf-8").is_some());
        let endless = format!("--xyz\r\n{}", "x".repeat(PART_HEAD_BYTES_MAX + 10));
        assert_eq!(scan(&endless, 1_000), Err(MultipartFault::Unreadable));
    }
}
