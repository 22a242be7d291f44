//! The beginning of an encoded body in clear, to see the text of a query in it. Only as much is decoded as is looked at;
//! ClickHouse gets the body as it came.

use std::io::Read;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: deflate`: with zlib's frame.
    Deflate,
    /// `Content-Encoding: zstd`.
    Zstd,
    /// `Content-Encoding: lz4`: LZ4 frames.
    Lz4,
    /// `decompress=1`: ClickHouse's own blocks.
    Blocks,
    /// Something ClickHouse may know and this does not.
    Unknown,
}

/// Head of a block of ClickHouse's own: a checksum of 16 bytes, the method, both sizes.
const BLOCK_HEAD_BYTES: usize = 25;
/// Longest block that is taken apart for its text: ClickHouse's clients write 1 MiB.
const BLOCK_BYTES_MAX: usize = 4 << 20;

/// What stands in a body, in clear.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The text it begins with.
    pub(super) text: Vec<u8>,
    /// Whether that is all there is: nothing stands behind it, and nothing in it was left out as damaged or too long.
    pub(super) is_all: bool,
}

/// Whether the parameter `decompress` is on. Absent when ClickHouse may read the value in another way than this does.
pub(super) fn is_decompress(value: Option<&[u8]>) -> Option<bool> {
    match value {
        Some(b"1" | b"true") => Some(true),
        None | Some(b"" | b"0" | b"false") => Some(false),
        Some(_) => None,
    }
}

impl Encoding {
    /// Of a `Content-Encoding` and the parameter `decompress`.
    pub(super) fn of(content_encoding: Option<&[u8]>, decompress: bool) -> Self {
        match (content_encoding.map(<[u8]>::to_ascii_lowercase).as_deref(), decompress) {
            (None | Some(b"" | b"identity"), false) => Self::Plain,
            (None | Some(b"" | b"identity"), true) => Self::Blocks,
            (Some(b"gzip" | b"x-gzip"), false) => Self::Gzip,
            (Some(b"deflate"), false) => Self::Deflate,
            (Some(b"zstd"), false) => Self::Zstd,
            (Some(b"lz4"), false) => Self::Lz4,
            _ => Self::Unknown,
        }
    }

    /// At most `bytes_max` of the clear text that `body` begins with. Shorter when the body has not come far enough, or is
    /// damaged: that is for ClickHouse to say.
    pub(super) fn decode(self, body: &[u8], bytes_max: usize) -> Decoded {
        match self {
            Self::Plain => {
                let text = body[..body.len().min(bytes_max)].to_vec();
                return Decoded { is_all: text.len() == body.len(), text };
            }
            Self::Unknown => return Decoded { text: Vec::new(), is_all: body.is_empty() },
            _ => {}
        }
        let mut decoded = Decoded { text: Vec::new(), is_all: true };
        let mut rest = body;
        // ClickHouse reads on behind the end of a stream, a frame or a block: another may follow.
        while !rest.is_empty() && decoded.is_all {
            let before = rest.len();
            let is_whole = self.decode_one(&mut rest, &mut decoded.text, bytes_max);
            decoded.is_all = is_whole && rest.len() < before;
        }
        decoded
    }

    /// Decodes one stream, frame or block; whether it was whole.
    fn decode_one(self, rest: &mut &[u8], text: &mut Vec<u8>, bytes_max: usize) -> bool {
        match self {
            Self::Gzip => read(flate2::bufread::GzDecoder::new(rest), text, bytes_max),
            Self::Deflate => read(flate2::bufread::ZlibDecoder::new(rest), text, bytes_max),
            Self::Zstd => zstd::Decoder::with_buffer(rest).is_ok_and(|one| read(one.single_frame(), text, bytes_max)),
            Self::Lz4 => read(lz4_flex::frame::FrameDecoder::new(rest), text, bytes_max),
            Self::Blocks => block(rest).is_some_and(|clear| {
                let room = bytes_max - text.len();
                text.extend_from_slice(&clear[..clear.len().min(room)]);
                clear.len() <= room
            }),
            Self::Plain | Self::Unknown => false,
        }
    }
}

/// Byte by byte at the end, so that what a cut stream still gives is not lost with its error. Whether the end came.
fn read(mut decoder: impl Read, text: &mut Vec<u8>, bytes_max: usize) -> bool {
    let mut piece = [0; 4_096];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return true,
            Ok(length) => {
                let room = bytes_max - text.len();
                text.extend_from_slice(&piece[..length.min(room)]);
                if length > room {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

fn block(body: &mut &[u8]) -> Option<Vec<u8>> {
    let head = body.get(..BLOCK_HEAD_BYTES)?;
    let size = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?) as usize);
    // The compressed size counts the method and both sizes, 9 bytes, and not the checksum.
    let (compressed, clear_bytes) = (size(17)?.checked_sub(9)?, size(21)?);
    if compressed > BLOCK_BYTES_MAX || clear_bytes > BLOCK_BYTES_MAX {
        return None;
    }
    let data = body.get(BLOCK_HEAD_BYTES..BLOCK_HEAD_BYTES + compressed)?;
    let clear = match head[16] {
        0x02 => data.to_vec(),
        0x82 => lz4_flex::block::decompress(data, clear_bytes).ok()?,
        0x90 => zstd::bulk::decompress(data, clear_bytes).ok()?,
        _ => return None,
    };
    *body = &body[BLOCK_HEAD_BYTES + compressed..];
    (clear.len() == clear_bytes).then_some(clear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TEXT: &[u8] = b"SELECT count() FROM t WHERE a = 'x' AND b = 'y'";

    fn own_block(method: u8, data: &[u8]) -> Vec<u8> {
        let mut block = vec![0; 16];
        block.push(method);
        block.extend_from_slice(&(data.len() as u32 + 9).to_le_bytes());
        block.extend_from_slice(&(TEXT.len() as u32).to_le_bytes());
        block.extend_from_slice(data);
        block
    }

    fn encoded() -> Vec<(Encoding, Vec<u8>)> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(TEXT).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(TEXT).unwrap();
        vec![
            (Encoding::Plain, TEXT.to_vec()),
            (Encoding::Gzip, gzip.finish().unwrap()),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Zstd, zstd::encode_all(TEXT, 1).unwrap()),
            (Encoding::Lz4, lz4.finish().unwrap()),
            (Encoding::Blocks, own_block(0x02, TEXT)),
            (Encoding::Blocks, own_block(0x82, &lz4_flex::block::compress(TEXT))),
            (Encoding::Blocks, own_block(0x90, &zstd::bulk::compress(TEXT, 1).unwrap())),
        ]
    }

    #[test]
    fn every_encoding_gives_the_text_and_no_more_than_is_asked_for() {
        for (encoding, body) in encoded() {
            let all = Decoded { text: TEXT.to_vec(), is_all: true };
            assert_eq!(encoding.decode(&body, 1_000), all, "{encoding:?}");
            assert_eq!(encoding.decode(&body, TEXT.len()), all, "{encoding:?}");
            let start = Decoded { text: b"SELECT".to_vec(), is_all: false };
            assert_eq!(encoding.decode(&body, 6), start, "{encoding:?}");
        }
        assert_eq!(Encoding::of(Some(b"GZIP"), false), Encoding::Gzip);
        assert_eq!(Encoding::of(Some(b"br"), false), Encoding::Unknown);
        assert_eq!(Encoding::of(Some(b"gzip"), true), Encoding::Unknown);
    }

    #[test]
    fn a_cut_or_damaged_body_gives_what_it_can_and_no_panic() {
        for (encoding, body) in encoded() {
            for end in 0..body.len() {
                let clear = encoding.decode(&body[..end], 1_000);
                assert!(TEXT.starts_with(&clear.text), "{encoding:?} cut at {end}");
                // An LZ4 frame cut in its head is taken for none: there is nothing behind it either.
                let is_empty = clear.text.is_empty() && (end == 0 || encoding == Encoding::Lz4);
                let is_seen = clear.text == TEXT || is_empty || encoding == Encoding::Plain;
                assert!(is_seen || !clear.is_all, "{encoding:?} cut at {end}");
                let mut damaged = body.clone();
                damaged[end] ^= 0x55;
                let _ = encoding.decode(&damaged, 1_000);
            }
        }
    }

    #[test]
    fn what_stands_behind_the_first_stream_is_seen_or_known_to_be_unseen() {
        let twice = [TEXT, TEXT].concat();
        for (encoding, body) in encoded() {
            let followed = encoding.decode(&[body.as_slice(), body.as_slice()].concat(), 1_000);
            assert_eq!(followed, Decoded { text: twice.clone(), is_all: true }, "{encoding:?}");
            if encoding != Encoding::Plain {
                let damaged = encoding.decode(&[body.as_slice(), &[0x55; 40]].concat(), 1_000);
                assert_eq!(damaged, Decoded { text: TEXT.to_vec(), is_all: false }, "{encoding:?}");
            }
        }
        let mut long = own_block(0x02, TEXT);
        let declared = u32::try_from(BLOCK_BYTES_MAX + 1).unwrap().to_le_bytes();
        long.extend([&[0; 16][..], &[0x82], &20_u32.to_le_bytes(), &declared, &[0; 11]].concat());
        assert!(!Encoding::Blocks.decode(&long, 1_000).is_all);
        assert!(!Encoding::Unknown.decode(b"x", 1_000).is_all);
    }

    #[test]
    fn a_switch_that_two_readers_read_in_two_ways_is_none() {
        assert_eq!([Some(&b"1"[..]), Some(b"true")].map(is_decompress), [Some(true); 2]);
        assert_eq!([None, Some(&b""[..]), Some(b"0"), Some(b"false")].map(is_decompress), [Some(false); 4]);
        assert_eq!([&b"00"[..], b"2", b"yes", b"True", b" 1"].map(|value| is_decompress(Some(value))), [None; 5]);
    }
}
