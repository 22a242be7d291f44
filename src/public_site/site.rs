//! What is served: files by path, each with its tag and in both codings, made once for all who ask.

use std::collections::HashMap;
use std::io::Write as _;

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::status::render::PublicFile;

/// Below this a file does not become shorter.
const GZIP_BYTES_MIN: usize = 256;
/// Bytes of a digest in a tag.
const TAG_BYTES: usize = 12;

/// A file as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) content_type: HeaderValue,
    /// Weak: the same for both codings.
    pub(super) tag: HeaderValue,
    pub(super) plain: Bytes,
    /// Absent where it would not be shorter.
    pub(super) gzip: Option<Bytes>,
}

impl Prepared {
    fn new(file: PublicFile) -> Self {
        let digest: String = Sha256::digest(&file.body).iter().take(TAG_BYTES).map(|b| format!("{b:02x}")).collect();
        // Hexadecimal digits fit a header.
        let tag = HeaderValue::from_str(&format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        let gzip = (file.body.len() >= GZIP_BYTES_MIN).then(|| gzip(&file.body)).flatten();
        let gzip = gzip.filter(|shorter| shorter.len() < file.body.len()).map(Bytes::from);
        Self { content_type: HeaderValue::from_static(file.content_type), tag, plain: Bytes::from(file.body), gzip }
    }
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::default());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

/// All files of a moment.
#[derive(Debug, Default)]
pub struct Site {
    files: HashMap<String, Prepared>,
}

impl Site {
    /// Takes over from `former` what has not changed.
    #[must_use]
    pub fn new(files: Vec<PublicFile>, former: &Self) -> Self {
        let prepare = |file: PublicFile| {
            let known = former.files.get(&file.path).filter(|known| known.plain == file.body);
            let prepared = known.filter(|known| known.content_type == file.content_type).cloned();
            (file.path.clone(), prepared.unwrap_or_else(|| Prepared::new(file)))
        };
        Self { files: files.into_iter().map(prepare).collect() }
    }

    /// The file of a request path. A directory's is `index.html`; the ending of a page or of JSON may be left out.
    pub(super) fn find(&self, path: &str) -> Option<&Prepared> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() || path.ends_with('/') {
            return self.files.get(&format!("{path}index.html"));
        }
        let with = |ending: &str| self.files.get(&format!("{path}{ending}"));
        self.files.get(path).or_else(|| with(".html")).or_else(|| with(".json"))
    }

    /// Whether there is anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn file(path: &str, body: &str) -> PublicFile {
        PublicFile { path: path.to_owned(), content_type: "text/plain; charset=utf-8", body: body.as_bytes().to_vec() }
    }

    #[test]
    fn paths_of_people_and_of_programs_find_their_file() {
        let files = ["index.html", "incidents/a.html", "api/v2/summary.json", "history.atom"];
        let site = Site::new(files.iter().map(|path| file(path, path)).collect(), &Site::default());
        for (path, expected) in [
            ("/", Some("index.html")),
            ("/incidents/a", Some("incidents/a.html")),
            ("/api/v2/summary", Some("api/v2/summary.json")),
            ("/history.atom", Some("history.atom")),
            ("/incidents/", None),
            ("/../index.html", None),
            ("index.html", None),
            ("", None),
        ] {
            let found = site.find(path).map(|file| file.plain.clone());
            assert_eq!(found, expected.map(Bytes::from), "{path}");
        }
    }

    #[test]
    fn long_files_are_compressed_once_and_unchanged_ones_taken_over() {
        let long = "all is well ".repeat(100);
        let first = Site::new(vec![file("a", &long), file("b", "short")], &Site::default());
        let (a, b) = (first.find("/a").unwrap(), first.find("/b").unwrap());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&a.gzip.as_ref().unwrap()[..]).read_to_string(&mut text).unwrap();
        assert!(text == long && b.gzip.is_none() && a.tag != b.tag);
        let second = Site::new(vec![file("a", &long), file("b", "other")], &first);
        assert_eq!(second.find("/a").unwrap().plain.as_ptr(), a.plain.as_ptr());
        assert_ne!(second.find("/b").unwrap().tag, b.tag);
    }
}
