//! The wire format of Protocol Buffers, field by field, borrowed from the record.
//!
//! A general decoder would build every message before the first can be looked at, and two bytes can be an empty message
//! of hundreds: input would choose our memory. Read in place, a record costs nothing but itself.
//! Source: protobuf.dev, "Encoding".

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// `int64`, `bool`, an enum.
    Varint(u64),
    /// `fixed64`, `double`.
    Fixed64(u64),
    /// `fixed32`.
    Fixed32,
    /// `string`, `bytes`, a message.
    Bytes(&'a [u8]),
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The fields of a message, in the order they were written. Ends after the first mistake.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of the message `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Malformed)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            // Groups were never part of these messages.
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first, at most ten bytes; what is over 64 bits is cut off.
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_documentation_encodes_them() {
        let all: Result<Vec<_>, _> =
            Fields::new(b"\x08\x96\x01\x12\x07testing\x19\x01\0\0\0\0\0\0\0\x25abcd").collect();
        let expected =
            [(1, Value::Varint(150)), (2, Value::Bytes(b"testing")), (3, Value::Fixed64(1)), (4, Value::Fixed32)];
        assert_eq!(all.unwrap(), expected);
    }

    #[test]
    fn mistakes_end_the_message() {
        for bytes in [
            &b"\x08"[..],
            b"\x12\x05abc",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x09\x01",
            b"\x0b",
            b"\x00\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            let all: Vec<_> = Fields::new(bytes).collect();
            assert_eq!(all, [Err(Malformed)], "{bytes:?}");
        }
    }
}
