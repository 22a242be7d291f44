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
    pub(super) fn decode(self, body: &[u8], bytes_max: usize) -> Vec<u8> {
        match self {
            Self::Plain => body[..body.len().min(bytes_max)].to_vec(),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(body), bytes_max),
            Self::Deflate => read(flate2::read::ZlibDecoder::new(body), bytes_max),
            Self::Zstd => zstd::Decoder::with_buffer(body).map(|decoder| read(decoder, bytes_max)).unwrap_or_default(),
            Self::Lz4 => read(lz4_flex::frame::FrameDecoder::new(body), bytes_max),
            Self::Blocks => blocks(body, bytes_max),
            Self::Unknown => Vec::new(),
        }
    }
}

/// Byte by byte at the end, so that what a cut stream still gives is not lost with its error.
fn read(mut decoder: impl Read, bytes_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut piece = [0; 4_096];
    while out.len() < bytes_max {
        let room = piece.len().min(bytes_max - out.len());
        match decoder.read(&mut piece[..room]) {
            Ok(0) | Err(_) => break,
            Ok(length) => out.extend_from_slice(&piece[..length]),
        }
    }
    out
}

fn blocks(mut body: &[u8], bytes_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < bytes_max {
        let Some((clear, rest)) = block(body) else { break };
        out.extend_from_slice(&clear[..clear.len().min(bytes_max - out.len())]);
        body = rest;
    }
    out
}

fn block(body: &[u8]) -> Option<(Vec<u8>, &[u8])> {
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
    Some((clear, &body[BLOCK_HEAD_BYTES + compressed..]))
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
            assert_eq!(encoding.decode(&body, 1_000), TEXT, "{encoding:?}");
            assert_eq!(encoding.decode(&body, 6), b"SELECT", "{encoding:?}");
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
                assert!(TEXT.starts_with(&clear), "{encoding:?} cut at {end}");
                let mut damaged = body.clone();
                damaged[end] ^= 0x55;
                let _ = encoding.decode(&damaged, 1_000);
            }
        }
    }
}
